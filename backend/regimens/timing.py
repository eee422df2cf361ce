"""When a regimen asks for doses, as values that check themselves.

Two bases. WALL: clock times of the patient's zone on a date, so that 08:00 stays 08:00
when clocks change or the patient travels. ELAPSED: hours of real time from an instant.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar

from backend.errors import Unprocessable


class BadTiming(Unprocessable):
    """A timing that cannot be carried out as written; the message says why."""


class Basis(StrEnum):
    WALL = "wall"
    ELAPSED = "elapsed"


class Weekday(StrEnum):
    """Days as FHIR codes, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"

    @classmethod
    def of(cls, day: date) -> "Weekday":
        return tuple(cls)[day.weekday()]


class Food(StrEnum):
    """How a dose is taken with meals: a label that people read, never a time."""

    BEFORE = "before"
    WITH = "with"
    AFTER = "after"


@dataclass(frozen=True, slots=True)
class ClockTimes:
    """Every day at these wall-clock times."""

    times: tuple[time, ...]
    basis: ClassVar[Basis] = Basis.WALL

    def __post_init__(self) -> None:
        _check_times(self.times)


@dataclass(frozen=True, slots=True)
class Weekdays:
    """On these days of every n-th week, weeks from Monday, counted from `anchor`'s."""

    times: tuple[time, ...]
    days: tuple[Weekday, ...]
    every_weeks: int = 1
    anchor: date | None = None
    basis: ClassVar[Basis] = Basis.WALL

    def __post_init__(self) -> None:
        _check_times(self.times)
        if not self.days or len(set(self.days)) < len(self.days):
            raise BadTiming(f"want one or more different weekdays, got {self.days}")
        _at_least(1, self.every_weeks, "weeks between")
        if self.every_weeks > 1 and self.anchor is None:
            raise BadTiming("every other week needs a date to count the weeks from")


@dataclass(frozen=True, slots=True)
class Monthly:
    """Every n months on the anchor's day of the month, or the last where it is absent.

    From 31 January: 28 or 29 February, 31 March, 30 April.
    """

    times: tuple[time, ...]
    anchor: date
    every_months: int = 1
    basis: ClassVar[Basis] = Basis.WALL

    def __post_init__(self) -> None:
        _check_times(self.times)
        _at_least(1, self.every_months, "months between")


@dataclass(frozen=True, slots=True)
class DailyCount:
    """`n` doses some time in each dose-day, 0 for a day without."""

    n: int
    basis: ClassVar[Basis] = Basis.WALL

    def __post_init__(self) -> None:
        _at_least(0, self.n, "doses a day")


@dataclass(frozen=True, slots=True)
class Cycle:
    """`inner` on `on_days` days, then `off_days` without, over again from `anchor`.

    Nothing before the anchor. Days are those of the calendar, also where a zone
    skipped one.
    """

    on_days: int
    off_days: int
    anchor: date
    inner: "ClockTimes | Weekdays | Monthly | DailyCount"
    basis: ClassVar[Basis] = Basis.WALL

    def __post_init__(self) -> None:
        _at_least(1, self.on_days, "days on")
        _at_least(1, self.off_days, "days off")


@dataclass(frozen=True, slots=True)
class EveryHours:
    """`doses` evenly spread over each `every` of real time, the first at `anchor`."""

    every: timedelta
    anchor: datetime
    doses: int = 1
    basis: ClassVar[Basis] = Basis.ELAPSED

    def __post_init__(self) -> None:
        _check_aware(self.anchor, "the anchor")
        _at_least(1, self.doses, "doses in each interval")
        if self.every / self.doses < timedelta(seconds=1):
            raise BadTiming(f"doses must be a second or more apart, got {self.every}")


@dataclass(frozen=True, slots=True)
class Instants:
    """Exactly these instants."""

    at: tuple[datetime, ...]
    basis: ClassVar[Basis] = Basis.ELAPSED

    def __post_init__(self) -> None:
        for instant in self.at:
            _check_aware(instant, "each instant")
        _check_ascending(self.at, "instants")


@dataclass(frozen=True, slots=True)
class AsNeeded:
    """A guard, not a schedule: at most so many doses in 24 h, at least so far apart."""

    most_in_24_hours: int | None = None
    least_interval: timedelta | None = None
    basis: ClassVar[Basis] = Basis.ELAPSED

    def __post_init__(self) -> None:
        if self.most_in_24_hours is None and self.least_interval is None:
            raise BadTiming("as needed wants a most in 24 h or a least interval")
        if self.most_in_24_hours is not None:
            _at_least(1, self.most_in_24_hours, "doses in 24 h")
        if self.least_interval is not None and self.least_interval <= timedelta():
            raise BadTiming(f"want an interval above 0, got {self.least_interval}")


@dataclass(frozen=True, slots=True)
class AfterTaken:
    """The first dose at `first`, each further one `every` after the last was taken.

    With `at` (WALL) whole days are counted on the calendar and the dose is due at that
    clock time; without it (ELAPSED) it is due exactly `every` of real time later. What
    comes after a dose is not known before that one was taken.
    """

    every: timedelta
    first: date | datetime
    at: time | None = None

    @property
    def basis(self) -> Basis:
        return Basis.ELAPSED if self.at is None else Basis.WALL

    def __post_init__(self) -> None:
        if self.every < SHORTEST_AFTER or self.every.microseconds:
            raise BadTiming(f"want {SHORTEST_AFTER} or more apart, got {self.every}")
        if isinstance(self.first, datetime) == (self.at is not None):
            raise BadTiming("the first dose is a date with a clock time, or an instant")
        if isinstance(self.first, datetime):
            _check_aware(self.first, "the first dose")
        if self.at is not None:
            _check_times((self.at,))
            if self.every % timedelta(days=1):
                raise BadTiming(f"at a clock time want whole days, got {self.every}")


SHORTEST_AFTER = timedelta(hours=1)
MOST_DOSES = 1_000_000  # of a phase: a lifetime of every hour
Simple = ClockTimes | Weekdays | Monthly | DailyCount | Cycle | EveryHours | Instants


@dataclass(frozen=True, slots=True)
class Together:
    """Parts that hold at the same time, as 8 units in the morning and 6 at night.

    Parts that ask for a dose at one time ask for one dose, of the sum of their amounts;
    without amounts of their own, of the regimen's.
    """

    parts: tuple["Phase", ...]

    @property
    def basis(self) -> Basis:
        return self.parts[0].basis

    def __post_init__(self) -> None:
        if len(self.parts) < LEAST_TOGETHER:
            raise BadTiming("want two parts or more that hold together")
        if any(isinstance(part.timing, Together) for part in self.parts):
            raise BadTiming("parts that hold together hold no further parts")
        if any(is_untimed(part.timing) for part in self.parts):
            raise BadTiming("parts that hold together need times of day")
        if len({part.unit for part in self.parts}) > 1:
            raise BadTiming("parts that hold together need amounts in one unit")


LEAST_TOGETHER = 2


@dataclass(frozen=True, slots=True)
class Phase:
    """`timing` from `start` to `end`, both included, and at most `count` doses of it.

    A date bounds whole local days, an instant is compared with the dose's instant.
    `amount`, in the UCUM `unit`, is that of each dose where it is not the regimen's.
    """

    timing: "Simple | Together"
    start: date | datetime | None = None
    end: date | datetime | None = None
    count: int | None = None
    amount: Decimal | None = None
    unit: str | None = None
    food: Food | None = None

    @property
    def basis(self) -> Basis:
        return self.timing.basis

    def __post_init__(self) -> None:
        self._check_amount()
        for bound in (self.start, self.end):
            if isinstance(bound, datetime):
                _check_aware(bound, "a bound with a time")
        if self.count is not None:
            _at_least(1, self.count, "the count")
            if self.count > MOST_DOSES:
                raise BadTiming(f"the count is at most {MOST_DOSES}")
            if self.start is None:
                raise BadTiming("a count needs a start to count from")
        if _after(self.start, self.end):
            raise BadTiming(f"it ends ({self.end}) before it starts ({self.start})")

    def _check_amount(self) -> None:
        if (self.amount is None) != (self.unit is None):
            raise BadTiming("an amount and its unit need each other")
        if self.amount is not None and not (
            self.amount.is_finite() and self.amount > 0
        ):
            raise BadTiming(f"want an amount above 0, got {self.amount}")
        own = self.count, self.amount, self.food
        if isinstance(self.timing, Together) and own != (None, None, None):
            raise BadTiming("count, amount and food are those of each part")


@dataclass(frozen=True, slots=True)
class Taper:
    """Phases one after the other, each cut off by the next: a taper, a titration."""

    phases: tuple[Phase, ...]

    @property
    def basis(self) -> Basis:
        return self.phases[0].basis

    def __post_init__(self) -> None:
        if not self.phases:
            raise BadTiming("want at least one phase")
        for one, two in zip(self.phases, self.phases[1:], strict=False):
            if two.start is None:
                raise BadTiming("every phase after the first needs its start")
            if _after(one.start, two.start) or _after(one.end, two.start):
                raise BadTiming(f"want phases in order, got {two.start} too late")


Timing = Simple | AsNeeded | AfterTaken | Phase | Together | Taper


def is_untimed(timing: Timing) -> bool:
    """Tell whether a timing leaves open at what time of the day doses are taken."""
    match timing:
        case DailyCount() | Cycle(inner=DailyCount()):
            return True
        case Phase(inner):
            return is_untimed(inner)
        case Taper(parts) | Together(parts):
            return any(is_untimed(part) for part in parts)
        case _:
            return False


def _after(one: date | datetime | None, two: date | datetime | None) -> bool:
    """Tell whether `one` is later; a date and an instant compare with a day's slack."""
    if one is None or two is None:
        return False
    if isinstance(one, datetime) and isinstance(two, datetime):
        return one > two
    slack = timedelta(days=isinstance(one, datetime) or isinstance(two, datetime))
    return _as_date(one) > _as_date(two) + slack


def _as_date(bound: date | datetime) -> date:
    return bound.date() if isinstance(bound, datetime) else bound


def _at_least(least: int, value: int, what: str) -> None:
    if value < least:
        raise BadTiming(f"want {least} or more for {what}, got {value}")


def _check_aware(at: datetime, what: str) -> None:
    if at.utcoffset() is None or at.microsecond:
        raise BadTiming(f"{what} is a whole second with an offset, got {at}")


def _check_times(times: tuple[time, ...]) -> None:
    if any(at.tzinfo or at.microsecond for at in times):
        raise BadTiming(f"clock times are whole seconds without a zone, got {times}")
    _check_ascending(times, "clock times")


def _check_ascending(values: Sequence[time] | Sequence[datetime], what: str) -> None:
    if not values or list(values) != sorted(set(values)):
        raise BadTiming(f"want different {what} in ascending order, got {values}")
