"""Adherence by electronic monitoring, a dose-day at a time, named after ABC and EMERGE.

There is no agreed formula and no validated threshold (PMC7379515), so every measure
carries its counts and its parameters. What was not monitored is unknown: it leaves
the denominator and is never an omission.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

DAY_START = time(3)
DAY = timedelta(days=1)


class Rule(StrEnum):
    """How a day on which no dose is expected counts."""

    DOSELOOP = "doseloop"  # it leaves the denominator
    CLEANADH = "cleanadh"  # it is implemented, as CleanADH has it


@dataclass(frozen=True, slots=True)
class DayPeriod:
    """Dose-days from `first_day` to `last_day`, both included."""

    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class RegimenPeriod:
    """`expected` openings a day over a period.

    With `on` and `off`, only on the first `on` days of every `on` + `off`, counted
    from `first_day`.
    """

    first_day: date
    last_day: date
    expected: int
    on: int | None = None
    off: int | None = None

    def on_day(self, day: date) -> int:
        """Return the openings expected on a day of this period."""
        if self.on is None or self.off is None:
            return self.expected
        place = (day - self.first_day).days % (self.on + self.off)
        return self.expected if place < self.on else 0


@dataclass(frozen=True, slots=True)
class Day:
    """One dose-day; `expected` None: no regimen known; `implemented` None: unknown."""

    day: date
    recorded: int
    added: int
    corrected: int
    expected: int | None
    non_monitored: bool
    implemented: bool | None

    @property
    def counts(self) -> bool:
        """Whether the day has a known, positive number of expected doses."""
        return not self.non_monitored and bool(self.expected)


@dataclass(frozen=True, slots=True)
class Measure:
    """A share with what it was computed from; `value` is None where nothing counts."""

    name: str
    numerator: int
    denominator: int
    parameters: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def value(self) -> float | None:
        return self.numerator / self.denominator if self.denominator else None


def dose_day(
    at: datetime, zone: tzinfo | None = None, *, day_start: time = DAY_START
) -> date:
    """Return the local dose-day of an instant: before `day_start` it is yesterday's.

    A naive `at` is local already; an aware one is converted to `zone`. Raises
    ValueError for an aware one without a zone.
    """
    if at.tzinfo is not None:
        if zone is None:
            raise ValueError(f"need a zone to place {at.isoformat()} on a day")
        at = at.astimezone(zone)
    return at.date() if at.time() >= day_start else at.date() - DAY


def implementation_by_day(
    openings: Iterable[datetime],
    regimen: Iterable[RegimenPeriod],
    *,
    first_day: date,
    last_day: date,
    added: Iterable[tuple[date, int]] = (),
    non_monitored: Iterable[DayPeriod] = (),
    zone: tzinfo | None = None,
    day_start: time = DAY_START,
    rule: Rule | str = Rule.DOSELOOP,
) -> list[Day]:
    """Return every dose-day from `first_day` to `last_day`, both included.

    corrected = recorded + added (`added` is negative for an opening that was no dose,
    and the sum is not capped: the table shows what was said). A day is implemented
    when corrected >= expected. Where regimen periods overlap, the one that begins last
    holds. `openings` are local and naive, or aware with `zone`. O(n log n).

    Equals CleanADH's table by monitor with `rule` cleanadh (CleanADHdata, MIT).
    """
    rule = Rule(rule)
    recorded = Counter(dose_day(at, zone, day_start=day_start) for at in openings)
    corrections: Counter[date] = Counter()
    for day, count in added:
        corrections[day] += count
    periods = sorted(regimen, key=lambda period: period.first_day)
    blind = {day for period in non_monitored for day in _days(period)}
    table: list[Day] = []
    for day in _days(DayPeriod(first_day, last_day)):
        corrected = recorded[day] + corrections[day]
        expected, unseen = _expected(periods, day), day in blind
        done = None if unseen else _implemented(corrected, expected, rule)
        row = (recorded[day], corrections[day], corrected, expected, unseen, done)
        table.append(Day(day, *row))
    return table


def taking_adherence(days: Iterable[Day], *, capped: bool = True) -> Measure:
    """Return doses taken of doses expected; capped, a day counts at most what it asks.

    Uncapped it may exceed 1: report both.
    """
    known = [day for day in days if day.counts]
    asked = [day.expected or 0 for day in known]
    taken = [
        max(0, min(day.corrected, limit) if capped else day.corrected)
        for day, limit in zip(known, asked, strict=True)
    ]
    name = "taking adherence, capped" if capped else "taking adherence, raw"
    return Measure(name, sum(taken), sum(asked))


def correct_dosing_days(days: Iterable[Day]) -> Measure:
    """Return the share of days with exactly the doses expected."""
    known = [day for day in days if day.counts]
    exact = sum(day.corrected == day.expected for day in known)
    return Measure("correct dosing days", exact, len(known))


def implementation(days: Iterable[Day]) -> Measure:
    """Return the share of implemented days among those that count by their rule."""
    known = [day.implemented for day in days if day.implemented is not None]
    return Measure("implementation", sum(known), len(known))


def timing_adherence(
    dts: Iterable[timedelta | None], *, within: timedelta, scheduled: int
) -> Measure:
    """Return the share of scheduled doses with an event `within` that time of due.

    `dts` are the matched pairs' event minus due (None: untimed, ignored); `scheduled`
    counts the timed doses whose outcome is known, matched or missed.
    """
    on_time = sum(dt is not None and abs(dt) <= within for dt in dts)
    parameters = {"within_s": within.total_seconds()}
    return Measure("timing adherence, window", on_time, scheduled, parameters)


def interval_adherence(
    taken: Sequence[datetime], *, interval: timedelta, share: float = 0.25
) -> Measure:
    """Return the share of intervals between doses within `share` of the prescribed.

    `taken` are aware instants of one known stretch, so that no interval spans a time
    that was not monitored. The usual share of 0.25 is a convention, not a standard.
    """
    gaps = [b - a for a, b in pairwise(sorted(taken))]
    near = sum(abs(gap - interval) <= share * interval for gap in gaps)
    parameters = {"interval_s": interval.total_seconds(), "share": share}
    return Measure("timing adherence, intervals", near, len(gaps), parameters)


def drug_holidays(days: Iterable[Day], *, at_least: int = 3) -> list[DayPeriod]:
    """Return every run of `at_least` days on which doses were due and none was taken.

    A day without a dose due neither counts nor breaks a run; a day that is unknown
    ends it. Three or more: BMJ 2008;336:1114.
    """
    found: list[DayPeriod] = []
    run: list[date] = []
    for day in sorted(days, key=lambda day: day.day):
        if day.counts and day.corrected <= 0:
            run.append(day.day)
        elif day.counts or day.non_monitored or day.expected is None:
            found += _holiday(run, at_least)
            run = []
    return found + _holiday(run, at_least)


def _holiday(run: Sequence[date], at_least: int) -> list[DayPeriod]:
    return [DayPeriod(run[0], run[-1])] if len(run) >= max(1, at_least) else []


def _days(period: DayPeriod) -> list[date]:
    length = (period.last_day - period.first_day).days + 1
    return [period.first_day + n * DAY for n in range(length)]


def _expected(periods: Sequence[RegimenPeriod], day: date) -> int | None:
    begun = bisect_right(periods, day, key=lambda period: period.first_day)
    for period in reversed(periods[:begun]):
        if day <= period.last_day:
            return period.on_day(day)
    return None


def _implemented(corrected: int, expected: int | None, rule: Rule) -> bool | None:
    if expected is None or (expected == 0 and rule == Rule.DOSELOOP):
        return None
    return corrected >= expected
