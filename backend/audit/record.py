"""Audit rows and decisions, written in the transaction of what they tell of.

A row is unchained when it is written; `backend.audit.seal` chains it a little later.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

from sqlmodel import Session, insert

from backend.audit.tables import Decision
from backend.clock import real_now
from backend.database.connect import run, to_json

# Ids, codes, instants and numbers look like this; a sentence or a name with a space in
# it does not. It cannot catch every personal value, but it catches the careless ones.
CODE = re.compile(r"[A-Za-z0-9_.:/+-]{0,100}")


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: `kind` is an account's role, `bridge` or `system`."""

    kind: str
    id: UUID | None
    clinic_id: UUID | None


SYSTEM = Actor("system", None, None)


def record(
    session: Session,
    actor: Actor,
    action: str,
    *,
    patients: Iterable[UUID] = (),
    clinic_id: UUID | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write that `actor` saw or changed these patients; one row for the whole set.

    `action` is a code such as `patient_list_seen`. `detail` holds ids, codes, numbers
    and instants; raises ValueError for any other text. The clinic is the actor's
    unless given.
    """
    _refuse_prose(action)
    _refuse_prose(detail)
    # One literal: a list of a thousand ids is adapted for milliseconds.
    ids = ",".join([f"{number:032x}" for number in sorted({p.int for p in patients})])
    run(
        session,
        RECORD,
        (
            uuid4(),
            clinic_id or actor.clinic_id,
            real_now(),
            actor.kind,
            actor.id,
            action,
            f"{{{ids}}}",
            to_json(detail or {}),
        ),
    )


RECORD = """
INSERT INTO audit_row (audit_id, clinic_id, recorded_at, actor_kind, actor_id, action,
  patients, detail)
VALUES (%s, %s, %s, %s, %s, %s, %s::uuid[], %s::jsonb)
"""


def decide(
    session: Session,
    *,
    patient_id: UUID,
    rule: str,
    version: int,
    inputs: Mapping[str, object],
    outcome: Mapping[str, object],
    at: datetime,
) -> UUID:
    """Write an automatic decision and return its id; `at` is domain time.

    `inputs` must suffice to make the same decision again with that rule's version.
    """
    decision_id = uuid4()
    row = insert(Decision).values(
        patient_id=patient_id,
        decision_id=decision_id,
        at=at,
        recorded_at=real_now(),
        rule=rule,
        version=version,
        inputs=inputs,
        outcome=outcome,
    )
    session.connection().execute(row)
    return decision_id


def _refuse_prose(value: object) -> None:
    match value:
        case str() if CODE.fullmatch(value) is None:
            raise ValueError("only codes, ids, numbers and instants are audited")
        case Mapping():
            for key, held in cast("Mapping[object, object]", value).items():
                _refuse_prose(key)
                _refuse_prose(held)
        case list() | tuple():
            for held in cast("Sequence[object]", value):
                _refuse_prose(held)
        case _:
            pass
