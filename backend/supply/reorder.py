"""Open the one reorder of a product when stock falls below its reorder point."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import RowMapping
from sqlmodel import Session, select

from analytics.supply import (
    Action,
    DispenseRules,
    Use,
    measured_use,
    plan_reorder,
    reorder_point,
    run_out,
)
from analytics.supply import Reorder as Plan
from backend.audit.record import Actor, decide
from backend.database.sets import execute, fetch
from backend.errors import Conflict, NotFound
from backend.supply.prescribed import prescribed
from backend.supply.tables import Product, Reorder, ReorderEvent
from backend.supply.use import Holding, dispense

OBSERVED_DAYS = 28
MOST_PACKS = 100
MOST_UNASKED = 12  # a measured amount may be a fault: more packs, a person decides
RULE = "reorder"
VERSION = 1
NEXT = {
    "proposed": {"placed", "cancelled"},
    "placed": {"acknowledged", "shipped", "cancelled"},
    "acknowledged": {"shipped", "cancelled"},
    "shipped": {"delivered", "cancelled"},
}


class NoSuchStep(Conflict):
    """An order cannot go from its present state to that one."""


@dataclass(slots=True)
class Reviewed:
    """The orders that were opened, and who runs out soon though nothing is ordered.

    `short` tells of each such holding when a person cancelled its last order.
    """

    opened: list[Reorder] = field(default_factory=list[Reorder])
    short: dict[Holding, datetime] = field(default_factory=dict[Holding, datetime])


def review(
    session: Session, holdings: Collection[Holding], *, now: datetime
) -> list[Reorder]:
    """Return the reorders that had to be opened: see `reviewed`."""
    return reviewed(session, holdings, now=now).opened


def reviewed(
    session: Session,
    holdings: Collection[Holding],
    *,
    now: datetime,
    asked_by: Actor | None = None,
) -> Reviewed:
    """Bring run-out dates up to date and open the reorders that are due.

    At most one order is open a (patient, product), and none for what is no longer
    prescribed. Without the patient's consent to supply by the manufacturer, for
    controlled drugs and for unusually many packs, an order is only proposed. Each order
    has a decision row with everything that decided it. What a person has cancelled is
    not ordered again before there was enough once more, unless a person asks for it.
    """
    found = Reviewed()
    if not holdings:
        return found
    asked = prescribed(session, holdings, now=now)
    used = _used(session, holdings, now)
    ends: list[dict[str, object]] = []
    for stock in _stocks(session, holdings, now):
        holding = stock["patient_id"], stock["gtin"]
        a_day = asked.get(holding)
        use = _use(stock, a_day or Decimal(0), used[holding], now.date())
        ends.append(_end(stock, use, now))
        plan = _plan(stock, use, now)
        if plan is None or a_day is None or stock["ordered"]:
            continue
        if asked_by is None and _refused(stock, use):
            if _ends_within_lead(stock, plan, now):
                found.short[holding] = stock["cancelled_at"]
        else:
            by = asked_by or Actor("system", None, stock["clinic_id"])
            found.opened.append(_open(session, stock, plan, by, now))
    _keep(session, ends, now)
    return found


def step(
    session: Session,
    patient_id: UUID,
    reorder_id: UUID,
    state: str,
    *,
    actor: Actor,
    now: datetime,
) -> Reorder:
    """Move an order to its next state and return it; `delivered` fills the stock.

    The patient must be held. Raises NotFound, or NoSuchStep when the order's present
    state does not lead there.
    """
    order = session.exec(
        select(Reorder)
        .where(Reorder.patient_id == patient_id)
        .where(Reorder.reorder_id == reorder_id)
    ).one_or_none()
    if order is None:
        raise NotFound("There is no such order.")
    if state not in NEXT.get(order.state, set()):
        raise NoSuchStep(f"This order is {order.state}; it cannot become {state}.")
    order.state, order.changed_at = state, now
    _tell(session, order, actor, now)
    if state == "delivered":
        product = session.get_one(Product, order.gtin)
        dispense(
            session,
            patient_id,
            order.gtin,
            order.packs * product.pack_size,
            cause=f"reorder/{reorder_id}",
            at=now,
            now=now,
        )
    session.flush()
    return order


def _plan(stock: RowMapping, use: Use, now: datetime) -> Plan | None:
    return plan_reorder(
        stock["on_hand"],
        use,
        pack_size=stock["pack_size"],
        lead_days=stock["lead_time_days"],
        safety_days=stock["safety_days"],
        as_of=now.date(),
        rules=DispenseRules(controlled=stock["controlled"], most_packs=MOST_PACKS),
    )


def _refused(stock: RowMapping, use: Use) -> bool:
    """Whether a person cancelled the last order and it was never enough since."""
    if stock["cancelled_at"] is None:
        return False
    point = reorder_point(
        use, lead_days=stock["lead_time_days"], safety_days=stock["safety_days"]
    )
    return stock["highest"] is None or stock["highest"] < point


def _ends_within_lead(stock: RowMapping, plan: Plan, now: datetime) -> bool:
    arrives = now.date() + timedelta(days=stock["lead_time_days"])
    return plan.run_out.expected is not None and plan.run_out.expected <= arrives


def _open(
    session: Session, stock: RowMapping, plan: Plan, by: Actor, now: datetime
) -> Reorder:
    usual = plan.packs <= MOST_UNASKED
    placed = plan.action is Action.PLACE and stock["consented"] and usual
    why: dict[str, object] = {
        **plan.explanation,
        "usual_quantity": usual,
        "consent": bool(stock["consented"]),
        "needed_by": plan.needed_by.isoformat(),
    }
    order = Reorder(
        patient_id=stock["patient_id"],
        clinic_id=stock["clinic_id"],
        gtin=stock["gtin"],
        packs=plan.packs,
        state="placed" if placed else "proposed",
        why=why,
        opened_at=now,
        changed_at=now,
    )
    session.add(order)
    session.flush()
    _tell(session, order, by, now)
    decide(
        session,
        patient_id=order.patient_id,
        rule=RULE,
        version=VERSION,
        inputs=why,
        outcome={
            "reorder_id": str(order.reorder_id),
            "packs": plan.packs,
            "state": order.state,
        },
        at=now,
    )
    return order


def _tell(session: Session, order: Reorder, actor: Actor, now: datetime) -> None:
    session.add(
        ReorderEvent(
            patient_id=order.patient_id,
            event_id=uuid4(),
            reorder_id=order.reorder_id,
            state=order.state,
            actor_kind=actor.kind,
            actor_id=actor.id,
            at=now,
            recorded_at=now,
        )
    )


def _stocks(
    session: Session, holdings: Collection[Holding], now: datetime
) -> Sequence[RowMapping]:
    return fetch(
        session,
        """SELECT s.patient_id, s.gtin, s.on_hand, p.pack_size, p.lead_time_days,
            p.safety_days, p.controlled, t.clinic_id, s.since,
            EXISTS (SELECT FROM reorder o WHERE o.patient_id = s.patient_id
                AND o.gtin = s.gtin
                AND o.state NOT IN ('delivered', 'cancelled')) AS ordered,
            EXISTS (SELECT FROM consent c WHERE c.patient_id = s.patient_id
                AND c.purpose = 'supply' AND c.recipient_id = p.manufacturer_id
                AND c.since <= :now AND (c.until IS NULL OR c.until > :now)
            ) AS consented, l.cancelled_at, h.highest
        FROM rows(patient_id uuid, gtin text)
        JOIN stock s USING (patient_id, gtin)
        JOIN product p USING (gtin)
        JOIN patient t USING (patient_id)
        LEFT JOIN LATERAL (SELECT reorder_id, state, changed_at FROM reorder o
            WHERE o.patient_id = s.patient_id AND o.gtin = s.gtin
            ORDER BY o.opened_at DESC, o.changed_at DESC LIMIT 1) o ON true
        LEFT JOIN LATERAL (SELECT o.changed_at AS cancelled_at FROM reorder_event e
            WHERE o.state = 'cancelled' AND e.patient_id = s.patient_id
              AND e.reorder_id = o.reorder_id
            HAVING bool_or(e.state = 'cancelled' AND e.actor_kind <> 'system')
               AND NOT bool_or(e.state = 'shipped')) l ON true
        LEFT JOIN LATERAL (SELECT max(s.on_hand - later) AS highest FROM (
            SELECT COALESCE(sum(sum(e.amount)) OVER (ORDER BY e.recorded_at DESC
                ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0) AS later
            FROM stock_entry e WHERE e.patient_id = s.patient_id AND e.gtin = s.gtin
              AND e.occurred_at >= s.since AND e.recorded_at > l.cancelled_at
            GROUP BY e.recorded_at) t) h ON true
        ORDER BY s.patient_id, s.gtin""",
        [{"patient_id": patient_id, "gtin": gtin} for patient_id, gtin in holdings],
        now=now,
    )


def _used(
    session: Session, holdings: Collection[Holding], now: datetime
) -> Mapping[Holding, Mapping[date, Decimal | None]]:
    """What was used on each day of the last weeks; None where nobody can know."""
    rows = fetch(
        session,
        """SELECT r.patient_id, r.gtin, t.day, sum(t.amount) AS amount
        FROM rows(patient_id uuid, gtin text)
        CROSS JOIN LATERAL (
            SELECT CAST(e.occurred_at AS date) AS day, -e.amount AS amount
            FROM stock_entry e
            WHERE e.patient_id = r.patient_id AND e.gtin = r.gtin
              AND e.dose_event_id IS NOT NULL
              AND e.occurred_at >= CAST(:first AS date)
              AND e.occurred_at < CAST(:today AS date)
            UNION ALL  -- a day with an unknown dose: NaN spoils its sum
            SELECT DISTINCT d.dose_day, CAST('NaN' AS numeric)
            FROM regimen g JOIN scheduled_dose d USING (patient_id, regimen_id)
            WHERE g.patient_id = r.patient_id AND g.gtin = r.gtin
              AND d.label IN ('unknown', 'pending', 'late')
              AND d.dose_day >= :first AND d.dose_day < :today) t
        GROUP BY r.patient_id, r.gtin, t.day""",
        [{"patient_id": patient_id, "gtin": gtin} for patient_id, gtin in holdings],
        first=now.date() - timedelta(days=OBSERVED_DAYS),
        today=now.date(),
    )
    days: defaultdict[Holding, dict[date, Decimal | None]] = defaultdict(dict)
    for row in rows:
        amount = None if row["amount"].is_nan() else max(row["amount"], Decimal(0))
        days[row["patient_id"], row["gtin"]][row["day"]] = amount
    return days


def _use(
    stock: RowMapping,
    a_day: Decimal,
    used: Mapping[date, Decimal | None],
    today: date,
) -> Use:
    """Daily use over all days of the span: no dose scheduled is no use."""
    first = max(stock["since"].date(), today - timedelta(days=OBSERVED_DAYS))
    span = range((today - first).days)
    return measured_use(
        [used.get(first + timedelta(days=n), Decimal(0)) for n in span],
        prescribed=a_day,
    )


def _end(stock: RowMapping, use: Use, now: datetime) -> dict[str, object]:
    return {
        "patient_id": stock["patient_id"],
        "gtin": stock["gtin"],
        "use": use.expected,
        **asdict(run_out(stock["on_hand"], use, as_of=now.date())),
    }


def _keep(
    session: Session, ends: Sequence[Mapping[str, object]], now: datetime
) -> None:
    execute(
        session,
        """UPDATE stock s SET use_per_day = r.use, run_out_on = r.expected,
            run_out_early = r.earliest, run_out_late = r.latest, updated_at = :now
        FROM rows(patient_id uuid, gtin text, use numeric, expected date,
            earliest date, latest date)
        WHERE s.patient_id = r.patient_id AND s.gtin = r.gtin""",
        ends,
        now=now,
    )
