"""FHIR R4 Timing to a timing; what cannot be carried out exactly is refused.

Units s, min and h are ELAPSED from the start of the bounds, d, wk, mo and a are WALL
and need `timeOfDay`. Decisions that FHIR leaves open stand in ADR 0031 and 0034.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from backend.regimens.fhir_json import (
    Members,
    is_set,
    members,
    number,
    part,
    positive,
    refuse_unknown,
    several,
)
from backend.regimens.fhir_length import last_of
from backend.regimens.fhir_meals import Meals, times_of_events
from backend.regimens.fhir_modifiers import read_modifier, with_modifier
from backend.regimens.fhir_time import read_bound, read_instant, read_time_of_day
from backend.regimens.timing import (
    AfterTaken,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Food,
    Instants,
    Monthly,
    Phase,
    Weekday,
    Weekdays,
)
from backend.regimens.zones import start_of, wall

SECONDS = {"s": 1, "min": 60, "h": 3600}
WALL_UNITS = ("d", "wk", "mo", "a")

REFUSED = {
    "boundsRange": "boundsRange leaves the length open",
    "countMax": "countMax leaves the number of doses open",
    "frequencyMax": "frequencyMax leaves the number of doses open",
    "periodMax": "periodMax leaves the interval open",
}
READ = {
    *("boundsPeriod", "boundsDuration", "count", "frequency", "period", "periodUnit"),
    *("dayOfWeek", "timeOfDay", "when", "offset"),
    *("duration", "durationMax", "durationUnit"),  # how long a dose takes
}


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a Timing leaves to whoever carries it out.

    `zone` gives dates without a time their local midnight. `start` is when it begins
    where its bounds do not say so. `meals` are the patient's own times of `EVENTS`.
    `untimed`: n a day without `timeOfDay` is understood, as some time in the dose-day.
    """

    zone: ZoneInfo
    start: date | datetime | None = None
    meals: Meals = field(default_factory=dict[str, time])
    untimed: bool = False


def read_timing(resource: object, at: Circumstances) -> Phase | AfterTaken:
    """Return the timing that a FHIR R4 Timing (parsed JSON) describes.

    Raises BadTiming with the reason when the Timing is malformed, contradicts itself or
    leaves a choice open.
    """
    timing = members(resource, "Timing")
    known = {"event", "repeat", "code", "modifierExtension"}
    refuse_unknown(timing, "Timing", known)
    modifier = read_modifier(timing)
    if is_set(timing, "event"):
        if is_set(timing, "repeat") or modifier:
            raise BadTiming("event together with repeat is not supported")
        return _events(timing)
    if not is_set(timing, "repeat"):
        raise BadTiming("Timing has neither repeat nor event: nothing says when")
    phase = _Repeat(members(timing["repeat"], "repeat"), at).phase()
    return with_modifier(phase, modifier, at.zone)


def _events(timing: Members) -> Phase:
    read = {read_instant(each, "event") for each in several(timing, "event")}
    return Phase(Instants(tuple(sorted(read))))


class _Repeat:
    """One Timing.repeat; each method reads and checks a part of it."""

    def __init__(self, repeat: Members, at: Circumstances) -> None:
        for name, why in REFUSED.items():
            if is_set(repeat, name):
                raise BadTiming(why)
        refuse_unknown(repeat, "Timing.repeat", READ)
        _check_duration(repeat)
        self.repeat = repeat
        self.zone = at.zone
        self.at = at
        self.food: Food | None = None
        self.start, self.end = _bounds(repeat, at)
        self.frequency = positive(repeat, "frequency")

    def phase(self) -> Phase:
        count = positive(self.repeat, "count") if is_set(self.repeat, "count") else None
        unit = self._unit()
        timing = self._elapsed(unit) if unit in SECONDS else self._wall(unit)
        return Phase(timing, self.start, self.end, count, food=self.food)

    def _unit(self) -> str:
        given = is_set(self.repeat, "period"), is_set(self.repeat, "periodUnit")
        if given == (False, False):
            return "d"
        if given != (True, True):
            raise BadTiming("period and periodUnit need each other")
        unit = self.repeat["periodUnit"]
        if not isinstance(unit, str) or unit not in (*SECONDS, *WALL_UNITS):
            raise BadTiming(f"periodUnit is s, min, h, d, wk, mo or a, not {unit!r}")
        return unit

    def _elapsed(self, unit: str) -> EveryHours:
        for name in ("timeOfDay", "dayOfWeek", "when"):
            if is_set(self.repeat, name):
                raise BadTiming(f"{name} contradicts a period in {unit}")
        if self.start is None:
            raise BadTiming(f"a period in {unit} is counted from boundsPeriod.start")
        seconds = self._period() * SECONDS[unit]
        if seconds.denominator != 1:
            raise BadTiming(f"{seconds} s is not a whole number of seconds")
        anchor = _instant(self.start, self.zone)
        return EveryHours(timedelta(seconds=int(seconds)), anchor, self.frequency)

    def _wall(self, unit: str) -> ClockTimes | Weekdays | Monthly | Cycle | DailyCount:
        events = is_set(self.repeat, "when")
        if is_set(self.repeat, "offset") and not events:
            raise BadTiming("offset needs when")
        if is_set(self.repeat, "timeOfDay") and events:
            raise BadTiming("timeOfDay and when cannot stand together")
        if not is_set(self.repeat, "timeOfDay") and not events:
            return self._untimed(unit)
        return self._timed(unit, self._times())

    def _untimed(self, unit: str) -> DailyCount:
        said = is_set(self.repeat, "frequency") and is_set(self.repeat, "period")
        daily = unit == "d" and said and self._period() == 1
        if not self.at.untimed or not daily or is_set(self.repeat, "dayOfWeek"):
            raise BadTiming(f"a period in {unit} needs timeOfDay: nothing says at what")
        return DailyCount(self.frequency)

    def _timed(
        self, unit: str, times: tuple[time, ...]
    ) -> ClockTimes | Weekdays | Monthly | Cycle:
        days = self._days() if is_set(self.repeat, "dayOfWeek") else ()
        every = self._period() if is_set(self.repeat, "period") else Fraction(1)
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
        return number(self.repeat, "period")

    def _times(self) -> tuple[time, ...]:
        if is_set(self.repeat, "when"):
            found, self.food = times_of_events(self.repeat, self.at.meals)
            return tuple(sorted(found))
        read = {read_time_of_day(each) for each in several(self.repeat, "timeOfDay")}
        return tuple(sorted(read))

    def _days(self) -> tuple[Weekday, ...]:
        given = several(self.repeat, "dayOfWeek")
        wrong = [each for each in given if each not in tuple(Weekday)]
        if wrong:
            raise BadTiming(f"dayOfWeek is mon to sun, not {wrong[0]!r}")
        return tuple(day for day in Weekday if day in given)


def _instant(bound: date, zone: ZoneInfo) -> datetime:
    return bound if isinstance(bound, datetime) else start_of(bound, zone)


def _bounds(
    repeat: Members, at: Circumstances
) -> tuple[date | datetime | None, date | datetime | None]:
    if is_set(repeat, "boundsDuration"):
        if is_set(repeat, "boundsPeriod"):
            raise BadTiming("boundsDuration and boundsPeriod cannot stand together")
        if at.start is None:
            raise BadTiming("boundsDuration says how long but not from when")
        length = part(repeat, "boundsDuration")
        return at.start, last_of(length, at.start, at.zone)
    period = part(repeat, "boundsPeriod")
    refuse_unknown(period, "boundsPeriod", {"start", "end"})
    start = read_bound(period.get("start"), "start")
    return at.start if start is None else start, read_bound(period.get("end"), "end")


def _check_duration(repeat: Members) -> None:
    """Hold how long a dose takes to R4's rules; it says nothing of when it is due."""
    for name, needs in (("duration", "durationUnit"), ("durationMax", "duration")):
        if is_set(repeat, name):
            number(repeat, name, least="0")
            if not is_set(repeat, needs):
                raise BadTiming(f"{name} needs {needs}")
    if repeat.get("durationUnit", "s") not in (*SECONDS, *WALL_UNITS):
        raise BadTiming("durationUnit is s, min, h, d, wk, mo or a")
