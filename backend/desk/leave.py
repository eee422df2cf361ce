"""What follows when a patient takes back a consent, or is erased."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM, Actor
from backend.database.sets import fetch
from backend.feeds.orders import publish, tell_end
from backend.people.consent import withdraw
from backend.people.erase import Erased, erase, hold_all
from backend.state.refresh import refresh
from backend.supply.reorder import step
from backend.supply.tables import Product, Reorder

TO_STOP = ("placed", "acknowledged")  # what is on its way can only be waited for


def withdraw_consent(
    session: Session,
    patient_id: UUID,
    purpose: str,
    recipient_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """End a consent with all that follows at once; False when none stood.

    A manufacturer who may supply no more is told that what they have not yet shipped
    is called off. Messages that wait are checked again when they are sent.
    """
    if not withdraw(session, patient_id, purpose, recipient_id, actor=actor, now=now):
        return False
    stopped = _orders(session, patient_id, recipient_id) if purpose == "supply" else []
    for order in stopped:
        whose = patient_id, order.reorder_id
        step(session, *whose, "cancelled", actor=SYSTEM, now=now)
    refresh(session, [patient_id], now=now)
    for order in stopped:  # last, for the lock on a feed's end is everybody's
        publish(session, order, now=now)
    return True


def erase_person(
    session: Session, patient_id: UUID, *, actor: Actor, now: datetime
) -> Erased:
    """Erase a person; whoever still had to fill an order of theirs is told to stop.

    Raises NotFound when there is no such patient, or no more.
    """
    theirs = hold_all(session, patient_id)
    unfilled = fetch(
        session,
        """SELECT reorder_id FROM reorder WHERE patient_id = ANY(:theirs)
          AND state NOT IN ('proposed', 'delivered', 'cancelled')
        ORDER BY reorder_id""",
        theirs=theirs,
    )
    erased = erase(session, patient_id, actor=actor, now=now)
    for row in unfilled:
        tell_end(session, row["reorder_id"], now=now)
    return erased


def _orders(session: Session, patient_id: UUID, maker: UUID) -> list[Reorder]:
    wanted = (
        select(Reorder)
        .join(Product, col(Product.gtin) == col(Reorder.gtin))
        .where(
            col(Reorder.patient_id) == patient_id,
            col(Product.manufacturer_id) == maker,
            col(Reorder.state).in_(TO_STOP),
        )
        .order_by(col(Reorder.reorder_id))
    )
    return list(session.exec(wanted))
