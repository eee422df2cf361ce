"""All that electronic monitoring of one patient and one medicine tells, in one call."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cached_property

from analytics.adherence import electronic_monitoring as em
from analytics.adherence.coverage import forgiven_days, therapeutic_coverage
from analytics.adherence.dose_days import DAY, DAY_START, Day, DayPeriod, Rule
from analytics.adherence.habit import circular_sd, dose_places, weekly_cross_correlation
from analytics.adherence.measure import Measure
from analytics.adherence.openings import DosePeriod, Opening, dose_periods, judged
from analytics.matching import DEBOUNCE, ON_TIME, default_windows, match
from analytics.records import Dose, Period, Scheduled

EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Regimen:
    """`doses` due in each of `periods` equal parts of a dose-day, on these weekdays.

    `times` are when they are due, if they are timed. Monday is 0.
    """

    periods: int = 1
    doses: int = 1
    weekdays: frozenset[int] = EVERY_DAY
    times: tuple[time, ...] = ()

    @property
    def a_day(self) -> int:
        return self.periods * self.doses

    @property
    def interval(self) -> timedelta:
        return DAY / self.a_day


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the measures are computed with; every result carries those it used."""

    day_start: time = DAY_START
    debounce: timedelta = DEBOUNCE
    on_time: timedelta = ON_TIME
    within: float = 0.25  # of the interval
    holiday: int = 3
    acts_for: timedelta | None = None  # None: one interval
    tolerated: int = 1
    rule: Rule = Rule.DOSELOOP


@dataclass(frozen=True)
class Record:
    """One patient's monitor from `first_day` to `last_day`, both included."""

    raw: Sequence[datetime]
    first_day: date
    last_day: date
    regimen: Regimen = field(default_factory=Regimen)
    non_monitored: Sequence[DayPeriod] = ()
    zone: tzinfo = UTC
    parameters: Parameters = field(default_factory=Parameters)

    @cached_property
    def openings(self) -> list[Opening]:
        """Every raw opening in order, and why it counts or not."""
        how = self.parameters
        return judged(
            self.raw,
            zone=self.zone,
            first_day=self.first_day,
            last_day=self.last_day,
            non_monitored=self.non_monitored,
            debounce=how.debounce,
            day_start=how.day_start,
            rule=how.rule,
        )

    @cached_property
    def periods(self) -> list[DosePeriod]:
        """Every part of every dose-day in which doses are due together."""
        return dose_periods(
            self.openings,
            first_day=self.first_day,
            last_day=self.last_day,
            a_day=self.regimen.periods,
            doses=self.regimen.doses,
            weekdays=self.regimen.weekdays,
            non_monitored=self.non_monitored,
            day_start=self.parameters.day_start,
        )

    @cached_property
    def days(self) -> list[Day]:
        """Every dose-day, its periods taken together."""
        by_day: dict[date, list[DosePeriod]] = {}
        for period in self.periods:
            by_day.setdefault(period.day, []).append(period)
        return [self._day(day, parts) for day, parts in by_day.items()]

    @cached_property
    def taken(self) -> list[Opening]:
        """The openings that count, in order."""
        first, last = self.first_day, self.last_day
        return [o for o in self.openings if o.kept and first <= o.day <= last]

    @cached_property
    def unknown(self) -> list[Period]:
        """The times, UTC, that were not monitored."""
        return [
            Period(self.starts(span.first_day), self.starts(span.last_day + DAY))
            for span in self.non_monitored
        ]

    def starts(self, day: date) -> datetime:
        """Return when a dose-day begins, UTC."""
        start = datetime.combine(day, self.parameters.day_start, self.zone)
        return start.astimezone(UTC)

    def _day(self, day: date, parts: Sequence[DosePeriod]) -> Day:
        opened = sum(part.opened for part in parts)
        expected = sum(part.expected for part in parts)
        unseen = parts[0].non_monitored
        asked = expected or self.parameters.rule != Rule.DOSELOOP
        done = all(part.opened >= part.expected for part in parts)
        known = done if asked and not unseen else None
        return Day(day, opened, 0, opened, expected, unseen, known)


def measures(record: Record) -> list[Measure]:
    """Return every measure of electronic monitoring of one record."""
    days, how = record.days, record.parameters
    parts = _dosing_periods(record)
    instants = [opening.at for opening in record.taken]
    counts = em.counts_of(days)
    ends = record.starts(record.last_day + DAY)
    local, places = dose_places(
        [opening.local for opening in record.taken],
        record.regimen.a_day,
        day_start=how.day_start,
    )
    by_period = (
        em.taking_adherence(parts),
        em.taking_adherence(parts, capped=False),
        em.correct_dosing_days(parts),
        em.dose_taken_days(parts),
    )
    return [
        *(replace(measure, counts=counts) for measure in by_period),
        em.doses_a_day(days),
        em.interval_adherence(
            instants,
            interval=record.regimen.interval,
            within=how.within,
            unknown=record.unknown,
            counts=counts,
        ),
        *timing_by_window(record),
        em.holiday_count(days, at_least=how.holiday),
        em.holiday_days(days, at_least=how.holiday),
        em.longest_gap(instants, until=ends, unknown=record.unknown, counts=counts),
        circular_sd(local, places=places, counts=counts),
        weekly_cross_correlation(
            [opening.local for opening in record.taken],
            [day.day for day in days if day.counts],
            day_start=how.day_start,
            counts=counts,
        ),
        therapeutic_coverage(
            instants,
            acts_for=how.acts_for or record.regimen.interval,
            monitored=Period(record.starts(record.first_day), ends),
            unknown=record.unknown,
            counts=counts,
        ),
        forgiven_days(days, tolerated=how.tolerated),
    ]


def timing_by_window(record: Record) -> list[Measure]:
    """Return the share of timed doses taken within `on_time`; none without times.

    Each dose has at most one opening: the order-preserving optimum of `matching`.
    """
    due = scheduled(record)
    if not due:
        return []
    events = [Dose(n, opening.at) for n, opening in enumerate(record.taken)]
    how = record.parameters
    got = match(events, due, on_time=how.on_time, debounce=timedelta(0))
    offs = {pair.dose: pair.dt for pair in got.pairs}
    return [
        em.timing_adherence(
            [offs.get(dose.id) for dose in due],
            within=how.on_time,
            counts=em.counts_of(record.days),
        )
    ]


def scheduled(record: Record) -> list[Scheduled[int]]:
    """Return the timed doses due on known days, windows as `default_windows` has it.

    An unknown day between two doses makes their windows no wider.
    """
    due = [
        (_due(record, day.day, at), day.counts)
        for day in record.days
        for at in (record.regimen.times if day.expected else ())
    ]
    due.sort()
    windows = default_windows([at for at, _ in due])
    return [
        Scheduled(n, at, *window)
        for n, ((at, known), window) in enumerate(zip(due, windows, strict=True))
        if known
    ]


def _due(record: Record, day: date, at: time) -> datetime:
    late = DAY if at < record.parameters.day_start else timedelta(0)
    return datetime.combine(day + late, at, record.zone).astimezone(UTC)


def _dosing_periods(record: Record) -> list[Day]:
    """Return the periods as days, which is what they are with one a day."""
    return [
        Day(
            part.day,
            part.opened,
            0,
            part.opened,
            part.expected,
            part.non_monitored,
            None if part.non_monitored else part.opened >= part.expected,
        )
        for part in record.periods
    ]


def oncmap_shares(periods: Iterable[DosePeriod]) -> tuple[float, float, float, int]:
    """Return OncMAP's daysadh, daysdose, perdoses and n of its report.

    A period of which nothing was expected counts, as it does there: with no opening it
    is correct. NaN where nothing was monitored.
    """
    known = [period for period in periods if not period.non_monitored]
    n = len(known)
    if not n:
        return float("nan"), float("nan"), float("nan"), 0
    exact = sum(period.opened == period.expected for period in known)
    taken = sum(period.opened >= period.expected for period in known)
    asked = sum(period.expected for period in known)
    opened = sum(period.opened for period in known)
    return exact / n, taken / n, opened / asked if asked else float("nan"), n
