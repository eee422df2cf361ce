"""FHIR R4 Timing to a timing; what cannot be carried out exactly is refused.

Units s, min and h are ELAPSED from the start of the bounds, d, wk, mo and a are WALL
and need `timeOfDay`. Decisions that FHIR leaves open stand in ADR 0031.
"""

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import cast
from zoneinfo import ZoneInfo

from backend.regimens.fhir_time import read_bound, read_instant, read_time_of_day
from backend.regimens.timing import (
    BadTiming,
    ClockTimes,
    Cycle,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Weekday,
    Weekdays,
)
from backend.regimens.zones import start_of, wall

SECONDS = {"s": 1, "min": 60, "h": 3600}
WALL_UNITS = ("d", "wk", "mo", "a")
MOST_PERIODS = 1_000_000

IGNORED = {"id", "extension", "duration", "durationMax", "durationUnit"}
REFUSED = {
    "boundsDuration": "boundsDuration says how long but not from when",
    "boundsRange": "boundsRange says how long but not from when",
    "countMax": "countMax leaves the number of doses open",
    "frequencyMax": "frequencyMax leaves the number of doses open",
    "periodMax": "periodMax leaves the interval open",
    "when": "when depends on meals and sleep, whose times are not known",
    "offset": "offset depends on meals and sleep, whose times are not known",
}
READ = {
    *("boundsPeriod", "count", "frequency", "period", "periodUnit"),
    *("dayOfWeek", "timeOfDay"),
}


def read_timing(resource: object, *, zone: ZoneInfo) -> Phase:
    """Return the timing that a FHIR R4 Timing (parsed JSON) describes.

    `zone` gives dates without a time their local midnight. Raises BadTiming with the
    reason when the Timing is malformed, contradicts itself or leaves a choice open.
    """
    timing = _object(resource, "Timing")
    if _set(timing, "modifierExtension"):
        raise BadTiming("a modifierExtension may change everything and is not known")
    unknown = _keys(timing) - {"event", "repeat", "code", "id", "extension"}
    if unknown:
        raise BadTiming(f"Timing has no {', '.join(sorted(unknown))}")
    if not _set(timing, "repeat"):
        return _events(timing)
    if _set(timing, "event"):
        raise BadTiming("event together with repeat is not supported")
    return _Repeat(_object(timing["repeat"], "repeat"), zone).phase()


def _events(timing: Mapping[str, object]) -> Phase:
    if not _set(timing, "event"):
        raise BadTiming("Timing has neither repeat nor event: nothing says when")
    read = {read_instant(each, "event") for each in _list(timing, "event")}
    return Phase(Instants(tuple(sorted(read))))


class _Repeat:
    """One Timing.repeat; each method reads and checks a part of it."""

    def __init__(self, repeat: Mapping[str, object], zone: ZoneInfo) -> None:
        for name, why in REFUSED.items():
            if _set(repeat, name):
                raise BadTiming(why)
        unknown = _keys(repeat) - READ - IGNORED
        if unknown:
            raise BadTiming(f"Timing.repeat has no {', '.join(sorted(unknown))}")
        self.repeat = repeat
        self.zone = zone
        period = _object(
            repeat["boundsPeriod"] if _set(repeat, "boundsPeriod") else {},
            "boundsPeriod",
        )
        wrong = _keys(period) - {"start", "end", "id", "extension"}
        if wrong:
            raise BadTiming(f"boundsPeriod has no {', '.join(sorted(wrong))}")
        self.start = read_bound(period.get("start"), "start")
        self.end = read_bound(period.get("end"), "end")
        self.frequency = self._positive("frequency")

    def phase(self) -> Phase:
        count = self._positive("count") if _set(self.repeat, "count") else None
        unit = self._unit()
        timing = self._elapsed(unit) if unit in SECONDS else self._wall(unit)
        return Phase(timing, self.start, self.end, count)

    def _unit(self) -> str:
        given = _set(self.repeat, "period"), _set(self.repeat, "periodUnit")
        if given == (False, False):
            return "d"
        if given != (True, True):
            raise BadTiming("period and periodUnit need each other")
        unit = self.repeat["periodUnit"]
        if not isinstance(unit, str) or unit not in (*SECONDS, *WALL_UNITS):
            raise BadTiming(f"periodUnit is s, min, h, d, wk, mo or a, not {unit!r}")
        return unit

    def _elapsed(self, unit: str) -> EveryHours:
        for name in ("timeOfDay", "dayOfWeek"):
            if _set(self.repeat, name):
                raise BadTiming(f"{name} contradicts a period in {unit}")
        if self.start is None:
            raise BadTiming(f"a period in {unit} is counted from boundsPeriod.start")
        seconds = self._period() * SECONDS[unit]
        if seconds.denominator != 1:
            raise BadTiming(f"{seconds} s is not a whole number of seconds")
        anchor = _instant(self.start, self.zone)
        return EveryHours(timedelta(seconds=int(seconds)), anchor, self.frequency)

    def _wall(self, unit: str) -> ClockTimes | Weekdays | Monthly | Cycle:
        if not _set(self.repeat, "timeOfDay"):
            raise BadTiming(f"a period in {unit} needs timeOfDay: nothing says at what")
        times = self._times()
        days = self._days() if _set(self.repeat, "dayOfWeek") else ()
        every = self._period() if _set(self.repeat, "period") else Fraction(1)
        if every.denominator != 1:
            raise BadTiming(f"clock times need a whole period, not {every} {unit}")
        if unit == "wk":
            return self._weekly(times, days, int(every))
        self._agree(len(times))
        if days:
            if (unit, every) != ("d", 1):
                raise BadTiming(f"dayOfWeek does not fit every {every} {unit}")
            return Weekdays(times, days)
        return self._daily_or_monthly(times, unit, int(every))

    def _weekly(
        self, times: tuple[time, ...], days: tuple[Weekday, ...], every: int
    ) -> Weekdays:
        anchor = self._anchor() if every > 1 or not days else None
        if not days and anchor:
            days = (Weekday.of(anchor),)
        self._agree(len(times) * len(days))
        return Weekdays(times, days, every, anchor if every > 1 else None)

    def _daily_or_monthly(
        self, times: tuple[time, ...], unit: str, every: int
    ) -> ClockTimes | Monthly | Cycle:
        if unit == "d" and every == 1:
            return ClockTimes(times)
        if unit == "d":
            return Cycle(1, every - 1, self._anchor(), ClockTimes(times))
        return Monthly(times, self._anchor(), every * (12 if unit == "a" else 1))

    def _agree(self, named: int) -> None:
        """Refuse a frequency that the times do not bear out.

        FHIR lets `timeOfDay` stand alone and gives `frequency` a default of 1, so 1
        says nothing; any other number must be the number of doses the times make.
        """
        if self.frequency not in (1, named):
            raise BadTiming(
                f"frequency {self.frequency} but timeOfDay and dayOfWeek name {named}"
            )

    def _anchor(self) -> date:
        if self.start is None:
            raise BadTiming("a period above 1 is counted from boundsPeriod.start")
        return wall(_instant(self.start, self.zone), self.zone).date()

    def _period(self) -> Fraction:
        value = self.repeat["period"]
        if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
            raise BadTiming(f"period is a number, not {value!r}")
        # Bounded before it becomes a fraction: 1e999999 would not fit in memory.
        if not Decimal("0.001") <= Decimal(str(value)) <= MOST_PERIODS:
            raise BadTiming(f"period lies between 0.001 and {MOST_PERIODS}")
        return Fraction(str(value))

    def _positive(self, name: str) -> int:
        value = self.repeat.get(name, 1)
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise BadTiming(f"{name} is a whole number above 0, not {value!r}")
        return value

    def _times(self) -> tuple[time, ...]:
        read = {read_time_of_day(each) for each in _list(self.repeat, "timeOfDay")}
        return tuple(sorted(read))

    def _days(self) -> tuple[Weekday, ...]:
        given = _list(self.repeat, "dayOfWeek")
        wrong = [each for each in given if each not in tuple(Weekday)]
        if wrong:
            raise BadTiming(f"dayOfWeek is mon to sun, not {wrong[0]!r}")
        return tuple(day for day in Weekday if day in given)


def _instant(bound: date, zone: ZoneInfo) -> datetime:
    return bound if isinstance(bound, datetime) else start_of(bound, zone)


def _set(members: Mapping[str, object], name: str) -> bool:
    return members.get(name) is not None


def _keys(members: Mapping[str, object]) -> set[str]:
    """Return the names of members; `_name` carries extensions of `name` only."""
    return {name for name in members if not name.startswith("_")}


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise BadTiming(f"{what} is a JSON object, not {type(value).__name__}")
    return cast(Mapping[str, object], value)


def _list(members: Mapping[str, object], name: str) -> list[object]:
    value = members[name]
    if not isinstance(value, list) or not value:
        raise BadTiming(f"{name} is a list of at least one")
    return cast(list[object], value)
