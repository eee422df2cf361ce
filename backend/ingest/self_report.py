"""A patient's own word that a dose was taken: weaker evidence than a device's."""

from datetime import datetime, timedelta
from uuid import UUID, uuid5

from sqlmodel import Session, select

from backend.audit.record import record as audit
from backend.doses.record import NewDose, record
from backend.doses.tables import DoseEvent
from backend.errors import Forbidden, NotFound, Unprocessable
from backend.ingest.accept import follow
from backend.people.hold import hold
from backend.people.readers import Reader, only
from backend.regimens.tables import Regimen

OLDEST = timedelta(hours=36)
AHEAD = timedelta(minutes=5)


def self_report(
    session: Session,
    reader: Reader,
    regimen_id: UUID,
    *,
    at: datetime,
    key: UUID,
    now: datetime,
) -> bool:
    """Record the patient's own word for a dose; False when `key` was used before.

    `key` comes from the form, so that a second press or a repeated request is the same
    report, unless that was declared void: then it is said anew. Raises NotFound for a
    regimen that is not the patient's and Unprocessable for a time in the future or
    further back than a day and a half.
    """
    only(reader, "patient")
    if not now - OLDEST <= at <= now + AHEAD:
        raise Unprocessable("Say when within the last 36 hours the dose was taken.")
    patient_id = reader.subject_id
    if not hold(session, [patient_id]):
        raise Forbidden("This account is closed.")
    known = session.exec(
        select(Regimen.regimen_id)
        .where(Regimen.patient_id == patient_id)
        .where(Regimen.regimen_id == regimen_id)
    ).one_or_none()
    if known is None:
        raise NotFound("There is no such medicine.")
    if not told_taken(session, patient_id, regimen_id, at=at, key=key, now=now):
        return False
    audit(session, reader.actor(), "dose_self_reported", patients=[patient_id])
    return True


def told_taken(
    session: Session,
    patient_id: UUID,
    regimen_id: UUID,
    *,
    at: datetime,
    key: UUID,
    now: datetime,
) -> bool:
    """Record that a patient who is held took a dose, and do all that follows.

    False when `key` was used before.
    """
    event_id = _unless_void(session, patient_id, uuid5(patient_id, f"self/{key}"))
    said = NewDose(
        patient_id=patient_id,
        dose_event_id=event_id,
        regimen_id=regimen_id,
        evidence="self_reported",
        occurred_at=at,
        live=True,
    )
    if not record(session, [said], now=now):
        return False
    follow(
        session,
        [(patient_id, regimen_id, at.date())],
        patients=[patient_id],
        events=[(patient_id, event_id)],
        now=now,
        cause="self_report",
    )
    return True


def _unless_void(session: Session, patient_id: UUID, event_id: UUID) -> UUID:
    """Return this id, or the one that follows where its event was declared void."""
    while (
        event := session.get(DoseEvent, (patient_id, event_id))
    ) and event.voided_at is not None:
        event_id = uuid5(event_id, "after a void")
    return event_id
