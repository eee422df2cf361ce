"""What a clinician says a record was: beside it, never in it, and taken back at will.

What follows from the record is matched and computed again. That by itself never sends
the patient anything.
"""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from analytics.labels import EventLabel
from backend.audit.record import record as audit
from backend.clock import real_now
from backend.doses.tables import DoseEvent, EventOverride
from backend.errors import Conflict, NotFound, Unprocessable
from backend.ingest.accept import follow
from backend.people.hold import hold
from backend.people.readers import Reader, may_see, only

SAYABLE = (
    EventLabel.THERAPEUTIC,
    EventLabel.PRIME,
    EventLabel.REFILL,
    EventLabel.CURIOSITY,
    EventLabel.POCKET,
)


class NothingToChange(Conflict):
    """The record is void, or this is what holds of it already."""


def overrule(
    session: Session,
    reader: Reader,
    patient_id: UUID,
    dose_event_id: UUID,
    *,
    label: str | None,
    reason: str,
    now: datetime,
) -> EventOverride:
    """Say what a dose event was, None: take back what was said; match again.

    Returns what was written. Raises NotFound unless a clinician may see the patient and
    the event is theirs, Unprocessable for a word that nobody may say, NothingToChange
    where it would change nothing.
    """
    only(reader, "clinician")
    if label is not None and label not in SAYABLE:
        raise Unprocessable(f"A record may be called one of {', '.join(SAYABLE)}.")
    event = session.exec(
        select(DoseEvent)
        .where(DoseEvent.patient_id == patient_id)
        .where(DoseEvent.dose_event_id == dose_event_id)
        .where(may_see(reader, col(DoseEvent.patient_id), now=now))
    ).one_or_none()
    if event is None:
        raise NotFound("There is no such dose event.")
    hold(session, [patient_id])
    session.refresh(event)
    if event.voided_at is not None:
        raise NothingToChange("This record is void: it counts for nothing.")
    holds = _newest(session, event)
    if label == (holds and holds.label):
        raise NothingToChange("This is what holds of the record already.")
    return _say(session, reader, event, label, reason, now)


def withdraw(
    session: Session,
    reader: Reader,
    patient_id: UUID,
    override_id: UUID,
    *,
    reason: str,
    now: datetime,
) -> EventOverride:
    """Take back one thing that was said of a record, whoever said it; match again.

    Returns what was written. Raises NotFound unless a clinician may see the patient and
    it was said of them, NothingToChange when it is not what holds of the record: it was
    withdrawn before, or something else was said since.
    """
    only(reader, "clinician")
    found = session.exec(
        select(EventOverride, DoseEvent)
        .join(
            DoseEvent,
            (col(DoseEvent.patient_id) == col(EventOverride.patient_id))
            & (col(DoseEvent.dose_event_id) == col(EventOverride.dose_event_id)),
        )
        .where(EventOverride.patient_id == patient_id)
        .where(EventOverride.override_id == override_id)
        .where(may_see(reader, col(EventOverride.patient_id), now=now))
    ).one_or_none()
    if found is None:
        raise NotFound("Nothing such was said of a record of this patient.")
    said, event = found
    hold(session, [patient_id])
    session.refresh(event)
    if event.voided_at is not None:
        raise NothingToChange("This record is void: it counts for nothing.")
    holds = _newest(session, event)
    if said.label is None or holds is None or holds.override_id != override_id:
        raise NothingToChange("This is not what holds of the record now.")
    return _say(session, reader, event, None, reason, now)


def _say(
    session: Session,
    reader: Reader,
    event: DoseEvent,
    label: str | None,
    reason: str,
    now: datetime,
) -> EventOverride:
    said = EventOverride(
        patient_id=event.patient_id,
        dose_event_id=event.dose_event_id,
        label=label,
        reason=reason,
        actor_id=reader.subject_id,
        at=now,
        recorded_at=real_now(),
    )
    session.add(said)
    session.flush()
    facts = (
        [(event.patient_id, event.regimen_id, event.occurred_at.date())]
        if event.regimen_id
        else []
    )
    changes = follow(
        session,
        facts,
        patients=[event.patient_id],
        events=[(event.patient_id, event.dose_event_id)],
        now=now,
        cause="overruled",
    )
    audit(
        session,
        reader.actor(),
        "dose_event_overruled" if label else "dose_event_overrule_undone",
        patients=[event.patient_id],
        detail={
            "dose_event_id": str(event.dose_event_id),
            "label": label,
            "doses_changed": len(changes.doses),
        },
    )
    return said


def _newest(session: Session, event: DoseEvent) -> EventOverride | None:
    return session.exec(
        select(EventOverride)
        .where(EventOverride.patient_id == event.patient_id)
        .where(EventOverride.dose_event_id == event.dose_event_id)
        .order_by(
            col(EventOverride.recorded_at).desc(), col(EventOverride.override_id).desc()
        )
        .limit(1)
    ).first()
