"""Implementation, persistence and adherence of a cohort by day, each with its band."""

from collections.abc import Sequence
from math import isfinite

from analytics.adherence.curves import Curves
from analytics.adherence.persistence import Curve
from backend.dashboards.charts import palette
from backend.dashboards.charts.chart import NARROW, WIDE, Chart, Json, Spec, framed
from backend.dashboards.charts.palette import COLOURS, DoseState

# The lines differ in their dashes, not only in their colour.
STYLES: dict[str, tuple[str, str, list[int]]] = {
    "implementation": (palette.HEART, palette.HEART_BAND, [2, 3]),
    "persistence": (palette.STOCK, palette.STOCK_BAND, [7, 4]),
    "adherence": (COLOURS[DoseState.TAKEN], palette.WINDOW, [1, 0]),
}
APART = 8  # per cent between the names of two lines
TOLD_DAYS = (30, 90, 180, 365)


def adherence_curves(curves: Curves) -> Chart:
    """Return the three curves with their bands, in per cent of people, by day.

    Days on which nobody is left to tell are not drawn.
    """
    all_of = (curves.implementation, curves.persistence, curves.adherence)

    def draw(width: int, ticks: int) -> Spec:
        layers: list[Json] = [layer for each in all_of for layer in _band(each, ticks)]
        layers += [_line(each, ticks) for each in all_of]
        layers.append(_names(all_of))
        return framed({"height": 260, "layer": layers}, width=width)

    return Chart(
        title="Implementation, persistence and adherence",
        summary=_summary(curves),
        wide=draw(WIDE, 10),
        narrow=draw(NARROW, 4),
        columns=("Day", "Implementation", "Persistence", "Adherence", "People"),
        rows=tuple(
            (
                *(str(day), *(_told(each, day) for each in all_of)),
                str(int(curves.implementation.people[day])),
            )
            for day in _days(curves.adherence)
        ),
    )


def _band(curve: Curve, ticks: int) -> list[Json]:
    ink = STYLES[curve.name][1]
    area: Spec = {
        "data": _points(curve),
        "mark": {"type": "area", "color": ink, "aria": False},
        "encoding": {
            "x": _x(ticks),
            "y": {**_y(), "field": "low"},
            "y2": {"field": "high"},
        },
    }
    return [area]


def _line(curve: Curve, ticks: int) -> Spec:
    ink, _, dashes = STYLES[curve.name]
    dash: list[Json] = list(dashes)
    mark: Spec = {"type": "line", "color": ink, "strokeWidth": 2, "aria": False}
    mark |= {"strokeDash": dash} if dashes != [1, 0] else {}
    encoding: Spec = {"x": _x(ticks), "y": {**_y(), "field": "value"}}
    return {"data": _points(curve), "mark": mark, "encoding": encoding}


def _names(curves: Sequence[Curve]) -> Spec:
    """Return the curves' names at their ends, moved apart where they would touch."""
    ends = {
        curve.name: (shown[-1], float(curve.value[shown[-1]]) * 100)
        for curve in curves
        if (shown := [d for d in range(len(curve.value)) if isfinite(curve.value[d])])
    }
    values: list[Json] = []
    least = 0.0
    for name in sorted(ends, key=lambda name: ends[name][1]):
        day, at = ends[name]
        at = max(at, least)
        least = at + APART
        values.append({"day": day, "value": at, "name": name})
    names: list[Json] = list(STYLES)
    inks: list[Json] = [style[0] for style in STYLES.values()]
    scale: Spec = {"domain": names, "range": inks}
    return {
        "data": {"values": values},
        "mark": {"type": "text", "align": "left", "dx": 6, "fontSize": 12}
        | {"aria": False},
        "encoding": {
            "x": {"field": "day", "type": "quantitative"},
            "y": {"field": "value", "type": "quantitative"},
            "text": {"field": "name"},
            "color": {"field": "name", "legend": None, "scale": scale},
        },
    }


def _points(curve: Curve) -> Spec:
    values: list[Json] = [
        {
            "day": day,
            "value": round(float(curve.value[day]) * 100, 3),
            "low": round(float(curve.low[day]) * 100, 3),
            "high": round(float(curve.high[day]) * 100, 3),
        }
        for day in range(len(curve.value))
        if isfinite(curve.value[day])
    ]
    return {"values": values}


def _x(ticks: int) -> Spec:
    axis: Spec = {"tickCount": ticks, "title": "Days since the first dose"}
    axis |= {"grid": False}
    scale: Spec = {"nice": False}
    return {"field": "day", "type": "quantitative", "axis": axis, "scale": scale}


def _y() -> Spec:
    axis: Spec = {"tickCount": 5, "title": "Per cent of people"}
    scale: Spec = {"domain": [0, 100]}
    return {"type": "quantitative", "axis": axis, "scale": scale}


def _days(curve: Curve) -> list[int]:
    last = len(curve.value) - 1
    return [day for day in TOLD_DAYS if day <= last and isfinite(curve.value[day])]


def _told(curve: Curve, day: int) -> str:
    value, low, high = (float(row[day]) for row in (curve.value, curve.low, curve.high))
    return f"{value:.1%} ({low:.1%} to {high:.1%})"


def _summary(curves: Curves) -> str:
    days = _days(curves.adherence)
    if not days:
        return "Nobody was followed for 30 days."
    day = days[-1]
    told = [
        f"{each.name} {float(each.value[day]):.0%}"
        for each in (curves.implementation, curves.persistence, curves.adherence)
    ]
    level = curves.adherence.level
    return f"On day {day}: {', '.join(told)}; bands of {level:.0%} a day."
