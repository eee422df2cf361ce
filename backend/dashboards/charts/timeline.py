"""Doses and heart rate over the same days, on one time axis."""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import groupby, pairwise
from typing import TypeVar
from zoneinfo import ZoneInfo

from backend.dashboards.charts import palette
from backend.dashboards.charts.axis import (
    DAY,
    DoseMark,
    HeartRateBin,
    Span,
    TimeAxis,
    Window,
)
from backend.dashboards.charts.chart import NARROW, WIDE, Chart, Json, Spec, framed
from backend.dashboards.charts.days import hour_axis
from backend.dashboards.charts.palette import COLOURS, SHAPES, WORDS, DoseState

T = TypeVar("T")


def timeline(
    *,
    doses: Sequence[DoseMark],
    windows: Sequence[Window],
    heart_rate: Sequence[HeartRateBin],
    silences: Sequence[Span] = (),
    first: datetime,
    last: datetime,
    zone: ZoneInfo,
    day_starts: time = time(3),
) -> Chart:
    """Return doses by time of day above heart rate, over `first` to `last`.

    A dose lies at its instant and its local time of day, counted from the start of the
    dose-day, so that a dose after midnight belongs to the evening before. Where the
    heart rate was not measured the line is broken, not bridged.
    """
    axis = TimeAxis(first, last, zone, day_starts)

    def draw(width: int, ticks: int) -> Spec:
        upper = _doses(axis, doses, windows, silences, width=width, ticks=ticks)
        lower = _heart_rate(axis, heart_rate, width=width, ticks=ticks)
        panels: list[Json] = [upper, lower] if heart_rate else [upper]
        spec: Spec = {
            "vconcat": panels,
            "spacing": 14,
            "resolve": {"scale": {"x": "shared"}},
            "autosize": {"type": "pad"},
        }
        framing = framed(spec, width=width)
        del framing["width"]  # a concatenation has none: its panels do
        return framing

    return Chart(
        title="Doses and heart rate",
        summary=_summary(axis, doses, heart_rate),
        wide=draw(WIDE, 10),
        narrow=draw(NARROW, 4),
        columns=("Day", "Doses", "Heart rate, median (5th to 95th percentile)"),
        rows=_rows(axis, doses, heart_rate),
    )


def _doses(
    axis: TimeAxis,
    doses: Sequence[DoseMark],
    windows: Sequence[Window],
    silences: Sequence[Span],
    *,
    width: int,
    ticks: int,
) -> Spec:
    start = axis.day_starts.hour
    y = hour_axis(start)
    x = axis.encoding(labels=False, ticks=ticks)
    states = list(DoseState)
    scale = {
        "color": _scale([COLOURS[state] for state in states]),
        "shape": _scale([SHAPES[state] for state in states]),
    }
    size = _mark_area(axis, width)
    layers: list[Json] = [
        {
            "data": {"values": [_span(axis, span) for span in silences]},
            "mark": {"type": "rect", "fill": "url(#hatch)", "aria": False},
            "encoding": {"x": x, "x2": {"field": "x2"}},
        },
        {
            "data": {"values": [_window(axis, window) for window in windows]},
            "mark": {"type": "rect", "fill": palette.WINDOW, "aria": False},
            "encoding": {
                "x": x,
                "x2": {"field": "x2"},
                "y": y,
                "y2": {"field": "hour2"},
            },
        },
        {
            "data": {"values": [_dose(axis, dose) for dose in _noteworthy_last(doses)]},
            "mark": {"type": "point", "filled": True, "opacity": 1, "size": size},
            "encoding": {
                "x": x,
                "y": y,
                "color": {"field": "state", "legend": None, "scale": scale["color"]},
                "shape": {"field": "state", "legend": None, "scale": scale["shape"]},
                "description": {"field": "told"},
            },
        },
    ]
    return {"width": width - 60, "height": 190, "layer": layers}


def _heart_rate(
    axis: TimeAxis, bins: Sequence[HeartRateBin], *, width: int, ticks: int
) -> Spec:
    x = axis.encoding(labels=True, ticks=ticks)
    y: Spec = {
        "type": "quantitative",
        "title": "Heart rate /min",
        "scale": {"zero": False, "nice": True},
        "axis": {"tickCount": 4},
    }
    run: Spec = {"field": "run", "type": "nominal"}
    layers: list[Json] = [
        {
            "mark": {"type": "area", "color": palette.HEART_BAND, "aria": False},
            "encoding": {
                "x": x,
                "y": {**y, "field": "low"},
                "y2": {"field": "high"},
                "detail": run,
            },
        },
        {
            "mark": {"type": "line", "color": palette.HEART, "strokeWidth": 2}
            | {"aria": False},
            "encoding": {"x": x, "y": {**y, "field": "median"}, "detail": run},
        },
    ]
    values: list[Json] = []
    values.extend(_points(axis, bins))
    return {
        "width": width - 60,
        "height": 130,
        "data": {"values": values},
        "layer": layers,
    }


def _mark_area(axis: TimeAxis, width: int) -> int:
    """Return square pixels that let a day's mark stand beside its neighbour's."""
    days = max((axis.last - axis.first) / DAY, 1)
    side = min(max(width / days, 5), 12)
    return round(side * side)


def _noteworthy_last(doses: Sequence[DoseMark]) -> list[DoseMark]:
    """Return the doses so that what needs a look is drawn over what does not."""
    plain = (DoseState.ON_TIME, DoseState.TAKEN, DoseState.PENDING)
    return sorted(doses, key=lambda dose: dose.state not in plain)


def _scale(values: list[str]) -> Spec:
    return {"domain": [state.value for state in DoseState], "range": list(values)}


def _span(axis: TimeAxis, span: Span) -> Spec:
    return {"x": axis.x(span.start), "x2": axis.x(span.until)}


def _window(axis: TimeAxis, window: Window) -> Spec:
    day = datetime.combine(axis.dose_day(window.opens_at), axis.day_starts, axis.zone)
    opens = axis.hour(window.opens_at)
    hours = (window.closes_at - window.opens_at) / timedelta(hours=1)
    return {
        "x": axis.x(day),
        "x2": axis.x(day + DAY),
        "hour": opens,
        "hour2": min(round(opens + hours, 3), axis.day_starts.hour + 24),
    }


def _dose(axis: TimeAxis, dose: DoseMark) -> Spec:
    wall = axis.wall(dose.at)
    return {
        "x": axis.x(dose.at),
        "hour": axis.hour(dose.at),
        "state": dose.state.value,
        "told": f"{wall:%a %-d %b %H:%M}, {WORDS[dose.state]}",
    }


def _points(axis: TimeAxis, bins: Sequence[HeartRateBin]) -> list[Spec]:
    """Return the line's points: a run ends where the next bin does not follow on."""
    points: list[Spec] = []
    run = 0
    for bin_, following in pairwise([*bins, None]):
        if bin_ is None:
            continue
        points.append(_point(axis, bin_, bin_.start, run))
        if following is None or following.start > bin_.until:
            points.append(_point(axis, bin_, bin_.until, run))
            run += 1
    return points


def _point(axis: TimeAxis, bin_: HeartRateBin, at: datetime, run: int) -> Spec:
    return {
        "x": axis.x(at),
        "low": bin_.low,
        "median": bin_.median,
        "high": bin_.high,
        "run": run,
    }


def _summary(
    axis: TimeAxis, doses: Sequence[DoseMark], bins: Sequence[HeartRateBin]
) -> str:
    count = Counter(dose.state for dose in doses)
    told = [f"{count[state]} {WORDS[state]}" for state in DoseState if count[state]]
    first, last = axis.wall(axis.first), axis.wall(axis.last)
    sentence = (
        f"From {first:%-d %B %Y} to {last:%-d %B %Y}: {', '.join(told) or 'no doses'}."
    )
    if not bins:
        return sentence + " No heart rate was recorded."
    low, high = min(bin_.low for bin_ in bins), max(bin_.high for bin_ in bins)
    return f"{sentence} Heart rate mostly between {low:.0f} and {high:.0f} a minute."


def _rows(
    axis: TimeAxis, doses: Sequence[DoseMark], bins: Sequence[HeartRateBin]
) -> tuple[tuple[str, ...], ...]:
    told = _by_day(axis, doses, lambda dose: dose.at)
    beats = _by_day(axis, bins, lambda bin_: bin_.start)
    return tuple(
        (
            f"{day:%a %-d %b %Y}",
            "; ".join(
                f"{axis.wall(dose.at):%H:%M} {WORDS[dose.state]}"
                for dose in told.get(day, [])
            )
            or "none",
            _beats(beats.get(day, [])),
        )
        for day in sorted(told.keys() | beats.keys(), reverse=True)
    )


def _by_day(
    axis: TimeAxis, items: Sequence[T], at: Callable[[T], datetime]
) -> dict[date, list[T]]:
    ordered = sorted(items, key=at)
    grouped = groupby(ordered, key=lambda item: axis.dose_day(at(item)))
    return {day: list(of_day) for day, of_day in grouped}


def _beats(bins: Sequence[HeartRateBin]) -> str:
    if not bins:
        return "not measured"
    medians = sorted(bin_.median for bin_ in bins)
    low, high = min(bin_.low for bin_ in bins), max(bin_.high for bin_ in bins)
    return f"{medians[len(medians) // 2]:.0f} ({low:.0f} to {high:.0f})"
