"""A histogram of the times between doses."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from backend.dashboards.charts import palette
from backend.dashboards.charts.chart import NARROW, Chart, Json, Spec, framed

BESIDE = 520
BINS = 12  # to an interval
LONGEST = 3  # intervals; what is longer stands in the last bar


def interval_histogram(
    gaps: Sequence[tuple[datetime, datetime]],
    *,
    interval: timedelta,
    within: float = 0.25,
) -> Chart:
    """Return how many times between doses were how long, in bars of a twelfth.

    `gaps` as `known_gaps` gives them. The prescribed interval is ruled, and shaded as
    far as counts as timely. Three intervals or more stand in one last bar.
    """
    step = interval / BINS
    places = [min((until - at) // step, BINS * LONGEST) for at, until in gaps]
    bars = sorted(Counter(places).items())

    def draw(width: int, ticks: int) -> Spec:
        layers = _layers(bars, interval, within, ticks)
        return framed({"height": 160, "layer": layers}, width=width)

    return Chart(
        title="Times between doses",
        summary=_summary(gaps, interval, within),
        wide=draw(BESIDE, 10),
        narrow=draw(NARROW, 5),
        columns=("Hours between two doses", "How often"),
        rows=tuple((_told(place, step), str(count)) for place, count in bars),
    )


def _layers(
    bars: Sequence[tuple[int, int]], interval: timedelta, within: float, ticks: int
) -> list[Json]:
    hours = interval / timedelta(hours=1)
    step = hours / BINS
    x: Spec = {
        "field": "from",
        "type": "quantitative",
        "title": "Hours between two doses",
        "scale": {"domain": [0, hours * LONGEST + step], "nice": False},
        "axis": {"tickCount": ticks, "grid": False},
    }
    y: Spec = {
        "field": "count",
        "type": "quantitative",
        "title": "How often",
        "axis": {"tickCount": 4, "tickMinStep": 1},
    }
    values: list[Json] = [
        {
            "from": place * step,
            "to": (place + 1) * step,
            "count": count,
            "told": f"{_told(place, interval / BINS)} hours: {count}",
        }
        for place, count in bars
    ]
    near: Spec = {"from": hours * (1 - within), "to": hours * (1 + within)}
    bar: Spec = {"type": "rect", "color": palette.STOCK, "xOffset": 0.5}
    rule: Spec = {"type": "rule", "color": palette.LIMIT, "strokeDash": [2, 3]}
    rule |= {"strokeWidth": 1.5, "aria": False}
    return [
        {
            "data": {"values": [near]},
            "mark": {"type": "rect", "fill": palette.WINDOW, "aria": False},
            "encoding": {"x": x, "x2": {"field": "to"}},
        },
        {
            "data": {"values": values},
            "mark": bar,
            "encoding": {
                "x": x,
                "x2": {"field": "to"},
                "y": y,
                "y2": {"datum": 0},
                "description": {"field": "told"},
            },
        },
        {
            "data": {"values": [{"from": hours}]},
            "mark": rule,
            "encoding": {"x": {"field": "from", "type": "quantitative"}},
        },
    ]


def _told(place: int, step: timedelta) -> str:
    low = place * step / timedelta(hours=1)
    if place >= BINS * LONGEST:
        return f"{low:g} or more"
    return f"{low:g} to {low + step / timedelta(hours=1):g}"


def _summary(
    gaps: Sequence[tuple[datetime, datetime]], interval: timedelta, within: float
) -> str:
    if not gaps:
        return "No two doses follow each other in a known time."
    near = sum(abs(until - at - interval) <= within * interval for at, until in gaps)
    hours = interval / timedelta(hours=1)
    return (
        f"{near} of {len(gaps)} times between doses lie within {within:.0%} "
        f"of the prescribed {hours:g} hours."
    )
