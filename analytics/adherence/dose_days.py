"""Openings by dose-day: recorded, corrected, expected, and whether it was seen.

A dose-day runs from `day_start` to `day_start`, local. What was not monitored is
unknown: it leaves the denominator and is never an omission.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum

IMPLEMENTATION_COLUMNS = (  # of a table of monitor-days, as CleanADH names them
    "PatientCode",
    "Monitor",
    "Date",
    "RecordedOpenings",
    "AddedOpenings",
    "CorrectedOpenings",
    "ExpectedOpenings",
    "NonMonitored",
    "Implementation",
)
DAY_START = time(3)
DAY = timedelta(days=1)


class Rule(StrEnum):
    """How a day on which no dose is expected counts."""

    DOSELOOP = "doseloop"  # it leaves the denominator
    CLEANADH = "cleanadh"  # it is implemented, as CleanADH has it
    ONCMAP = "oncmap"  # so too; see `openings.judged` for what else it changes


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
class PatientDay:
    """One dose-day over all monitors of a patient; `implemented` None: unknown."""

    day: date
    monitors: int
    implemented: bool | None


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
    blind = {day for period in non_monitored for day in days_of(period)}
    table: list[Day] = []
    for day in days_of(DayPeriod(first_day, last_day)):
        corrected = recorded[day] + corrections[day]
        expected, unseen = _expected(periods, day), day in blind
        done = None if unseen else _implemented(corrected, expected, rule)
        row = (recorded[day], corrections[day], corrected, expected, unseen, done)
        table.append(Day(day, *row))
    return table


def implementation_by_patient(monitors: Iterable[Iterable[Day]]) -> list[PatientDay]:
    """Return every dose-day of a patient's monitors: implemented if all of them are.

    Unknown if one of them is; a monitor of which nothing was expected has no say.
    """
    by_day: defaultdict[date, list[Day]] = defaultdict(list)
    for monitor in monitors:
        for day in monitor:
            by_day[day.day].append(day)
    return [
        PatientDay(day, len(by_day[day]), _all(by_day[day])) for day in sorted(by_day)
    ]


def _all(days: Sequence[Day]) -> bool | None:
    if any(day.non_monitored or day.expected is None for day in days):
        return None
    asked = [day.implemented for day in days if day.implemented is not None]
    return all(asked) if asked else None


def days_of(period: DayPeriod) -> list[date]:
    """Return every day of the period, both ends included."""
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
