"""Texts of people nobody knows: kept for an operator, and not for ever."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, update
from sqlmodel import Session, col, select

from backend.database import transaction
from backend.errors import NotFound
from backend.inbound.tables import InboundMessage

KEPT = timedelta(days=90)


def waiting(session: Session, *, most: int = 100) -> Sequence[InboundMessage]:
    """Return the texts of unknown senders that nobody has seen to, oldest first."""
    wanted = (
        select(InboundMessage)
        .where(
            col(InboundMessage.patient_id).is_(None),
            col(InboundMessage.handled_at).is_(None),
        )
        .order_by(col(InboundMessage.received_at))
        .limit(most)
    )
    return session.exec(wanted).all()


def handled(session: Session, inbound_id: UUID, *, real: datetime) -> None:
    """Note that a person saw to a text; raises NotFound when none waits."""
    done = session.exec(
        update(InboundMessage)
        .where(
            col(InboundMessage.inbound_id) == inbound_id,
            col(InboundMessage.patient_id).is_(None),
            col(InboundMessage.handled_at).is_(None),
        )
        .values(handled_at=real)
    )
    if not done.rowcount:
        raise NotFound(f"No text waits with the id {inbound_id}.")


def forget(real: datetime) -> int:
    """Delete what unknown senders wrote long ago; return how many. A job, daily."""
    with transaction() as session:
        gone = session.exec(
            delete(InboundMessage).where(
                col(InboundMessage.patient_id).is_(None),
                col(InboundMessage.received_at) < real - KEPT,
            )
        )
        return gone.rowcount
