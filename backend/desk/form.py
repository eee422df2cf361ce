"""What the forms of `python -m backend people` share. Loads nothing heavy."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

if TYPE_CHECKING:
    from sqlmodel import Session

    from backend.audit.record import Actor


@dataclass(frozen=True, slots=True)
class Desk:
    """Who acts for which patient, when: what every form of the command is given."""

    session: "Session"
    asked: argparse.Namespace
    actor: "Actor"
    clinic_id: UUID
    patient_id: UUID
    now: datetime


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the command: what it does and answers, its options, its words."""

    run: Callable[[Desk], str]
    arguments: Callable[[argparse.ArgumentParser], None]
    words: str


def patient_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "patient", metavar="PATIENT", help="an id, or SYSTEM=NUMBER as hospital=4711"
    )
