"""What a clinician says a record was: beside it, never in it, and taken back at will.

What follows from the record is matched and computed again. That by itself never sends
the patient anything.
"""

from datetime import datetime

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
    dose_event_id: object,
    *,
    label: str | None,
    reason: str,
    now: datetime,
) -> None:
    """Say what a dose event was, None: take back what was said; match again.

    Raises NotFound unless a clinician may see it, Unprocessable for a word that nobody
    may say, NothingToChange where it would change nothing.
    """
    only(reader, "clinician")
    if label is not None and label not in SAYABLE:
        raise Unprocessable(f"A record may be called one of {', '.join(SAYABLE)}.")
    event = session.exec(
        select(DoseEvent)
        .where(DoseEvent.dose_event_id == dose_event_id)
        .where(may_see(reader, col(DoseEvent.patient_id), now=now))
    ).one_or_none()
    if event is None:
        raise NotFound("There is no such dose event.")
    hold(session, [event.patient_id])
    session.refresh(event)
    if event.voided_at is not None:
        raise NothingToChange("This record is void: it counts for nothing.")
    if label == _in_force(session, event):
        raise NothingToChange("This is what holds of the record already.")
    session.add(
        EventOverride(
            patient_id=event.patient_id,
            dose_event_id=event.dose_event_id,
            label=label,
            reason=reason,
            actor_id=reader.subject_id,
            at=now,
            recorded_at=real_now(),
        )
    )
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


def _in_force(session: Session, event: DoseEvent) -> str | None:
    return session.exec(
        select(EventOverride.label)
        .where(EventOverride.patient_id == event.patient_id)
        .where(EventOverride.dose_event_id == event.dose_event_id)
        .order_by(
            col(EventOverride.recorded_at).desc(), col(EventOverride.override_id).desc()
        )
        .limit(1)
    ).first()
