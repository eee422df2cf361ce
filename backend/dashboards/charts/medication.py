"""The medication timeline: dispensed supplies as arrows, as AdhereR plots them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from backend.dashboards.charts import palette
from backend.dashboards.charts.chart import NARROW, WIDE, Chart, Json, Spec, framed
from backend.dashboards.charts.days import day_at, day_axis, told_day
from backend.dashboards.charts.palette import COLOURS, DoseState

ROW = 16
INKS = (
    palette.STOCK,
    COLOURS[DoseState.TAKEN],
    palette.HEART,
    COLOURS[DoseState.LATE],
    COLOURS[DoseState.EXTRA],
)
DASHES: tuple[list[int], ...] = ([], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3])


@dataclass(frozen=True)
class Supply:
    """A dispensing event: from when for how many days, which medicine, dose a day."""

    day: date
    lasts: float
    medicine: str = ""
    daily_dose: float | None = None

    @property
    def until(self) -> date:
        return self.day + timedelta(days=round(self.lasts))


@dataclass(frozen=True)
class Window:
    """Days of follow-up or observation, half-open, and what they are called."""

    name: str
    first: date
    until: date


def medication(
    supplies: Sequence[Supply],
    *,
    follow_up: Window | None = None,
    observation: Window | None = None,
    estimate: str = "",
) -> Chart:
    """Return a row a dispensing event, an arrow from its day to the end of its supply.

    Medicines differ in colour and dash. The observation window is shaded, the follow-up
    window ruled at both ends. `estimate` is what was computed, as "CMA7 0.82".
    """
    ordered = sorted(supplies, key=lambda each: (each.day, each.medicine))
    medicines = sorted({each.medicine for each in ordered})

    def draw(width: int, ticks: int) -> Spec:
        layers = _layers(ordered, medicines, follow_up, observation, ticks)
        spec: Spec = {"height": ROW * max(len(ordered), 3) + 10, "layer": layers}
        return framed(spec, width=width)

    return Chart(
        title="Medication dispensed",
        summary=_summary(ordered, medicines, estimate),
        wide=draw(WIDE, 10),
        narrow=draw(NARROW, 4),
        columns=("Dispensed", "Lasts until", "Days", "Medicine", "Dose a day"),
        rows=tuple(
            (
                *(told_day(each.day), told_day(each.until), f"{each.lasts:g}"),
                each.medicine,
                "" if each.daily_dose is None else f"{each.daily_dose:g}",
            )
            for each in ordered
        ),
    )


def _layers(
    supplies: Sequence[Supply],
    medicines: Sequence[str],
    follow_up: Window | None,
    observation: Window | None,
    ticks: int,
) -> list[Json]:
    windows = [window for window in (follow_up, observation) if window is not None]
    starts = [*(s.day for s in supplies), *(w.first for w in windows)]
    ends = [*(s.until for s in supplies), *(w.until for w in windows)]
    today = date(1970, 1, 1)
    x = day_axis(min(starts, default=today), max(ends, default=today), ticks=ticks)
    layers: list[Json] = []
    if observation is not None:
        layers.append(_shade(observation, x))
    if follow_up is not None:
        layers.append(_ends(follow_up, x))
    for place, medicine in enumerate(medicines):
        rows = [
            (row, each)
            for row, each in enumerate(supplies)
            if each.medicine == medicine
        ]
        layers += _arrows(rows, len(supplies), x, place)
    return layers


def _shade(window: Window, x: Spec) -> Spec:
    values: list[Json] = [{"x": day_at(window.first), "x2": day_at(window.until)}]
    return {
        "data": {"values": values},
        "mark": {"type": "rect", "fill": palette.WINDOW, "aria": False},
        "encoding": {"x": x, "x2": {"field": "x2"}},
    }


def _ends(window: Window, x: Spec) -> Spec:
    values: list[Json] = [{"x": day_at(window.first)}, {"x": day_at(window.until)}]
    mark: Spec = {"type": "rule", "color": palette.SOFT, "strokeDash": [2, 3]}
    mark |= {"aria": False}
    return {"data": {"values": values}, "mark": mark, "encoding": {"x": x}}


def _arrows(
    rows: Sequence[tuple[int, Supply]], count: int, x: Spec, place: int
) -> list[Json]:
    ink = INKS[place % len(INKS)]
    dash: list[Json] = list(DASHES[place % len(DASHES)])
    y: Spec = {
        "field": "row",
        "type": "quantitative",
        "scale": {"domain": [-1, max(count, 3)], "nice": False, "reverse": True},
        "axis": None,
    }
    values: list[Json] = [
        {
            "row": row,
            "x": day_at(each.day),
            "x2": day_at(each.until),
            "told": f"{told_day(each.day)}, {each.lasts:g} days, {each.medicine}",
        }
        for row, each in rows
    ]
    data: Spec = {"values": values}
    line: Spec = {"type": "rule", "color": ink, "strokeWidth": 2, "aria": False}
    line |= {"strokeDash": dash} if dash else {}
    start: Spec = {"type": "point", "filled": True, "color": ink, "size": 45}
    start |= {"opacity": 1}
    tip: Spec = {"type": "point", "shape": "triangle-right", "filled": True, "size": 60}
    tip |= {"color": ink, "opacity": 1, "aria": False}
    end: Spec = {**x, "field": "x2"}
    both: Spec = {"x": x, "x2": {"field": "x2"}, "y": y}
    name: Spec = {"type": "text", "align": "left", "dx": 7, "dy": -8, "fontSize": 11}
    name |= {"color": ink, "aria": False}
    label: Json = rows[0][1].medicine if rows else ""
    head: list[Json] = [{**dict(v), "name": label} for v in _first(values)]
    return [
        {"data": data, "mark": line, "encoding": both},
        {"data": data, "mark": tip, "encoding": {"x": end, "y": y}},
        {
            "data": data,
            "mark": start,
            "encoding": {"x": x, "y": y, "description": {"field": "told"}},
        },
        {
            "data": {"values": head},
            "mark": name,
            "encoding": {"x": x, "y": y, "text": {"field": "name"}},
        },
    ]


def _first(values: Sequence[Json]) -> list[Spec]:
    return [value for value in values[:1] if isinstance(value, dict)]


def _summary(
    supplies: Sequence[Supply], medicines: Sequence[str], estimate: str
) -> str:
    if not supplies:
        return "Nothing was dispensed."
    names = ", ".join(filter(None, medicines))
    told = f"{len(supplies)} supplies from {supplies[0].day:%-d %B %Y}"
    told += f" of {names}" if names else ""
    return f"{told}; {estimate}." if estimate else f"{told}."
