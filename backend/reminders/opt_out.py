"""Addresses a patient wants no more messages at: STOP, and START that takes it back."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from backend.people.reachable import keep_reach
from backend.people.tables import ContactPoint
from backend.reminders.tables import OptOut

Address = tuple[str, str]  # channel and address


def opted_out(session: Session, patient_id: UUID, address: Address) -> bool:
    """Tell whether the patient wants nothing at this address now."""
    return bool(_standing(session, patient_id, address))


def opt_out(
    session: Session, patient_id: UUID, address: Address, *, now: datetime
) -> bool:
    """Use an address no more, for the patient said so; False when they had before.

    It stops to be a contact, and stays refused until `opt_in`. The patient is held.
    """
    channel, number = address
    if opted_out(session, patient_id, address):
        return False
    theirs = session.exec(
        select(ContactPoint).where(
            col(ContactPoint.patient_id) == patient_id,
            col(ContactPoint.channel) == channel,
            col(ContactPoint.address) == number,
            col(ContactPoint.until).is_(None),
        )
    ).all()
    for contact in theirs:
        contact.until = now
    session.add(
        OptOut(
            patient_id=patient_id,
            channel=channel,
            address=number,
            rank=min((contact.rank for contact in theirs), default=1),
            since=now,
        )
    )
    keep_reach(session, [patient_id])
    return True


def opt_in(
    session: Session, patient_id: UUID, address: Address, *, now: datetime
) -> bool:
    """Use an address again that was stopped; False when it was not."""
    standing = _standing(session, patient_id, address)
    if not standing:
        return False
    for row in standing:
        row.until = now
    channel, number = address
    session.add(
        ContactPoint(
            patient_id=patient_id,
            channel=channel,
            address=number,
            rank=standing[0].rank,
            since=now,
        )
    )
    keep_reach(session, [patient_id])
    return True


def _standing(session: Session, patient_id: UUID, address: Address) -> list[OptOut]:
    channel, number = address
    return list(
        session.exec(
            select(OptOut).where(
                col(OptOut.patient_id) == patient_id,
                col(OptOut.channel) == channel,
                col(OptOut.address) == number,
                col(OptOut.until).is_(None),
            )
        )
    )
