"""Adherence by electronic monitoring, named after the ABC taxonomy and EMERGE.

Every function takes days or doses of one patient in order and returns a `Measure`: the
figure with its counts, parameters and interval. Unknown days are in no denominator.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

from analytics.adherence.dose_days import DAY, Day, DayPeriod
from analytics.adherence.measure import Counts, Measure, event_count, ratio, share
from analytics.records import Period


def counts_of(days: Iterable[Day]) -> Counts:
    """Return the doses taken on known days, how many are known, how many unknown.

    A day of which it is known that no dose was due is neither.
    """
    days = list(days)
    known = [day for day in days if day.counts]
    unknown = sum(day.non_monitored or day.expected is None for day in days)
    return Counts(sum(max(0, day.corrected) for day in known), len(known), unknown)


def taking_adherence(days: Iterable[Day], *, capped: bool = True) -> Measure:
    """Return doses taken of doses expected; capped, a day counts at most what it asks.

    Uncapped it may exceed 1: report both.
    """
    days = list(days)
    known = [day for day in days if day.counts]
    asked = [day.expected or 0 for day in known]
    taken = [max(0, day.corrected) for day in known]
    if not capped:
        name = "taking adherence, raw"
        return ratio(name, taken, asked, counts=counts_of(days))
    least = [min(pair) for pair in zip(taken, asked, strict=True)]
    return share("taking adherence, capped", least, asked, counts=counts_of(days))


def correct_dosing_days(days: Iterable[Day]) -> Measure:
    """Return the share of days with exactly the doses expected."""
    days = list(days)
    exact = [int(day.corrected == day.expected) for day in days if day.counts]
    ones = [1] * len(exact)
    return share("correct dosing days", exact, ones, counts=counts_of(days))


def dose_taken_days(days: Iterable[Day]) -> Measure:
    """Return the share of days with at least the doses expected."""
    days = list(days)
    done = [int(day.corrected >= (day.expected or 0)) for day in days if day.counts]
    return share("dose-taken days", done, [1] * len(done), counts=counts_of(days))


def implementation(days: Iterable[Day]) -> Measure:
    """Return the share of implemented days among those that count by their rule."""
    days = list(days)
    done = [int(day.implemented) for day in days if day.implemented is not None]
    return share("implementation", done, [1] * len(done), counts=counts_of(days))


def doses_a_day(days: Iterable[Day]) -> Measure:
    """Return the doses taken per known day on which any was due."""
    days = list(days)
    taken = [max(0, day.corrected) for day in days if day.counts]
    ones = [1.0] * len(taken)
    return ratio("doses a day", taken, ones, unit="1/d", counts=counts_of(days))


def timing_adherence(
    dts: Iterable[timedelta | None],
    *,
    within: timedelta,
    counts: Counts | None = None,
) -> Measure:
    """Return the share of scheduled doses taken `within` that time of due.

    `dts` holds one entry a timed dose whose outcome is known, in order: the matched
    event minus due, None where it was missed.
    """
    near = [int(dt is not None and abs(dt) <= within) for dt in dts]
    return share(
        "timing adherence, window",
        near,
        [1] * len(near),
        parameters={"within_s": within.total_seconds()},
        counts=counts or Counts(len(near)),
    )


def interval_adherence(
    taken: Sequence[datetime],
    *,
    interval: timedelta,
    within: float = 0.25,
    unknown: Sequence[Period] = (),
    counts: Counts | None = None,
) -> Measure:
    """Return the share of intervals between doses within that share of the prescribed.

    `taken` are aware instants; an interval that touches an `unknown` period is none.
    The usual quarter is a convention, not a standard.
    """
    gaps = [until - start for start, until in known_gaps(taken, unknown)]
    near = [int(abs(gap - interval) <= within * interval) for gap in gaps]
    return share(
        "timing adherence, intervals",
        near,
        [1] * len(near),
        parameters={"interval_s": interval.total_seconds(), "within": within},
        counts=counts or Counts(len(taken)),
    )


def known_gaps(
    taken: Sequence[datetime], unknown: Sequence[Period] = ()
) -> list[tuple[datetime, datetime]]:
    """Return each dose with the next, where nothing between them is unknown."""
    return [
        (start, until)
        for start, until in pairwise(sorted(taken))
        if not any(period.overlaps(start, until) for period in unknown)
    ]


def longest_gap(
    taken: Sequence[datetime],
    *,
    until: datetime | None = None,
    unknown: Sequence[Period] = (),
    counts: Counts | None = None,
) -> Measure:
    """Return the longest time in days from a dose to the next, or to `until`.

    `until` is when monitoring ended: the last gap is open and at least so long. The
    extreme of one record has no interval.
    """
    ends = [until] if until is not None and taken and until > max(taken) else []
    gaps = [b - a for a, b in known_gaps([*taken, *ends], unknown)]
    days = max(gaps) / DAY if gaps else None
    told = counts or Counts(len(taken))
    return Measure("longest gap", days, days or 0.0, 1.0, "d", {}, told)


def drug_holidays(days: Iterable[Day], *, at_least: int = 3) -> list[DayPeriod]:
    """Return every run of `at_least` days on which doses were due and none was taken.

    A day without a dose due neither counts nor breaks a run; a day that is unknown
    ends it. Three or more: BMJ 2008;336:1114.
    """
    found: list[DayPeriod] = []
    run: list[Day] = []
    for day in sorted(days, key=lambda day: day.day):
        if day.counts and day.corrected <= 0:
            run.append(day)
        elif day.counts or day.non_monitored or day.expected is None:
            found += _holiday(run, at_least)
            run = []
    return found + _holiday(run, at_least)


def holiday_count(days: Iterable[Day], *, at_least: int = 3) -> Measure:
    """Return the number of drug holidays in the monitored days, its denominator."""
    days = list(days)
    found = drug_holidays(days, at_least=at_least)
    told = {"at_least_d": float(at_least)}
    return event_count(
        "drug holidays", len(found), counts=counts_of(days), parameters=told
    )


def holiday_days(days: Iterable[Day], *, at_least: int = 3) -> Measure:
    """Return the share of known days that lie in a drug holiday."""
    days = list(days)
    spans = drug_holidays(days, at_least=at_least)
    inside = [
        int(any(span.first_day <= day.day <= span.last_day for span in spans))
        for day in days
        if day.counts
    ]
    return share(
        "days in drug holidays",
        inside,
        [1] * len(inside),
        counts=counts_of(days),
        parameters={"at_least_d": float(at_least)},
    )


def _holiday(run: Sequence[Day], at_least: int) -> list[DayPeriod]:
    if len(run) < max(1, at_least):
        return []
    return [DayPeriod(run[0].day, run[-1].day)]
