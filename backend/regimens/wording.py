"""A prescription as one sentence for people: 8 units, evenings at 21:00, from 3 March.

The order of the parts is the same in every language; the words are in `Words`, one a
language. A language that has none yet is refused, not guessed.
"""

from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from backend.regimens.timing import (
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
    Weekday,
    Weekdays,
)
from backend.regimens.words import WORDS, Words
from backend.regimens.zones import DAY, wall

Bound = date | datetime | None


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

    `start` and `end` (both included) bound it where the timing does not. Dates of the
    year of `today` are named without their year. Raises BadTiming for a language
    without words.
    """
    words = WORDS.get(language)
    if words is None:
        raise BadTiming(f"there are no words for regimens in {language!r}")
    phases = timing.phases if isinstance(timing, Taper) else (timing,)
    writer = _Writer(words, zone, today)
    spoken = [writer.phase(_bounded(one, start, end)) for one in phases]
    dose = [] if amount is None else [words.dose(amount, unit or "1")]
    return ", ".join([*dose, words.then.join(spoken)])


def _bounded(timing: Timing, start: Bound, end: Bound) -> Timing:
    if isinstance(timing, Phase | Taper | AsNeeded) or (start is None and end is None):
        return timing
    return Phase(timing, start, end)


class _Writer:
    """Writes timings in one language for one patient."""

    def __init__(self, words: Words, zone: ZoneInfo, today: date | None) -> None:
        self._words = words
        self._zone = zone
        self._today = today

    def phase(self, timing: Timing) -> str:
        if not isinstance(timing, Phase):
            return self.when(timing)
        parts = [self.when(timing.timing), *self._bounds(timing)]
        return ", ".join(parts)

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

    def _date(self, day: date) -> str:
        same = self._today is not None and day.year == self._today.year
        return self._words.date(day, with_year=not same)

    def _bounds(self, phase: Phase) -> list[str]:
        start, end = self._day(phase.start), self._day(phase.end)
        parts: list[str] = []
        # "Every 8 hours from 3 March at 06:00" has said when it begins.
        if start is not None and not isinstance(phase.timing, EveryHours):
            parts.append(self._words.since(self._date(start)))
        if start is not None and end is not None and _weeks(start, end):
            parts.append(self._words.weeks(_weeks(start, end)))
        elif end is not None:
            parts.append(self._words.until(self._date(end)))
        if phase.count is not None:
            parts.append(self._words.doses(phase.count))
        return parts

    def _day(self, bound: Bound) -> date | None:
        return wall(bound, self._zone).date() if isinstance(bound, datetime) else bound


def _weeks(start: date, end: date) -> int:
    """Return how many weeks two days span, both included; 0 if not whole ones."""
    days = (end - start) // DAY + 1
    return days // 7 if days % 7 == 0 else 0


def _clock(at: time) -> str:
    return at.isoformat("seconds" if at.second else "minutes")
