"""Which openings of a monitor count, and why the others do not."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import IntEnum

from analytics.adherence.dose_days import (
    DAY,
    DAY_START,
    DayPeriod,
    Rule,
    days_of,
    dose_day,
)
from analytics.matching import DEBOUNCE


class Exclusion(IntEnum):
    """Why an opening is left out, by OncMAP's numbers (0.1.7, its preprocessing)."""

    KEPT = 0
    DEBOUNCED = 1  # too soon after another
    BEFORE = 2  # the first monitored day
    AFTER = 3  # the last one
    NON_MONITORED = 4


@dataclass(frozen=True, slots=True)
class Opening:
    """A raw opening, UTC and on the patient's clock, and whether it counts."""

    at: datetime
    local: datetime
    day: date
    excluded: Exclusion

    @property
    def kept(self) -> bool:
        return self.excluded == Exclusion.KEPT


def judged(
    openings: Iterable[datetime],
    *,
    zone: tzinfo,
    first_day: date,
    last_day: date,
    non_monitored: Iterable[DayPeriod] = (),
    debounce: timedelta = DEBOUNCE,
    day_start: time = DAY_START,
    rule: Rule = Rule.DOSELOOP,
) -> list[Opening]:
    """Return the openings in order, each with the first reason to leave it out.

    `openings` are aware; time between them is time that passed, their day is the
    patient's. The debounce counts from the last opening that was not an echo itself.
    By OncMAP's rule it counts from the one before, so that a lid that rattles for an
    hour hides all of it, and the first and last day end at midnight whenever dose-days
    begin. Nothing is deleted.
    """
    blind = {day for period in non_monitored for day in days_of(period)}
    told: list[Opening] = []
    since: datetime | None = None
    for at in sorted(at.astimezone(UTC) for at in openings):
        echo = since is not None and at - since < debounce
        if not echo or rule == Rule.ONCMAP:
            since = at
        local = at.astimezone(zone).replace(tzinfo=None)
        day = dose_day(local, day_start=day_start)
        ends = local.date() if rule == Rule.ONCMAP else day
        why = _why(ends, DayPeriod(first_day, last_day), echo=echo, unseen=day in blind)
        told.append(Opening(at, local, day, why))
    return told


def _why(day: date, within: DayPeriod, *, echo: bool, unseen: bool) -> Exclusion:
    if echo:
        return Exclusion.DEBOUNCED
    if day < within.first_day:
        return Exclusion.BEFORE
    if day > within.last_day:
        return Exclusion.AFTER
    return Exclusion.NON_MONITORED if unseen else Exclusion.KEPT


@dataclass(frozen=True, slots=True)
class DosePeriod:
    """One of the equal parts of a dose-day, local and naive, `end` its last second."""

    day: date
    number: int
    start: datetime
    end: datetime
    non_monitored: bool
    active: bool
    expected: int
    opened: int

    @property
    def counts(self) -> bool:
        """Whether it was monitored."""
        return not self.non_monitored


def dose_periods(
    openings: Sequence[Opening],
    *,
    first_day: date,
    last_day: date,
    a_day: int = 1,
    doses: int = 1,
    weekdays: frozenset[int] = frozenset(range(7)),
    non_monitored: Iterable[DayPeriod] = (),
    day_start: time = DAY_START,
) -> list[DosePeriod]:
    """Return the `a_day` equal parts of every dose-day, with `doses` due in each.

    `weekdays` on which doses are due: Monday is 0. OncMAP's `all_periods`.
    """
    length = DAY / a_day
    blind = {day for period in non_monitored for day in days_of(period)}
    opened: dict[tuple[date, int], int] = {}
    for opening in openings:
        if opening.kept:
            day = opening.day
            number = (opening.local - datetime.combine(day, day_start)) // length
            opened[day, number] = opened.get((day, number), 0) + 1
    table: list[DosePeriod] = []
    for day in days_of(DayPeriod(first_day, last_day)):
        due = doses if day.weekday() in weekdays else 0
        for number in range(a_day):
            start = datetime.combine(day, day_start) + number * length
            times = start, start + length - timedelta(seconds=1)
            seen = day in blind, day.weekday() in weekdays
            count = opened.get((day, number), 0)
            table.append(DosePeriod(day, number + 1, *times, *seen, due, count))
    return table
