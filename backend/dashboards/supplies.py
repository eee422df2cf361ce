"""What a patient has on hand, how it runs down, and which orders are under way."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import accumulate
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping

from backend.dashboards.charts.chart import Chart
from backend.dashboards.charts.stock import StockLevel, stock
from backend.dashboards.move import moves_of
from backend.dashboards.render import short_day
from backend.dashboards.views import PatientOrder, StockRow
from backend.dashboards.visible import Sight
from backend.dashboards.words import unit

DAY = timedelta(days=1)
BACK = 30
AHEAD = 60
ORDER_WORDS = {
    "proposed": "proposed, waits for somebody's decision",
    "placed": "placed",
    "acknowledged": "acknowledged by the manufacturer",
    "shipped": "shipped",
}


def stocks_of(sight: Sight, patient_id: UUID) -> Sequence[RowMapping]:
    """Return what is on hand of each product, what ends first in front."""
    return sight.rows(
        """s.gtin, s.on_hand, s.estimated, s.use_per_day, s.run_out_on,
        s.run_out_early, s.run_out_late, p.name, p.unit, o.state AS order_state,
        o.packs, o.changed_at, o.why""",
        """stock s JOIN product p USING (gtin)
        LEFT JOIN LATERAL (SELECT state, packs, changed_at, why FROM reorder o
            WHERE o.patient_id = s.patient_id AND o.gtin = s.gtin
            ORDER BY o.opened_at DESC LIMIT 1) o ON true""",
        ("s.patient_id = :patient",),
        of="s.patient_id",
        order="s.run_out_on NULLS LAST, s.gtin",
        given={"patient": patient_id},
    )


def stock_row(row: RowMapping, zone: str) -> StockRow:
    state = row["order_state"]
    order = None
    if state in ORDER_WORDS:
        changed = row["changed_at"].astimezone(ZoneInfo(zone)).date()
        packs = f"{row['packs']} pack{'' if row['packs'] == 1 else 's'}"
        order = f"order of {packs} {ORDER_WORDS[state]} on {short_day(changed)}"
    return StockRow(
        product=row["name"],
        on_hand=row["on_hand"],
        unit=unit(row["unit"]),
        estimated=row["estimated"],
        run_out_on=row["run_out_on"],
        run_out_early=row["run_out_early"],
        run_out_late=row["run_out_late"],
        order=order,
    )


def orders_of(sight: Sight, patient_id: UUID) -> tuple[PatientOrder, ...]:
    """Return the patient's open orders and the latest closed ones, newest first."""
    rows = sight.rows(
        """o.reorder_id, o.state, o.packs, o.opened_at, o.changed_at, p.name,
        o.state <> 'cancelled'
            OR s.on_hand < CAST(o.why ->> 'reorder_point' AS numeric)
            AND NOT EXISTS (SELECT FROM reorder n WHERE n.patient_id = o.patient_id
                AND n.gtin = o.gtin AND n.opened_at > o.opened_at) AS needed""",
        """reorder o JOIN product p USING (gtin)
        LEFT JOIN stock s USING (patient_id, gtin)""",
        ("o.patient_id = :patient",),
        of="o.patient_id",
        order="o.opened_at DESC",
        most=5,
        given={"patient": patient_id},
    )
    return tuple(
        PatientOrder(
            reorder_id=row["reorder_id"],
            what=f"{row['packs']} x {row['name']}",
            state=row["state"],
            changed_at=row["changed_at"],
            moves=moves_of(sight.reader.role, row["state"]) if row["needed"] else (),
        )
        for row in rows
    )


def stock_chart(
    sight: Sight, patient_id: UUID, row: RowMapping, zone: str
) -> Chart | None:
    """Return the stock of one product by local day, and how it is expected to end."""
    today = sight.now.astimezone(ZoneInfo(zone)).date()
    first = today - BACK * DAY
    entries = sight.rows(
        "GREATEST(CAST(e.occurred_at AT TIME ZONE :zone AS date), :first - 1) AS day, "
        "sum(e.amount) AS amount",
        "stock_entry e JOIN stock s USING (patient_id, gtin)",
        ("e.patient_id = :patient AND e.gtin = :gtin AND e.occurred_at >= s.since",),
        of="e.patient_id",
        group="1",
        order="1",
        given={
            "patient": patient_id,
            "gtin": row["gtin"],
            "zone": zone,
            "first": first,
        },
    )
    if not entries:
        return None
    known = _levels({entry["day"]: entry["amount"] for entry in entries}, today)
    return stock(
        known,
        forecast=_forecast(row["on_hand"], row["use_per_day"], today),
        reorder_point=_point(row),
        unit=unit(row["unit"]),
    )


def _levels(changes: dict[date, Decimal], today: date) -> list[StockLevel]:
    """Return the level at the end of each day, from the first change on."""
    start = min(changes)
    days = [start + n * DAY for n in range((today - start).days + 1)]
    sums = accumulate(changes.get(day, Decimal(0)) for day in days)
    levels = [
        StockLevel(day, float(level)) for day, level in zip(days, sums, strict=True)
    ]
    return levels[1:] if len(levels) > BACK + 1 else levels


def _forecast(
    on_hand: Decimal, use_per_day: Decimal | None, today: date
) -> list[StockLevel]:
    if not use_per_day:
        return []
    expected: list[StockLevel] = []
    for n in range(AHEAD + 1):
        left = max(on_hand - n * use_per_day, Decimal(0))
        expected.append(StockLevel(today + n * DAY, round(float(left), 1)))
        if not left:
            break
    return expected


def _point(row: RowMapping) -> float | None:
    """Return the reorder point of the last decision, None before there was one."""
    why: dict[str, str] = row["why"] or {}
    return float(why["reorder_point"]) if "reorder_point" in why else None
