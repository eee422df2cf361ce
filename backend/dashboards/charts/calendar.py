"""A calendar of dose-days: weeks down, weekdays across, doses taken in each."""

from collections.abc import Sequence
from datetime import date, timedelta

from analytics.adherence.dose_days import Day
from backend.dashboards.charts.chart import NARROW, Chart, Json, Spec, framed
from backend.dashboards.charts.days import told_day
from backend.dashboards.charts.palette import COLOURS, DoseState

BESIDE = 520
ROW = 24
WEEKDAYS: tuple[str, ...] = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
STATES = (
    DoseState.TAKEN,
    DoseState.LATE_TAKEN,
    DoseState.MISSED,
    DoseState.EXTRA,
    DoseState.UNKNOWN,
    DoseState.NONE,
)
WORDS = {
    DoseState.TAKEN: "all taken",
    DoseState.LATE_TAKEN: "some missed",
    DoseState.MISSED: "none taken",
    DoseState.EXTRA: "more than prescribed",
    DoseState.UNKNOWN: "unknown",
    DoseState.NONE: "no dose due",
}


def calendar(days: Sequence[Day]) -> Chart:
    """Return a cell a dose-day with the doses taken of those expected, as 1/2.

    The number tells what the colour does; a day that is unknown has a question mark.
    """

    def draw(width: int) -> Spec:
        weeks = len({_monday(day.day) for day in days})
        spec: Spec = {"height": ROW * max(weeks, 1), "layer": _layers(days)}
        return framed(spec, width=width)

    return Chart(
        title="Doses by day",
        summary=_summary(days),
        wide=draw(BESIDE),
        narrow=draw(NARROW),
        columns=("Day", "Taken", "Expected", ""),
        rows=tuple(_row(day) for day in days),
    )


def state_of(day: Day) -> DoseState:
    """Return what a day's doses amount to."""
    if day.non_monitored or day.expected is None:
        return DoseState.UNKNOWN
    if day.corrected > day.expected:
        return DoseState.EXTRA
    if not day.expected:
        return DoseState.NONE
    if day.corrected == day.expected:
        return DoseState.TAKEN
    return DoseState.LATE_TAKEN if day.corrected > 0 else DoseState.MISSED


def _layers(days: Sequence[Day]) -> list[Json]:
    values: list[Json] = [_cell(day) for day in days]
    order: list[Json] = list(WEEKDAYS)
    x: Spec = {
        "field": "weekday",
        "type": "ordinal",
        "sort": order,
        "axis": {"title": None, "orient": "top", "labelAngle": 0, "domain": False}
        | {"ticks": False},
        "scale": {"domain": order, "paddingInner": 0.08},
    }
    y: Spec = {
        "field": "week",
        "type": "ordinal",
        "axis": {
            "title": None,
            "domain": False,
            "ticks": False,
            "minExtent": 52,  # a browser's letters may be wider than ours
            "labelExpr": "slice(datum.label, 0, -5)",  # the year is in the sentence
        },
        "sort": {"field": "monday"},
        "scale": {"paddingInner": 0.12},
    }
    states: list[Json] = [state.value for state in STATES]
    inks: list[Json] = [COLOURS[state] for state in STATES]
    scale: Spec = {"domain": states, "range": inks}
    place: Spec = {"x": x, "y": y}
    return [
        {
            "data": {"values": values},
            "mark": {"type": "rect", "cornerRadius": 2, "filled": False}
            | {"strokeWidth": 1.5},
            "encoding": {
                **place,
                "stroke": {"field": "state", "legend": None, "scale": scale},
                "description": {"field": "told"},
            },
        },
        {
            "data": {"values": values},
            "mark": {"type": "text", "fontSize": 11, "aria": False},
            "encoding": {
                **place,
                "text": {"field": "text"},
                "color": {"field": "state", "legend": None, "scale": scale},
            },
        },
    ]


def _cell(day: Day) -> Spec:
    state = state_of(day)
    unknown = state == DoseState.UNKNOWN
    monday = _monday(day.day)
    text = "?" if unknown else f"{day.corrected}/{day.expected}"
    if state == DoseState.NONE:
        text = "-"
    return {
        "weekday": WEEKDAYS[day.day.weekday()],
        "week": f"{monday:%-d %b %Y}",
        "monday": monday.isoformat(),
        "state": state.value,
        "text": text,
        "told": f"{told_day(day.day)}, {WORDS[state]}",
    }


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _summary(days: Sequence[Day]) -> str:
    if not days:
        return "No days."
    states = [state_of(day) for day in days]
    told = [
        f"{states.count(state)} {WORDS[state]}" for state in STATES if state in states
    ]
    return (
        f"{len(days)} days from {days[0].day:%-d %B %Y} "
        f"to {days[-1].day:%-d %B %Y}: {', '.join(told)}."
    )


def _row(day: Day) -> tuple[str, ...]:
    expected = "not known" if day.expected is None else str(day.expected)
    taken = "not monitored" if day.non_monitored else str(day.corrected)
    return told_day(day.day), taken, expected, WORDS[state_of(day)]
