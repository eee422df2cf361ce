"""Axes of dose-days and of the hours in them, shared by charts."""

from datetime import date, timedelta

from backend.dashboards.charts.chart import Json, Spec

DAY = timedelta(days=1)


def day_axis(first: date, last: date, *, ticks: int, labels: bool = True) -> Spec:
    """Return the x encoding of whole days from `first` to `last`, both shown whole."""
    axis: Spec = {
        "format": "%-d %b" if (last - first) < 300 * DAY else "%b %Y",
        "tickCount": ticks,
        "title": None,
        "labels": labels,
        "labelOverlap": True,
        "grid": False,
    }
    return {
        "field": "x",
        "type": "temporal",
        "scale": {"type": "utc", "domain": [day_at(first), day_at(last + DAY)]},
        "axis": axis,
    }


def hour_axis(start: int) -> Spec:
    """Return the y encoding of a dose-day's hours, from `start` down to the next."""
    hours: list[Json] = list(range(start, start + 25, 6))
    return {
        "field": "hour",
        "type": "quantitative",
        "title": "Time of day",
        "scale": {"domain": [start, start + 24], "reverse": True, "nice": False},
        "axis": {
            "values": hours,
            "labelExpr": "format(datum.value % 24, '02d') + ':00'",
        },
    }


def day_at(day: date, hours: float = 0) -> str:
    """Return so many hours into a day as the axis has it, written as if it were UTC."""
    seconds = round(hours * 3600)
    at = day + timedelta(seconds // 86400)
    rest = seconds % 86400
    return f"{at.isoformat()}T{rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}Z"


def told_day(day: date) -> str:
    return f"{day:%a %-d %b %Y}"
