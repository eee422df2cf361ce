"""What one patient was given of a medicine, and how much of the time it covered."""

from datetime import date, datetime, timedelta
from uuid import UUID

import numpy as np

from analytics.adherence.cma import Cma, cma
from analytics.adherence.dispensing import CarryOver, Dispensings, Windows
from backend.dashboards.charts.chart import Chart
from backend.dashboards.charts.medication import Supply, Window, medication
from backend.dashboards.visible import Sight
from backend.doses.days import Span

DAY = timedelta(days=1)
EPOCH = date(1970, 1, 1)


def medication_chart(
    sight: Sight, patient_id: UUID, regimen_id: UUID, span: Span
) -> Chart | None:
    """Return the packs dispensed as a timeline, with CMA7 of the span.

    None where none is known, or not how long one lasts: by the use a day of the stock.
    """
    rows = sight.rows(
        "e.occurred_at, e.amount, s.use_per_day, p.name",
        """regimen g JOIN product p USING (gtin)
        JOIN stock s ON s.patient_id = g.patient_id AND s.gtin = g.gtin
        JOIN stock_entry e ON e.patient_id = g.patient_id AND e.gtin = g.gtin""",
        (
            "g.patient_id = :patient AND g.regimen_id = :regimen",
            "e.kind = 'dispensed' AND e.amount > 0 AND s.use_per_day > 0",
        ),
        of="g.patient_id",
        order="e.occurred_at",
        given={"patient": patient_id, "regimen": regimen_id},
    )
    if not rows:
        return None
    supplies = [
        Supply(
            _day(row["occurred_at"]),
            float(row["amount"] / row["use_per_day"]),
            row["name"],
        )
        for row in rows
    ]
    observed = Window("observation", span.first, span.last + DAY)
    return medication(supplies, observation=observed, estimate=_cma7(supplies, span))


def _day(at: datetime) -> date:
    return at.date()


def _cma7(supplies: list[Supply], span: Span) -> str:
    """Return CMA7 in words; nothing where no supply begins before the span ends."""
    days = np.array([(each.day - EPOCH).days for each in supplies], dtype=float)
    start, end = ((day - EPOCH).days for day in (span.first, span.last + DAY))
    begun = days[days <= end]
    if not len(begun):
        return ""
    first = min(float(begun[0]), float(start))
    edges = (np.array([float(day)]) for day in (first, end, start, end))
    events = Dispensings(
        np.array([0, len(begun)]),
        begun,
        np.array([each.lasts for each in supplies[: len(begun)]]),
    )
    found = cma(events, Windows(*edges), [Cma.CMA7], CarryOver())[Cma.CMA7]
    value = float(found.value[0])
    return "" if np.isnan(value) else f"CMA7 {value:.2f} in the days shaded"
