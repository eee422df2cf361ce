"""The chronology plot: each opening at its day and clock time, 03:00 to 03:00."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from analytics.adherence.dose_days import Day, DayPeriod
from analytics.adherence.electronic_monitoring import drug_holidays
from analytics.adherence.monitoring import Record, scheduled
from backend.dashboards.charts import palette
from backend.dashboards.charts.chart import NARROW, WIDE, Chart, Json, Spec, framed
from backend.dashboards.charts.days import DAY, day_at, day_axis, hour_axis, told_day
from backend.dashboards.charts.palette import COLOURS, SHAPES, DoseState


@dataclass(frozen=True, slots=True)
class Opened:
    """An opening on its dose-day, at its naive local time; `why` it does not count."""

    day: date
    local: datetime
    why: str = ""


@dataclass(frozen=True, slots=True)
class Window:
    """When a timed dose may be taken, in naive local times."""

    opens: datetime
    closes: datetime


@dataclass(frozen=True, slots=True)
class Chronicle:
    """What a monitor saw on dose-days from `first_day` to `last_day`, both included."""

    first_day: date
    last_day: date
    openings: Sequence[Opened]
    windows: Sequence[Window]
    days: Sequence[Day]
    unseen: Sequence[DayPeriod]
    holidays: Sequence[DayPeriod]
    day_start: time


def chronicle(record: Record) -> Chronicle:
    """Return what a monitor's record shows."""

    def local(at: datetime) -> datetime:
        return at.astimezone(record.zone).replace(tzinfo=None)

    return Chronicle(
        record.first_day,
        record.last_day,
        [
            Opened(
                each.day,
                each.local,
                "" if each.kept else each.excluded.name.lower().replace("_", " "),
            )
            for each in record.openings
        ],
        [
            Window(local(dose.window_from), local(dose.window_until))
            for dose in scheduled(record)
        ],
        record.days,
        record.non_monitored,
        drug_holidays(record.days, at_least=record.parameters.holiday),
        record.parameters.day_start,
    )


def chronology(seen: Chronicle) -> Chart:
    """Return the openings of one monitor by day and time of day.

    Windows of timed doses are shaded, drug holidays marked along the lower edge, days
    that were not monitored hatched. An opening that does not count is a cross.
    """

    def draw(width: int, ticks: int) -> Spec:
        spec: Spec = {"height": 220, "layer": _layers(seen, width, ticks)}
        return framed(spec, width=width)

    return Chart(
        title="Openings by day and time of day",
        summary=_summary(seen),
        wide=draw(WIDE, 10),
        narrow=draw(NARROW, 4),
        columns=("Day", "Openings that count", "Other openings"),
        rows=tuple(_rows(seen)),
    )


def _layers(seen: Chronicle, width: int, ticks: int) -> list[Json]:
    x = day_axis(seen.first_day, seen.last_day, ticks=ticks)
    start = seen.day_start.hour
    y = hour_axis(start)
    x2: Spec = {"field": "x2"}
    rect: Spec = {"type": "rect", "aria": False}
    windows: list[Json] = [
        *_bands(_window(window, seen.day_start) for window in seen.windows)
    ]
    unseen: list[Json] = [_span(span) for span in seen.unseen]
    lacking: list[Json] = [
        {**_span(span), "hour": start + 23.4, "hour2": start + 24}
        for span in seen.holidays
    ]
    marks: list[Json] = [
        _mark(opening) for opening in seen.openings if _shown(seen, opening)
    ]
    days = max((seen.last_day - seen.first_day).days + 1, 1)
    side = min(max(width / days, 5), 10)
    both: Spec = {"x": x, "x2": x2, "y": y, "y2": {"field": "hour2"}}
    return [
        {
            "data": {"values": unseen},
            "mark": {**rect, "fill": "url(#hatch)"},
            "encoding": {"x": x, "x2": x2},
        },
        {
            "data": {"values": windows},
            "mark": {**rect, "fill": palette.WINDOW},
            "encoding": both,
        },
        {
            "data": {"values": lacking},
            "mark": {"type": "rect", "fill": COLOURS[DoseState.MISSED], "aria": True},
            "encoding": {**both, "description": {"field": "told"}},
        },
        {
            "data": {"values": marks},
            "mark": {"type": "point", "filled": True, "opacity": 1}
            | {"size": round(side * side)},
            "encoding": {
                "x": x,
                "y": y,
                "color": {"field": "state", "legend": None, "scale": _scale(COLOURS)},
                "shape": {"field": "state", "legend": None, "scale": _scale(SHAPES)},
                "description": {"field": "told"},
            },
        },
    ]


def _scale(values: dict[DoseState, str]) -> Spec:
    states = (DoseState.TAKEN, DoseState.NONE)
    inks: list[Json] = [values[state] for state in states]
    names: list[Json] = [state.value for state in states]
    return {"domain": names, "range": inks}


def _shown(seen: Chronicle, opening: Opened) -> bool:
    return seen.first_day <= opening.day <= seen.last_day


def _mark(opening: Opened) -> Spec:
    state = DoseState.NONE if opening.why else DoseState.TAKEN
    why = f", {opening.why}" if opening.why else ""
    return {
        "x": day_at(opening.day, 12),
        "hour": _hour(opening.day, opening.local),
        "state": state.value,
        "told": f"{opening.local:%a %-d %b %H:%M}{why}",
    }


def _hour(day: date, local: datetime) -> float:
    midnight = datetime(day.year, day.month, day.day)  # noqa: DTZ001 the patient's clock
    return round((local - midnight) / timedelta(hours=1), 3)


def _window(window: Window, start: time) -> Spec:
    middle = window.opens + (window.closes - window.opens) / 2
    day = middle.date() if middle.time() >= start else middle.date() - DAY
    first, last = start.hour, start.hour + 24
    return {
        "x": day_at(day),
        "x2": day_at(day, 24),
        "hour": max(first, _hour(day, window.opens)),
        "hour2": min(last, _hour(day, window.closes)),
    }


def _bands(windows: Iterable[Spec]) -> list[Spec]:
    """Return windows of the same hours on days that follow each other as one."""
    bands: list[Spec] = []
    for window in sorted(windows, key=lambda w: (str(w["hour"]), str(w["x"]))):
        last = bands[-1] if bands else {}
        same = all(last.get(name) == window[name] for name in ("hour", "hour2"))
        if same and last.get("x2") == window["x"]:
            last["x2"] = window["x2"]
        else:
            bands.append(window)
    return bands


def _span(span: DayPeriod) -> Spec:
    days = (span.last_day - span.first_day).days + 1
    told = f"{days} days without a dose from {told_day(span.first_day)}"
    ends = {"x": day_at(span.first_day), "x2": day_at(span.last_day, 24)}
    return {**ends, "told": told}


def _summary(seen: Chronicle) -> str:
    unknown = sum(day.non_monitored for day in seen.days)
    kept = sum(not each.why for each in seen.openings if _shown(seen, each))
    first, last = seen.first_day, seen.last_day
    told = [
        f"From {first:%-d %B %Y} to {last:%-d %B %Y}: "
        + _counted(kept, "opening that counts", "openings that count"),
        _counted(len(seen.holidays), "drug holiday", "drug holidays"),
    ]
    if unknown:
        told.append(_counted(unknown, "day not monitored", "days not monitored"))
    return ", ".join(told) + "."


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _rows(seen: Chronicle) -> Iterator[tuple[str, ...]]:
    by_day: dict[date, tuple[list[str], list[str]]] = {}
    for opening in seen.openings:
        if _shown(seen, opening):
            cells = by_day.setdefault(opening.day, ([], []))
            cells[bool(opening.why)].append(f"{opening.local:%H:%M}")
    for day in seen.days:
        kept, others = by_day.get(day.day, ([], []))
        nothing = "not monitored" if day.non_monitored else "none"
        yield told_day(day.day), ", ".join(kept) or nothing, ", ".join(others)
