"""Corrections by people: the raw row stays, what follows from it is computed again.

A correction by itself never sends the patient anything.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from backend.audit.record import record as audit
from backend.doses.tables import DoseEvent, Void
from backend.errors import Conflict, NotFound
from backend.ingest.accept import follow
from backend.people.hold import hold
from backend.people.readers import Reader, may_see, only


class AlreadyVoid(Conflict):
    """Somebody declared this event wrong before."""


def void_dose(
    session: Session,
    reader: Reader,
    dose_event_id: UUID,
    *,
    reason: str,
    now: datetime,
) -> None:
    """Declare a dose event wrong: it no longer counts as a dose nor against stock.

    Raises NotFound unless a clinician may see it, AlreadyVoid when it is void.
    """
    only(reader, "clinician")
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
        raise AlreadyVoid("This dose event is void already.")
    event.voided_at = now
    session.add(
        Void(
            patient_id=event.patient_id,
            void_id=uuid4(),
            kind="dose_event",
            row_id=dose_event_id,
            reason=reason,
            actor_id=reader.subject_id,
            at=now,
        )
    )
    session.flush()
    facts = (
        [(event.patient_id, event.regimen_id, event.occurred_at.date())]
        if event.regimen_id
        else []
    )
    follow(
        session,
        facts,
        patients=[event.patient_id],
        events=[(event.patient_id, dose_event_id)],
        now=now,
        cause="voided",
    )
    audit(
        session,
        reader.actor(),
        "dose_event_voided",
        patients=[event.patient_id],
        detail={"dose_event_id": str(dose_event_id)},
    )
