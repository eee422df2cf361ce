"""`python -m backend prescribe`: a file becomes a regimen, or its next version.

Loads nothing heavy for its help.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING
from uuid import UUID

from backend.errors import Refused, Unprocessable

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from sqlmodel import Session

    from backend.audit.record import Actor
    from backend.regimens.fhir_dosage import Prescribed
    from backend.regimens.prescribe import Prescription
    from backend.regimens.schedule import Made

MOST_AHEAD = 5  # doses that are printed
MINUTE = 60


class OnlyLooking(Refused):
    """Nothing is to be written; never reaches anybody."""


@dataclass(frozen=True, slots=True)
class Visit:
    """Who prescribes what to whom, when, and where the patient lives."""

    session: "Session"
    asked: argparse.Namespace
    actor: "Actor"
    clinician_id: UUID
    patient_id: UUID
    zone: "ZoneInfo"
    now: datetime


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "patient", metavar="PATIENT", help="an id, or SYSTEM=NUMBER as hospital=4711"
    )
    parser.add_argument(
        "file", metavar="FILE.json", help="a prescription, or - for stdin"
    )
    parser.add_argument(
        "--by", required=True, metavar="LOGIN", help="the clinician who prescribes"
    )
    parser.add_argument(
        "--drug", metavar="NAME", help="where the file does not name it"
    )
    parser.add_argument("--gtin", metavar="GTIN", help="the product, if it is stocked")
    parser.add_argument(
        "--criticality",
        choices=["standard", "high", "critical"],
        default="standard",
        help="how much depends on each dose (default standard)",
    )
    parser.add_argument("--amount", metavar="N", help="of a dose, with --unit")
    parser.add_argument("--unit", metavar="UCUM", help="as mg, [iU] or {tablet}")
    parser.add_argument(
        "--from", dest="start", metavar="WHEN", help="a date or an instant; default now"
    )
    parser.add_argument(
        "--until", metavar="WHEN", help="a date, included, or an instant"
    )
    for side in ("before", "after"):
        parser.add_argument(
            f"--{side}",
            type=int,
            metavar="MIN",
            help=f"how many minutes {side} its time a dose may be taken",
        )
    parser.add_argument(
        "--least-apart",
        type=int,
        metavar="MIN",
        help="how many minutes lie between doses at least when the patient travels",
    )
    parser.add_argument(
        "--meal",
        action="append",
        default=[],
        metavar="EVENT=TIME",
        help="the patient's breakfast, lunch, dinner, wake or bedtime, as dinner=19:00",
    )
    parser.add_argument(
        "--replaces",
        metavar="REGIMEN/VERSION",
        help="the version that this one follows, as it was printed",
    )
    parser.add_argument("--reason", default="", help="why it is changed")
    parser.add_argument(
        "--check", action="store_true", help="say what it would do and write nothing"
    )


def run(asked: argparse.Namespace) -> Sequence[str]:
    """Do what is asked in one transaction, and return the lines that say so."""
    from backend.clock import domain_now
    from backend.database import transaction

    said: list[str] = []
    try:
        with transaction() as session:
            said += _prescribe(_visit(session, asked, domain_now()))
            if asked.check:
                raise OnlyLooking
    except OnlyLooking:
        said.append("nothing was written")
    return said


def _visit(session: "Session", asked: argparse.Namespace, now: datetime) -> Visit:
    from backend.desk import whom
    from backend.people.zones import zone_at, zone_history
    from backend.regimens.zones import zone_named

    actor, clinic_id, clinician_id = whom.prescriber(session, asked.by)
    patient_id = whom.patient(session, asked.patient, clinic_id)
    zones = zone_history(session, [patient_id])[patient_id]
    zone = zone_named(zone_at(zones, now))
    return Visit(session, asked, actor, clinician_id, patient_id, zone, now)


def _prescribe(visit: Visit) -> Iterator[str]:
    from backend.audit.record import record
    from backend.ingest.extend import announce
    from backend.regimens.wording import sentence

    read = _read(visit)
    wanted = _prescription(visit, read)
    regimen_id, version, made = (
        _change(visit, wanted) if visit.asked.replaces else _new(visit, read, wanted)
    )
    record(
        visit.session,
        visit.actor,
        "regimen_changed" if visit.asked.replaces else "regimen_prescribed",
        patients=[visit.patient_id],
        detail={"regimen_id": regimen_id, "version": version},
    )
    announce(visit.session, [visit.patient_id], made, now=visit.now)
    yield f"regimen {regimen_id}/{version}"
    yield sentence(
        wanted.timing, zone=visit.zone, amount=wanted.amount, unit=wanted.unit
    )
    mine = (dose for dose in made.new if dose.regimen_id == regimen_id and dose.due_at)
    ahead = sorted(
        dose.due_at for dose in mine if dose.due_at and dose.due_at > visit.now
    )
    for due_at in ahead[:MOST_AHEAD]:
        yield f"due {due_at:%Y-%m-%dT%H:%M:%SZ}"


def _new(
    visit: Visit, read: "Prescribed", wanted: "Prescription"
) -> tuple[UUID, int, "Made"]:
    from backend.regimens.prescribe import prescribe

    drug = visit.asked.drug or read.drug
    if not drug:
        raise Unprocessable("The prescription names no drug: give it with --drug.")
    regimen, made = prescribe(
        visit.session,
        visit.patient_id,
        wanted,
        drug=drug,
        gtin=visit.asked.gtin,
        criticality=visit.asked.criticality,
        by=visit.clinician_id,
        now=visit.now,
    )
    return regimen.regimen_id, 1, made


def _change(visit: Visit, wanted: "Prescription") -> tuple[UUID, int, "Made"]:
    from backend.regimens.prescribe import change

    regimen, _, seen = visit.asked.replaces.partition("/")
    try:
        regimen_id, replaces = UUID(regimen), int(seen)
    except ValueError as error:
        raise Unprocessable("Name what it replaces as REGIMEN/VERSION.") from error
    version, made = change(
        visit.session,
        visit.patient_id,
        regimen_id,
        wanted,
        by=visit.clinician_id,
        reason=visit.asked.reason,
        replaces=replaces,
        now=visit.now,
    )
    return regimen_id, version.version, made


def _read(visit: Visit) -> "Prescribed":
    from backend.regimens.fhir_time import read_bound
    from backend.regimens.fhir_timing import Circumstances
    from backend.regimens.read import read_file, read_meals

    start = read_bound(visit.asked.start, "start")
    meals = read_meals(visit.asked.meal)
    return read_file(
        visit.asked.file, Circumstances(visit.zone, start, meals, untimed=True)
    )


def _prescription(visit: Visit, read: "Prescribed") -> "Prescription":
    from backend.regimens.fhir_time import read_bound
    from backend.regimens.prescribe import Prescription

    asked = visit.asked
    start, until = read_bound(asked.start, "start"), read_bound(asked.until, "end")
    return Prescription(
        timing=read.timing,
        amount=_decimal(asked.amount) if asked.amount else read.amount,
        unit=asked.unit or read.unit,
        effective_from=visit.now if start is None else _begins(start, visit.zone),
        until=None if until is None else _begins(_next_day(until), visit.zone),
        window_before_s=_seconds(asked.before),
        window_after_s=_seconds(asked.after),
        least_apart_s=_seconds(asked.least_apart),
    )


def _seconds(minutes: int | None) -> int | None:
    return None if minutes is None else minutes * MINUTE


def _begins(bound: date | datetime, zone: "ZoneInfo") -> datetime:
    from backend.regimens.zones import start_of

    return bound if isinstance(bound, datetime) else start_of(bound, zone)


def _next_day(bound: date | datetime) -> date | datetime:
    return bound if isinstance(bound, datetime) else bound + timedelta(days=1)


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise Unprocessable(f"An amount is a number, not {text[:20]!r}.") from error
