"""The reorder feed: each step in the life of an order, at once, to its manufacturer."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch
from backend.feeds.append import append, lock_head, pseudonym
from backend.supply.tables import Reorder

FEED = "reorders"


def publish(session: Session, order: Reorder, *, now: datetime) -> bool:
    """Show the order's present state to the manufacturer; False if they may not know.

    Only with the patient's standing consent to supply by that manufacturer, and never
    for an order that was merely proposed. No name, no health data: pack, quantity,
    where to ship (the clinic), and a pseudonym that only this recipient can join on.
    That an order is cancelled is told without consent too: see `tell_end`.
    """
    if order.state == "proposed" or not _was_placed(session, order):
        return False
    rows = fetch(
        session,
        """SELECT p.manufacturer_id, p.name, o.gln, c.name AS clinic
        FROM product p
        JOIN organization o ON o.organization_id = p.manufacturer_id
        JOIN clinic c ON c.clinic_id = :clinic
        WHERE p.gtin = :gtin AND EXISTS (SELECT FROM consent s
            WHERE s.patient_id = :patient AND s.purpose = 'supply'
              AND s.recipient_id = p.manufacturer_id AND s.since <= :now
              AND (s.until IS NULL OR s.until > :now))""",
        gtin=order.gtin,
        clinic=order.clinic_id,
        patient=order.patient_id,
        now=now,
    )
    if not rows:
        cancelled = order.state == "cancelled"
        return cancelled and tell_end(session, order.reorder_id, now=now)
    row = rows[0]
    recipient = row["manufacturer_id"]
    lock_head(session, FEED)  # before the key: two who make one must not cross
    return append(
        session,
        FEED,
        recipient,
        f"{order.reorder_id}/{order.state}",
        {
            "reorder_id": str(order.reorder_id),
            "state": order.state,
            "gtin": order.gtin,
            "product": row["name"],
            "packs": order.packs,
            "ship_to": {"clinic_id": str(order.clinic_id), "name": row["clinic"]},
            "supplier_gln": row["gln"],
            "patient_pseudonym": pseudonym(
                session, order.patient_id, recipient, now=now
            ),
            "at": now.isoformat(),
        },
        now=now,
    )


def _was_placed(session: Session, order: Reorder) -> bool:
    """A cancelled order may have been no more than a proposal; no other may."""
    if order.state != "cancelled":
        return True
    rows = fetch(
        session,
        """SELECT EXISTS (SELECT FROM reorder_event WHERE patient_id = :patient
            AND reorder_id = :order AND state = 'placed') AS placed""",
        patient=order.patient_id,
        order=order.reorder_id,
    )
    return bool(rows[0]["placed"])


def tell_end(session: Session, reorder_id: UUID, *, now: datetime) -> bool:
    """Tell a manufacturer who may know no more that an order they know is off.

    Or else they would ship it. The row says which order and that it is cancelled, and
    nothing of the patient. False when they never heard of it, or know it already.
    """
    told = fetch(
        session,
        "SELECT recipient_id FROM feed_row WHERE feed = :feed AND dedup_key = :key",
        feed=FEED,
        key=f"{reorder_id}/placed",
    )
    return bool(told) and append(
        session,
        FEED,
        told[0]["recipient_id"],
        f"{reorder_id}/cancelled",
        {"reorder_id": str(reorder_id), "state": "cancelled"},
        now=now,
    )
