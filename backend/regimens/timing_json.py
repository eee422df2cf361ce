"""Timings as plain JSON and back: the shape that the database keeps."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import TypeVar, cast

from backend.regimens.fhir_time import read_day, read_instant
from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Food,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Together,
    Weekday,
    Weekdays,
)

Json = dict[str, object]
MOST_SECONDS = 1_000_000_000
Read = TypeVar("Read")


def to_json(timing: Timing) -> Json:
    """Return a timing as JSON that `from_json` reads back to an equal value."""
    match timing:
        case ClockTimes(times):
            return {"kind": "clock_times", "times": _times(times)}
        case Weekdays(times, days, every, anchor):
            kept = {"times": _times(times), "days": [str(day) for day in days]}
            weeks = {"every_weeks": every, "anchor": _bound(anchor)}
            return {"kind": "weekdays", **kept, **weeks}
        case Monthly(times, anchor, every):
            kept = {"times": _times(times), "anchor": _bound(anchor)}
            return {"kind": "monthly", **kept, "every_months": every}
        case DailyCount(n):
            return {"kind": "daily_count", "n": n}
        case Cycle(on, off, anchor, inner):
            days = {"on_days": on, "off_days": off, "anchor": _bound(anchor)}
            return {"kind": "cycle", **days, "inner": to_json(inner)}
        case _:
            return _elapsed_or_nested(timing)


def _elapsed_or_nested(
    timing: EveryHours | Instants | AsNeeded | AfterTaken | Phase | Together | Taper,
) -> Json:
    match timing:
        case EveryHours(every, anchor, doses):
            often = {"every_s": every.total_seconds(), "doses": doses}
            return {"kind": "every_hours", **often, "anchor": _bound(anchor)}
        case Instants(at):
            return {"kind": "instants", "at": [_bound(instant) for instant in at]}
        case AsNeeded(most, least):
            seconds = None if least is None else least.total_seconds()
            guard = {"most_in_24_hours": most, "least_interval_s": seconds}
            return {"kind": "as_needed", **guard}
        case AfterTaken(every, first, at):
            kept = {"every_s": every.total_seconds(), "first": _bound(first)}
            clock = None if at is None else _times((at,))[0]
            return {"kind": "after_taken", **kept, "at": clock}
        case Phase(inner, start, end, count):
            bounds = {"start": _bound(start), "end": _bound(end), "count": count}
            inside = {"timing": to_json(inner), **_how(timing)}
            return {"kind": "phase", **bounds, **inside}
        case Together(parts):
            return {"kind": "together", "parts": [to_json(part) for part in parts]}
        case Taper(phases):
            return {"kind": "taper", "phases": [to_json(phase) for phase in phases]}


def _how(phase: Phase) -> Json:
    """Return how much and how a phase is taken, where it says so at all."""
    amount = None if phase.amount is None else str(phase.amount)
    food = None if phase.food is None else str(phase.food)
    said = {"amount": amount, "unit": phase.unit, "food": food}
    return {name: value for name, value in said.items() if value is not None}


def from_json(stored: object) -> Timing:
    """Return the timing that JSON describes; raises BadTiming naming what is wrong."""
    members = _Members(stored)
    kind = members.text("kind")
    read = READERS.get(kind)
    if read is None:
        raise BadTiming(f"no kind of timing is called {kind!r}")
    timing = read(members)
    if members.unread():
        raise BadTiming(f"{kind} has no {', '.join(sorted(members.unread()))}")
    return timing


class _Members:
    """The members of one JSON object, read by type; remembers which were read."""

    def __init__(self, stored: object) -> None:
        if not isinstance(stored, Mapping):
            raise BadTiming(f"want a JSON object, got {stored!r}")
        self._all = cast(Mapping[str, object], stored)
        self._read: set[str] = set()

    def unread(self) -> set[str]:
        return set(self._all) - self._read

    def get(self, name: str) -> object:
        self._read.add(name)
        return self._all.get(name)

    def text(self, name: str) -> str:
        value = self.get(name)
        if not isinstance(value, str):
            raise BadTiming(f"{name} wants text, got {value!r}")
        return value

    def whole(self, name: str) -> int:
        value = self.get(name)
        if not isinstance(value, int) or isinstance(value, bool):
            raise BadTiming(f"{name} wants a whole number, got {value!r}")
        return value

    def seconds(self, name: str) -> timedelta:
        value = self.get(name)
        if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
            raise BadTiming(f"{name} wants seconds, got {value!r}")
        # A Decimal that is no number is not compared, it raises.
        none = isinstance(value, Decimal) and value.is_nan()
        if none or not 0 <= value <= MOST_SECONDS:
            raise BadTiming(f"{name} lies between 0 and {MOST_SECONDS} seconds")
        return timedelta(seconds=float(value))

    def many(self, name: str) -> list[object]:
        value = self.get(name)
        if not isinstance(value, list):
            raise BadTiming(f"{name} wants a list, got {value!r}")
        return cast(list[object], value)

    def times(self) -> tuple[time, ...]:
        return tuple(_read(time.fromisoformat, each) for each in self.many("times"))

    def bound(self, name: str) -> date | datetime | None:
        value = self.get(name)
        return None if value is None else _read(_read_bound, value)

    def day(self, name: str) -> date:
        return _read(_read_date, self.get(name))

    def has(self, name: str) -> bool:
        return self.get(name) is not None


def _weekdays(members: _Members) -> Weekdays:
    days = tuple(_read(Weekday, each) for each in members.many("days"))
    anchor = members.day("anchor") if members.has("anchor") else None
    return Weekdays(members.times(), days, members.whole("every_weeks"), anchor)


def _monthly(members: _Members) -> Monthly:
    every = members.whole("every_months")
    return Monthly(members.times(), members.day("anchor"), every)


def _cycle(members: _Members) -> Cycle:
    inner = from_json(members.get("inner"))
    if not isinstance(inner, ClockTimes | Weekdays | Monthly | DailyCount):
        raise BadTiming(f"a cycle cannot hold {to_json(inner)['kind']}")
    on, off = members.whole("on_days"), members.whole("off_days")
    return Cycle(on, off, members.day("anchor"), inner)


def _every_hours(members: _Members) -> EveryHours:
    every, doses = members.seconds("every_s"), members.whole("doses")
    return EveryHours(every, _read(_read_instant, members.get("anchor")), doses)


def _instants(members: _Members) -> Instants:
    return Instants(tuple(_read(_read_instant, each) for each in members.many("at")))


def _as_needed(members: _Members) -> AsNeeded:
    return AsNeeded(
        members.whole("most_in_24_hours") if members.has("most_in_24_hours") else None,
        members.seconds("least_interval_s")
        if members.has("least_interval_s")
        else None,
    )


def _phase(members: _Members) -> Phase:
    inner = from_json(members.get("timing"))
    if isinstance(inner, Phase | Taper | AsNeeded | AfterTaken):
        raise BadTiming(f"a phase cannot hold {to_json(inner)['kind']}")
    return Phase(
        inner,
        members.bound("start"),
        members.bound("end"),
        members.whole("count") if members.has("count") else None,
        _read(_decimal, members.get("amount")) if members.has("amount") else None,
        members.text("unit") if members.has("unit") else None,
        _read(Food, members.get("food")) if members.has("food") else None,
    )


def _phases(members: _Members, name: str) -> tuple[Phase, ...]:
    phases = tuple(from_json(each) for each in members.many(name))
    wrong = [each for each in phases if not isinstance(each, Phase)]
    if wrong:
        raise BadTiming(f"{name} are phases, not {to_json(wrong[0])['kind']}")
    return cast(tuple[Phase, ...], phases)


def _after_taken(members: _Members) -> AfterTaken:
    first = members.bound("first")
    if first is None:
        raise BadTiming("after_taken needs its first dose")
    at = _read(time.fromisoformat, members.get("at")) if members.has("at") else None
    return AfterTaken(members.seconds("every_s"), first, at)


READERS: dict[str, Callable[[_Members], Timing]] = {
    "clock_times": lambda members: ClockTimes(members.times()),
    "weekdays": _weekdays,
    "monthly": _monthly,
    "daily_count": lambda members: DailyCount(members.whole("n")),
    "cycle": _cycle,
    "every_hours": _every_hours,
    "instants": _instants,
    "as_needed": _as_needed,
    "after_taken": _after_taken,
    "phase": _phase,
    "together": lambda members: Together(_phases(members, "parts")),
    "taper": lambda members: Taper(_phases(members, "phases")),
}


def _read(read: Callable[[str], Read], value: object) -> Read:
    if not isinstance(value, str):
        raise BadTiming(f"want text, got {value!r}")
    try:
        return read(value)
    except ValueError as error:
        raise BadTiming(f"cannot read {value!r}: {error}") from error


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:
        raise ValueError("it is no number") from None


def _read_bound(text: str) -> date | datetime:
    return _read_instant(text) if "T" in text else _read_date(text)


def _read_date(text: str) -> date:
    return read_day(text, "a date")


def _read_instant(text: str) -> datetime:
    return read_instant(text, "an instant")


def _times(times: tuple[time, ...]) -> list[str]:
    return [at.isoformat("seconds" if at.second else "minutes") for at in times]


def _bound(bound: date | datetime | None) -> str | None:
    if isinstance(bound, datetime):
        return bound.astimezone(UTC).isoformat()
    return bound.isoformat() if bound else None
