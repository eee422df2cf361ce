"""A cohort's report and a patient's one page as documents, from the pages' values."""

from datetime import datetime

from analytics.adherence.emerge import BY_AUTHOR, Emerge, Item
from analytics.adherence.people import Spread
from backend.dashboards.charts.adherence_curves import adherence_curves
from backend.dashboards.charts.chart import Chart
from backend.dashboards.render import day
from backend.dashboards.views_adherence import PatientAdherencePage
from backend.reports.typeset import typeset

LENGTHS = (90, 180, 365, 730)  # days from the first dose that a reader may choose


def emerge_document(report: Emerge, *, at: datetime) -> bytes:
    """Return the report of a cohort as PDF."""
    chart = people_chart(report)
    values: dict[str, object] = {
        "title": report.title,
        "source": report.source,
        "foot": f"{report.title}, made {at:%-d %B %Y}",
        "criteria": [
            {"number": item.number, "asks": item.asks, "says": item.says}
            for item in report.criteria
        ],
        "items": [[*_cells(item)] for item in report.items],
        "rows": spread_rows(report),
    }
    return typeset("emerge.typ", values, [chart] if chart else [], at=at)


def patient_document(page: PatientAdherencePage, *, at: datetime) -> bytes:
    """Return one page about one patient's medicine as PDF."""
    who = [page.name, page.identifier, page.born_on and f"born {day(page.born_on)}"]
    span = f"{day(page.first)} to {day(page.last)}"
    values: dict[str, object] = {
        "title": "How doses were taken",
        "who": " · ".join(part for part in (*who, span) if part),
        "regimen": page.regimen,
        "foot": f"{page.name}, made {at:%-d %B %Y}",
        "figures": [
            [row.name, row.value, row.interval, row.rests_on] for row in page.figures
        ],
    }
    return typeset("patient.typ", values, page.charts[:3], at=at)


def people_chart(report: Emerge) -> Chart | None:
    """Return the curves of a cohort, None where nobody took a first dose."""
    found = report.findings.curves
    return None if found is None else adherence_curves(found)


def spread_rows(report: Emerge) -> tuple[tuple[str, ...], ...]:
    """Return the measures over people in words, one row each."""
    return tuple(_spread(spread) for spread in report.findings.implementation)


def _spread(spread: Spread) -> tuple[str, ...]:
    share = spread.name != "drug holidays"

    def number(value: float | None) -> str:
        if value is None:
            return "not known"
        return f"{100 * value:.1f}\u00a0%" if share else f"{value:.2f}"

    interval = spread.interval
    return (
        spread.name.capitalize(),
        str(spread.people),
        number(spread.mean),
        ""
        if interval is None
        else f"{number(interval.low)} to {number(interval.high)}",
        number(spread.median),
        f"{number(spread.lower_quartile)} to {number(spread.upper_quartile)}",
    )


def _cells(item: Item) -> tuple[str, ...]:
    says = " ".join((*item.says, *([BY_AUTHOR] if item.author else [])))
    return item.number, item.section, item.asks, says
