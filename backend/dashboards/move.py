"""Bring an order into its next state: who may do which step, and what follows."""

from uuid import UUID

from backend.alerts.raise_ import retract
from backend.alerts.reconsider import SHORT_RULE
from backend.audit.record import record
from backend.dashboards.frame import Role
from backend.dashboards.views import Choice
from backend.dashboards.visible import Sight
from backend.errors import Conflict, Forbidden, NotFound, Unprocessable
from backend.feeds.orders import publish
from backend.people.hold import hold
from backend.state.refresh import refresh
from backend.supply.reorder import review, reviewed, step
from backend.supply.tables import Reorder

CANCEL = Choice("cancelled", "Cancel the order")
LOST = Choice("cancelled", "Lost on its way")
AGAIN = Choice("again", "Order again")
MOVES = {
    Role.MANUFACTURER: {
        "placed": (Choice("acknowledged", "Acknowledge"), Choice("shipped", "Shipped")),
        "acknowledged": (Choice("shipped", "Shipped"),),
    },
    Role.CLINICIAN: {
        "proposed": (Choice("placed", "Place the order"), CANCEL),
        "placed": (CANCEL,),
        "acknowledged": (CANCEL,),
        "shipped": (Choice("delivered", "Confirm delivery"), LOST),
        "cancelled": (AGAIN,),
    },
    Role.PATIENT: {"shipped": (Choice("delivered", "It has arrived"),)},
}


class NotYours(Forbidden):
    """This step is another's to do, or the order has moved on."""


class NoConsent(Unprocessable):
    """The patient has not agreed to supply by this manufacturer."""


class NothingToOrder(Conflict):
    """There is enough on hand, an order is open already, or nothing is prescribed."""


def moves_of(role: str, state: str) -> tuple[Choice, ...]:
    """Return the states into which this role may bring an order from its state."""
    return MOVES.get(Role(role), {}).get(state, ())


def move_order(sight: Sight, reorder_id: UUID, state: str) -> UUID:
    """Bring an order into its next state, tell its manufacturer, return the patient.

    A manufacturer acknowledges and ships, a patient or clinician confirms delivery, a
    clinician places what was proposed, cancels, gives up as lost what was shipped, or
    orders again what was cancelled: a new order. Raises NotFound, NotYours,
    NoConsent, NothingToOrder and NoSuchStep.
    """
    session, reader, now = sight.session, sight.reader, sight.now
    patient_id = _whose(sight, reorder_id)
    if not hold(session, [patient_id]):
        raise NotFound("There is no such order.")
    order = session.get_one(Reorder, (patient_id, reorder_id))
    if state not in {move.value for move in moves_of(reader.role, order.state)}:
        raise NotYours(f"This order is {order.state}.")
    if state == AGAIN.value:
        _order_again(sight, order)
    else:
        _step(sight, order, state)
    refresh(session, [patient_id], now=now)
    record(
        session,
        reader.actor(),
        "reorder_moved",
        patients=[patient_id],
        clinic_id=order.clinic_id,
        detail={"reorder_id": str(reorder_id), "state": state},
    )
    return patient_id


def _step(sight: Sight, order: Reorder, state: str) -> None:
    session, now, patient_id = sight.session, sight.now, order.patient_id
    actor, before = sight.reader.actor(), order.state
    step(session, patient_id, order.reorder_id, state, actor=actor, now=now)
    if not publish(session, order, now=now) and state == "placed":
        raise NoConsent("The patient has not agreed to supply by this manufacturer.")
    if state == "delivered":
        _no_longer_short(sight, order, "delivered")
    if before == "shipped":  # what is lost is still needed
        for opened in review(session, [(patient_id, order.gtin)], now=now):
            publish(session, opened, now=now)


def _order_again(sight: Sight, order: Reorder) -> None:
    """Open a new order for what was cancelled; raises NothingToOrder."""
    session, now = sight.session, sight.now
    holding = order.patient_id, order.gtin
    asker = sight.reader.actor()
    opened = reviewed(session, [holding], now=now, asked_by=asker).opened
    if not opened:
        raise NothingToOrder("There is enough on hand, or an order is open already.")
    _no_longer_short(sight, order, "ordered again")
    for one in opened:
        publish(session, one, now=now)


def _no_longer_short(sight: Sight, order: Reorder, because: str) -> None:
    warned = order.patient_id, f"{SHORT_RULE}:{order.gtin}"
    retract(sight.session, [warned], because=because, now=sight.now)


def _whose(sight: Sight, reorder_id: UUID) -> UUID:
    given = {"order": reorder_id}
    where = ["o.reorder_id = :order"]
    found = (
        sight.orders("o.patient_id", where, given=given)
        if sight.reader.role == Role.MANUFACTURER
        else sight.rows(
            "o.patient_id", "reorder o", where, of="o.patient_id", given=given
        )
    )
    if not found:
        raise NotFound("There is no such order.")
    return found[0]["patient_id"]
