"""What a patient has on hand, and when it will run out."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from backend.dashboards.charts import palette
from backend.dashboards.charts.chart import NARROW, Chart, Json, Spec, framed

BESIDE = 740  # it stands in the wider of two columns


@dataclass(frozen=True)
class StockLevel:
    """What was, or is expected to be, on hand at the end of a local day."""

    day: date
    on_hand: float


def stock(
    levels: Sequence[StockLevel],
    *,
    forecast: Sequence[StockLevel] = (),
    reorder_point: float | None = None,
    unit: str = "doses",
) -> Chart:
    """Return the stock by day as steps, its forecast dashed, the reorder point ruled.

    The forecast starts where the levels end; repeat the last level to join them.
    """

    def draw(width: int, ticks: int) -> Spec:
        return framed(
            {
                "height": 120,
                "layer": _layers(levels, forecast, reorder_point, unit, ticks),
            },
            width=width,
        )

    return Chart(
        title="Stock on hand",
        summary=_summary(levels, forecast, reorder_point, unit),
        wide=draw(BESIDE, 8),
        narrow=draw(NARROW, 4),
        columns=("Day", f"On hand, {unit}", "Known or expected"),
        rows=tuple(
            (f"{level.day:%a %-d %b %Y}", f"{level.on_hand:g}", kind)
            for kind, group in (("known", levels), ("expected", forecast))
            for level in group
        ),
    )


def _layers(
    levels: Sequence[StockLevel],
    forecast: Sequence[StockLevel],
    reorder_point: float | None,
    unit: str,
    ticks: int,
) -> list[Json]:
    x: Spec = {
        "field": "day",
        "type": "temporal",
        "scale": {"type": "utc"},
        "axis": {"format": "%-d %b", "tickCount": ticks, "title": None}
        | {"labelOverlap": True},
    }
    y: Spec = {
        "field": "on_hand",
        "type": "quantitative",
        "title": f"On hand, {unit}",
        "scale": {"zero": True, "nice": True},
        "axis": {"tickCount": 4},
    }
    line: Spec = {"type": "line", "color": palette.STOCK, "strokeWidth": 2}
    line |= {"interpolate": "step-after", "aria": False}
    area: Spec = {"type": "area", "color": palette.STOCK_BAND, "aria": False}
    area |= {"interpolate": "step-after"}
    layers: list[Json] = [
        {"data": _values(levels), "mark": area, "encoding": {"x": x, "y": y}},
        {"data": _values(levels), "mark": line, "encoding": {"x": x, "y": y}},
        {
            "data": _values(forecast),
            "mark": {**line, "strokeDash": [5, 4]},
            "encoding": {"x": x, "y": y},
        },
    ]
    if reorder_point is not None:
        rule: Spec = {"type": "rule", "color": palette.LIMIT, "strokeDash": [2, 3]}
        rule |= {"aria": False, "strokeWidth": 1.5}
        limit: Spec = {"y": {"field": "on_hand", "type": "quantitative"}}
        data: Spec = {"values": [{"on_hand": reorder_point}]}
        layers.append({"data": data, "mark": rule, "encoding": limit})
    return layers


def _values(levels: Sequence[StockLevel]) -> Spec:
    return {
        "values": [
            {"day": f"{level.day.isoformat()}T00:00:00Z", "on_hand": level.on_hand}
            for level in levels
        ]
    }


def _summary(
    levels: Sequence[StockLevel],
    forecast: Sequence[StockLevel],
    reorder_point: float | None,
    unit: str,
) -> str:
    if not levels:
        return "No stock is known."
    now = levels[-1]
    said = [f"{now.on_hand:g} {unit} on hand on {now.day:%-d %B}"]
    if reorder_point is not None:
        said.append(f"reordered below {reorder_point:g}")
    empty = next((level for level in forecast if level.on_hand <= 0), None)
    if empty is not None:
        said.append(f"expected to run out on {empty.day:%-d %B}")
    return ", ".join(said) + "."
