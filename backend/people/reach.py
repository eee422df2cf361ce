"""How a patient is reached: addresses that end, and the language that is spoken."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col

from backend.audit.record import Actor, record
from backend.people.hold import hold
from backend.people.reachable import keep_reach
from backend.people.tables import ContactPoint, PatientLanguage


def end_contact(
    session: Session,
    patient_id: UUID,
    channel: str,
    address: str,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """Use an address no more; False when the patient has no such address.

    Messages that wait go to the best of the others, and to nobody when none is left.
    """
    hold(session, [patient_id])
    ended = session.exec(
        update(ContactPoint)
        .where(
            col(ContactPoint.patient_id) == patient_id,
            col(ContactPoint.channel) == channel,
            col(ContactPoint.address) == address,
            col(ContactPoint.until).is_(None),
        )
        .values(until=now)
    )
    if ended.rowcount:
        keep_reach(session, [patient_id])
        _tell(session, actor, "contact_ended", patient_id, channel=channel)
    return bool(ended.rowcount)


def speak(
    session: Session, patient_id: UUID, language: str, *, actor: Actor, now: datetime
) -> None:
    """Address the patient in another language (BCP 47) from now on."""
    hold(session, [patient_id])
    values = {"language": language, "recorded_at": now}
    session.connection().execute(
        insert(PatientLanguage)
        .values(patient_id=patient_id, effective_from=now, **values)
        .on_conflict_do_update(
            index_elements=["patient_id", "effective_from"], set_=values
        )
    )
    keep_reach(session, [patient_id])
    _tell(session, actor, "language_changed", patient_id, language=language)


def _tell(
    session: Session, actor: Actor, action: str, patient_id: UUID, **detail: object
) -> None:
    record(session, actor, action, patients=[patient_id], detail=detail)
