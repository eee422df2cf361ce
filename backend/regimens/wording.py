"""A prescription as one sentence for people: 8 units, evenings at 21:00, from 3 March.

The order of the parts is the same in every language; the words are in `Words`, one a
language. A language that has none yet is refused, not guessed.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Together,
    Weekday,
    Weekdays,
)
from backend.regimens.words import WORDS
from backend.regimens.words.lexicon import Words
from backend.regimens.zones import DAY, wall

Bound = date | datetime | None
LANGUAGES = frozenset(WORDS)
FEW = 13  # days that are counted; more of them end on a date


def sentence(
    timing: Timing,
    *,
    zone: ZoneInfo,
    amount: Decimal | None = None,
    unit: str | None = None,
    start: Bound = None,
    end: Bound = None,
    today: date | None = None,
    language: str = "en",
) -> str:
    """Return a prescription in words, without a full stop.

    `amount` and `unit` are those of every dose whose phase has none; `start` and `end`
    (both included) bound it where the timing does not. Dates of the year of `today` are
    named without their year. `language` is a BCP 47 tag; raises BadTiming for one
    without words.
    """
    words = WORDS.get(language.split("-")[0].lower())
    if words is None:
        raise BadTiming(f"there are no words for regimens in {language!r}")
    dose = None if amount is None else words.dose(amount, unit or "1")
    writer = _Writer(words, zone, today)
    timing = _bounded(timing, start, end)
    steps = timing.phases if isinstance(timing, Taper) else (timing,)
    apart = any(_has_amounts(step) for step in steps)
    spoken = [writer.step(step, dose if apart else None) for step in steps]
    first = [] if apart or dose is None else [dose]
    return ", ".join([*first, words.then.join(spoken)])


def _has_amounts(step: Timing) -> bool:
    """Whether a step says itself how much is taken, so that each has to be told."""
    match step:
        case Phase(Together() as parts):
            return _has_amounts(parts)
        case Together(parts):
            return any(_has_amounts(part) for part in parts)
        case Phase():
            return step.amount is not None
        case _:
            return False


def _bounded(timing: Timing, start: Bound, end: Bound) -> Timing:
    unbounded = start is None and end is None
    if unbounded or isinstance(timing, Phase | Taper | AsNeeded | AfterTaken):
        return timing
    return Phase(timing, start, end)


class _Writer:
    """Writes timings in one language for one patient."""

    def __init__(self, words: Words, zone: ZoneInfo, today: date | None) -> None:
        self._words = words
        self._zone = zone
        self._today = today

    def step(self, timing: Timing, dose: str | None) -> str:
        """Say what holds at one time; `dose` is said where a phase has none itself."""
        match timing:
            case Together(parts):
                return self._words.plus.join(self.step(part, dose) for part in parts)
            case Phase(Together() as parts):
                return ", ".join([self.step(parts, dose), *self._bounds(timing)])
            case Phase():
                return ", ".join(self._phase(timing, dose))
            case _:
                return ", ".join([*([dose] if dose else []), self.when(timing)])

    def _phase(self, phase: Phase, dose: str | None) -> Sequence[str]:
        if phase.amount is not None:
            dose = self._words.dose(phase.amount, phase.unit or "1")
        food = [] if phase.food is None else [self._words.food[phase.food]]
        said = self.when(phase.timing)
        return [*([dose] if dose else []), said, *food, *self._bounds(phase)]

    def when(self, timing: Timing) -> str:
        words = self._words
        match timing:
            case ClockTimes(times):
                return self._daily(times)
            case Weekdays(times, days, every):
                return words.weekly(every, self._days(days), self._at(times))
            case Monthly(times, anchor, every):
                return words.monthly(every, anchor.day, self._at(times))
            case DailyCount(n):
                return words.times_a_day(n)
            case Cycle(1, off, _, inner) if not isinstance(inner, DailyCount):
                return words.every_days(off + 1, self._inner(inner))
            case Cycle(on, off, _, inner):
                return words.cycle(on, off, self.when(inner))
            case _:
                return self._real_time(timing)

    def _inner(self, inner: ClockTimes | Weekdays | Monthly) -> str:
        return self._at(inner.times)

    def _real_time(self, timing: Timing) -> str:
        words = self._words
        match timing:
            case EveryHours(every, anchor, doses):
                return words.every(every / doses, self._moment(anchor))
            case Instants(at):
                return words.listed([self._moment(each) for each in at])
            case AsNeeded(most, least):
                return words.as_needed(most, least)
            case AfterTaken(every, first, at):
                clock = None if at is None else words.at(_clock(at))
                return words.after_taken(every, clock, self._first(first))
            case _:
                raise BadTiming(f"no words for {timing}")

    def _daily(self, times: tuple[time, ...]) -> str:
        if len(times) == 1:
            return f"{self._words.part_of_day(times[0])} {self._at(times)}"
        return f"{self._words.daily} {self._at(times)}"

    def _at(self, times: tuple[time, ...]) -> str:
        return self._words.at(self._words.listed([_clock(each) for each in times]))

    def _days(self, days: tuple[Weekday, ...]) -> str:
        return self._words.listed([self._words.weekdays[day] for day in days])

    def _moment(self, at: datetime) -> str:
        local = wall(at, self._zone)
        return f"{self._date(local.date())} {self._words.at(_clock(local.time()))}"

    def _first(self, first: date | datetime) -> str:
        on_a_day = not isinstance(first, datetime)
        return self._date(first) if on_a_day else self._moment(first)

    def _date(self, day: date) -> str:
        same = self._today is not None and day.year == self._today.year
        return self._words.date(day, with_year=not same)

    def _bounds(self, phase: Phase) -> list[str]:
        start, end = self._day(phase.start), self._day(phase.end)
        parts: list[str] = []
        # "Every 8 hours from 3 March at 06:00" has said when it begins.
        if start is not None and not isinstance(phase.timing, EveryHours):
            parts.append(self._words.since(self._date(start)))
        if end is not None:
            parts.append(self._length(start, end))
        if phase.count is not None:
            parts.append(self._words.doses(phase.count))
        return parts

    def _length(self, start: date | None, end: date) -> str:
        days = 0 if start is None else (end - start) // DAY + 1
        if days and days % 7 == 0:
            return self._words.weeks(days // 7)
        if 0 < days <= FEW:
            return self._words.days(days)
        return self._words.until(self._date(end))

    def _day(self, bound: Bound) -> date | None:
        return wall(bound, self._zone).date() if isinstance(bound, datetime) else bound


def _clock(at: time) -> str:
    return at.isoformat("seconds" if at.second else "minutes")
