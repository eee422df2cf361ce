"""What was prescribed, in a sentence."""

from collections.abc import Iterable
from datetime import date, datetime, time
from decimal import Decimal

from backend.dashboards.words import quantity
from backend.regimens.timing import (
    AsNeeded,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Weekdays,
)
from backend.regimens.timing_json import from_json

DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}


def regimen_sentence(
    name: str,
    timing: dict[str, object],
    amount: Decimal | None,
    unit: str | None,
    *,
    since: datetime,
    until: datetime | None,
) -> str:
    """Return a prescription as people say it: what, how much, when, since when."""
    dose = quantity(amount, unit)
    when = timing_words(from_json(timing))
    span = f"since {since:%-d %B %Y}"
    if until is not None:
        span += f", until {until:%-d %B %Y}"
    return f"{name}: {dose + ' ' if dose else ''}{when}, {span}."


def timing_words(timing: Timing) -> str:
    """Return when doses are due."""
    match timing:
        case ClockTimes(times):
            return f"every day at {_times(times)}"
        case Weekdays(times, days, every, _):
            named = _listed(DAYS[str(day)] for day in days)
            weeks = "" if every == 1 else f" of every {_ordinal(every)} week"
            return f"on {named}{weeks} at {_times(times)}"
        case Monthly(times, anchor, every):
            months = "month" if every == 1 else f"{_ordinal(every)} month"
            day = f"on day {anchor.day} of every {months}"
            return f"{day} at {_times(times)}"
        case DailyCount(n):
            return "no dose" if n == 0 else f"{_count(n)} a day, at any time"
        case Cycle(on, off, _, inner):
            return f"{timing_words(inner)}, {on} days on and {off} days off"
        case _:
            return _elapsed_words(timing)


def _elapsed_words(timing: EveryHours | Instants | AsNeeded | Phase | Taper) -> str:
    match timing:
        case EveryHours(every, _, doses):
            hours = f"{every.total_seconds() / 3600:g} hours"
            return f"every {hours}" if doses == 1 else f"{_count(doses)} every {hours}"
        case Instants(at):
            return f"at {len(at)} set times"
        case AsNeeded():
            return _as_needed(timing)
        case Phase(inner, start, end, count):
            parts = (
                timing_words(inner),
                start and f"from {_bound(start)}",
                end and f"until {_bound(end)}",
                count and f"{count} doses in all",
            )
            return ", ".join(part for part in parts if part)
        case Taper(phases):
            return "; then ".join(timing_words(phase) for phase in phases)


def _as_needed(guard: AsNeeded) -> str:
    limits: list[str] = []
    if guard.most_in_24_hours is not None:
        limits.append(f"at most {guard.most_in_24_hours} in 24 hours")
    if guard.least_interval is not None:
        hours = guard.least_interval.total_seconds() / 3600
        limits.append(f"at least {hours:g} hours apart")
    return "as needed, " + " and ".join(limits)


def _times(times: Iterable[time]) -> str:
    return _listed(f"{at:%H:%M}" for at in times)


def _listed(items: Iterable[str]) -> str:
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def _count(n: int) -> str:
    return {1: "once", 2: "twice"}.get(n, f"{n} times")


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third", 4: "fourth"}.get(n, f"{n}th")


def _bound(at: date | datetime) -> str:
    if isinstance(at, datetime):
        return f"{at:%-d %B %Y %H:%M} UTC"
    return f"{at:%-d %B %Y}"
