"""What patients allow, to whom, and since when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.people.hold import hold
from backend.people.reachable import keep_reach
from backend.people.tables import Consent

PURPOSES = ("care", "reminders", "supply", "in_use", "caregiver", "naming")


def grant(
    session: Session,
    patient_id: UUID,
    purpose: str,
    recipient_id: UUID,
    *,
    version: int,
    wording: str,
    actor: Actor,
    now: datetime,
    since: datetime | None = None,
) -> UUID:
    """Write the patient's yes, return the consent's id.

    `wording` names the text that was shown, in that `version`. A yes that stands
    already in the same version is returned; one to another version ends with the new.
    """
    _known(purpose)
    hold(session, [patient_id])
    standing = _open(session, patient_id, purpose, recipient_id)
    if standing is not None and standing.version == version:
        return standing.consent_id
    if standing is not None:
        standing.until = now
    consent = Consent(
        patient_id=patient_id,
        purpose=purpose,
        recipient_id=recipient_id,
        version=version,
        wording=wording,
        since=since or now,
        recorded_at=now,
    )
    session.add(consent)
    keep_reach(session, [patient_id])
    _tell(session, actor, "consent_granted", consent)
    return consent.consent_id


def withdraw(
    session: Session,
    patient_id: UUID,
    purpose: str,
    recipient_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """End a consent at once; False when none stood.

    Reads stop with the commit. Messages that wait are checked again when they are sent.
    Orders that are under way are the caller's to call off: see `desk.leave`.
    """
    _known(purpose)
    hold(session, [patient_id])
    standing = _open(session, patient_id, purpose, recipient_id)
    if standing is None:
        return False
    standing.until = now
    keep_reach(session, [patient_id])
    _tell(session, actor, "consent_withdrawn", standing)
    return True


def standing(
    patient_id: Mapped[UUID] | ColumnElement[UUID],
    purpose: str,
    recipient_id: UUID | Mapped[UUID] | ColumnElement[UUID],
    *,
    now: datetime,
) -> ColumnElement[bool]:
    """Return the SQL condition that the patient allows `purpose` to the recipient now.

    For the WHERE of a query whose patient is the column `patient_id`.
    """
    _known(purpose)
    return (
        select(Consent.consent_id)
        .where(
            col(Consent.patient_id) == patient_id,
            col(Consent.purpose) == purpose,
            col(Consent.recipient_id) == recipient_id,
            col(Consent.since) <= now,
            col(Consent.until).is_(None) | (col(Consent.until) > now),
        )
        .exists()
    )


def _open(
    session: Session, patient_id: UUID, purpose: str, recipient_id: UUID
) -> Consent | None:
    return session.exec(
        select(Consent).where(
            col(Consent.patient_id) == patient_id,
            col(Consent.purpose) == purpose,
            col(Consent.recipient_id) == recipient_id,
            col(Consent.until).is_(None),
        )
    ).one_or_none()


def _known(purpose: str) -> None:
    if purpose not in PURPOSES:
        raise ValueError(f"consent has no purpose {purpose!r}")


def _tell(session: Session, actor: Actor, action: str, consent: Consent) -> None:
    record(
        session,
        actor,
        action,
        patients=[consent.patient_id],
        detail={
            "consent_id": consent.consent_id,
            "purpose": consent.purpose,
            "recipient_id": consent.recipient_id,
            "version": consent.version,
        },
    )
