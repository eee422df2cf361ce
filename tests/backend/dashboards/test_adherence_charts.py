"""Charts of adherence: what they say, and that pages and documents can hold them."""

import json
import re
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path

import altair
import numpy as np
import pytest
from jsonschema import validate

from analytics.adherence.curves import curves
from analytics.adherence.dose_days import Day, DayPeriod
from analytics.adherence.electronic_monitoring import known_gaps
from analytics.adherence.monitoring import Record, Regimen
from analytics.adherence.persistence import Cohort
from backend.dashboards.charts.adherence_curves import adherence_curves
from backend.dashboards.charts.calendar import calendar, state_of
from backend.dashboards.charts.chart import Chart, document_svg, inline_svg
from backend.dashboards.charts.chronology import chronicle, chronology
from backend.dashboards.charts.intervals import interval_histogram
from backend.dashboards.charts.medication import Supply, Window, medication
from backend.dashboards.charts.palette import DoseState

FIRST = date(2026, 3, 2)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)


def a_record(days: int = 28) -> Record:
    """Once daily at 8: taken but for four days in the middle, the last two unseen."""
    start = datetime(2026, 3, 2, 8, 10, tzinfo=UTC)
    raw = [start + n * DAY for n in range(days) if not 10 <= n < 14]
    raw.append(raw[0] + timedelta(minutes=2))
    last = FIRST + (days - 1) * DAY
    unseen = [DayPeriod(last - DAY, last)]
    return Record(raw, FIRST, last, Regimen(times=(time(8),)), unseen)


def a_supply(day: int, medicine: str) -> Supply:
    return Supply(FIRST + day * DAY, 30, medicine, 2)


@cache
def charts() -> dict[str, Chart]:
    record = a_record()
    taken = np.array([[True] * 60, [True] * 20 + [False] * 40, [True, False] * 30])
    cohort = Cohort.daily(taken, np.ones(taken.shape, dtype=bool))
    gaps = known_gaps([opening.at for opening in record.taken], record.unknown)
    return {
        "chronology": chronology(chronicle(record)),
        "calendar": calendar(record.days),
        "curves": adherence_curves(curves(cohort, gap=5, draws=50)),
        "intervals": interval_histogram(gaps, interval=24 * HOUR),
        "medication": medication(
            [a_supply(0, "medA"), a_supply(50, "medB"), a_supply(90, "medA")],
            follow_up=Window("follow-up", FIRST, FIRST + 200 * DAY),
            observation=Window("observation", FIRST + 20 * DAY, FIRST + 120 * DAY),
            estimate="CMA7 0.74",
        ),
    }


NAMES = ("chronology", "calendar", "curves", "intervals", "medication")
EMPTY = (
    medication([]),
    interval_histogram([], interval=24 * HOUR),
    calendar([]),
    chronology(chronicle(Record([], FIRST, FIRST))),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_chart_of_adherence_is_valid_vega_lite(name: str) -> None:
    folder = Path(altair.__file__).parent / "vegalite/v6/schema"
    schema = json.loads((folder / "vega-lite-schema.json").read_text())
    chart = charts()[name]

    for spec in (chart.wide, chart.narrow):
        validate(json.loads(json.dumps(spec)), schema)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_drawn_for_pages_without_exceptions_and_for_documents(name: str) -> None:
    chart = charts()[name]
    drawing = inline_svg(chart) + inline_svg(chart, narrow=True)

    forbidden = r"<style|<script|<image|\sstyle=|\son\w+=|https?://"
    assert re.findall(forbidden, drawing) == []
    assert document_svg(chart, width=640).startswith(b"<svg")


@pytest.mark.parametrize("name", NAMES)
def test_its_table_has_a_cell_a_column(name: str) -> None:
    chart = charts()[name]

    assert chart.rows
    assert {len(row) for row in chart.rows} == {len(chart.columns)}


@pytest.mark.parametrize("chart", EMPTY, ids=lambda chart: str(chart.title))
def test_nothing_is_drawn_as_nothing(chart: Chart) -> None:
    assert inline_svg(chart)
    assert chart.summary


def test_the_chronology_tells_openings_holidays_and_what_was_not_seen() -> None:
    chart = charts()["chronology"]

    assert chart.summary == (
        "From 2 March 2026 to 29 March 2026: 22 openings that count, 1 drug holiday, "
        "2 days not monitored."
    )
    assert chart.rows[0] == ("Mon 2 Mar 2026", "08:10", "08:12")
    assert chart.rows[-1][:2] == ("Sun 29 Mar 2026", "not monitored")
    drawing = inline_svg(chart)
    assert "<title>4 days without a dose from Thu 12 Mar 2026</title>" in drawing
    assert "<title>Mon 2 Mar 08:12, debounced</title>" in drawing


@pytest.mark.parametrize(
    ("taken", "expected", "unseen", "state"),
    [
        (2, 2, False, DoseState.TAKEN),
        (1, 2, False, DoseState.LATE_TAKEN),
        (0, 2, False, DoseState.MISSED),
        (3, 2, False, DoseState.EXTRA),
        (0, 0, False, DoseState.NONE),
        (1, 0, False, DoseState.EXTRA),
        (0, 2, True, DoseState.UNKNOWN),
        (1, None, False, DoseState.UNKNOWN),
    ],
)
def test_a_day_of_the_calendar_is_never_missed_where_it_was_not_seen(
    *, taken: int, expected: int | None, unseen: bool, state: DoseState
) -> None:
    assert state_of(Day(FIRST, taken, 0, taken, expected, unseen, None)) == state


def test_the_curves_are_told_in_numbers_with_their_bands() -> None:
    chart = charts()["curves"]

    assert chart.summary.startswith("On day 30: implementation ")
    assert chart.rows[0][0] == "30"
    assert re.fullmatch(r"[\d.]+% \([\d.]+% to [\d.]+%\)", chart.rows[0][2])


def test_times_between_doses_are_counted_in_bars() -> None:
    chart = charts()["intervals"]

    assert chart.summary == (
        "20 of 21 times between doses lie within 25% of the prescribed 24 hours."
    )
    assert chart.rows == (("24 to 26", "20"), ("72 or more", "1"))


def test_supplies_are_told_with_their_estimate() -> None:
    chart = charts()["medication"]

    assert chart.summary == "3 supplies from 2 March 2026 of medA, medB; CMA7 0.74."
    assert chart.rows[0] == ("Mon 2 Mar 2026", "Wed 1 Apr 2026", "30", "medA", "2")
