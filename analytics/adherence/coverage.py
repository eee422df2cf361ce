"""How long the medicine worked: therapeutic coverage and forgiveness.

Both weigh a missed dose by what the medicine forgives, which a share of doses cannot:
one person's ten misses in a row are not another's ten single ones.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from analytics.adherence.dose_days import DAY, Day
from analytics.adherence.electronic_monitoring import counts_of
from analytics.adherence.measure import Counts, Measure, ratio, share
from analytics.records import Period

ZERO = timedelta(0)


def therapeutic_coverage(
    taken: Sequence[datetime],
    *,
    acts_for: timedelta,
    monitored: Period,
    unknown: Sequence[Period] = (),
    counts: Counts | None = None,
) -> Measure:
    """Return the share of monitored time that lies within `acts_for` after a dose.

    `taken` are aware instants; doses before the monitored period count for what of
    their action lies inside. Days of 24 hours from its start are the blocks of the
    interval. Raises ValueError for a period without end.
    """
    if monitored.until is None:
        raise ValueError("need the end of the monitored period")
    acting = merged(Period(at, at + acts_for) for at in taken)
    ends = [dose.until or dose.start for dose in acting]
    blind = merged(unknown)
    covered: list[float] = []
    known: list[float] = []
    start = monitored.start
    while start < monitored.until:
        day = Period(start, min(start + DAY, monitored.until))
        seen = without(day, blind)
        known.append(sum((_length(part) for part in seen), ZERO) / DAY)
        both = (
            _overlap(part, dose) for part in seen for dose in _near(acting, ends, part)
        )
        covered.append(sum(both, ZERO) / DAY)
        start += DAY
    return ratio(
        "therapeutic coverage",
        covered,
        known,
        parameters={"acts_for_s": acts_for.total_seconds()},
        counts=counts or Counts(len(taken)),
    )


def forgiveness_threshold(doses: int, *, tolerated: int) -> float:
    """Return (N - F) / N: the least adherence with which `tolerated` misses in a row
    out of `doses` are still forgiven. Raises ValueError unless 0 <= F <= N, N > 0.
    """
    if not 0 <= tolerated <= doses or doses < 1:
        raise ValueError(f"need 0 <= tolerated <= doses, got {tolerated} of {doses}")
    return (doses - tolerated) / doses


def forgiven_days(days: Iterable[Day], *, tolerated: int) -> Measure:
    """Return the share of known days that end with at most `tolerated` misses in a row.

    A dose taken begins again at none; an unknown day does too, since what it hides may
    have been taken.
    """
    days = sorted(days, key=lambda day: day.day)
    run = 0
    forgiven: list[int] = []
    for day in days:
        if not day.counts:
            run = 0 if day.non_monitored or day.expected is None else run
            continue
        missing = max(0, (day.expected or 0) - max(0, day.corrected))
        run = missing if day.corrected > 0 else run + missing
        forgiven.append(int(run <= tolerated))
    return share(
        "days within forgiveness",
        forgiven,
        [1] * len(forgiven),
        parameters={"tolerated": float(tolerated)},
        counts=counts_of(days),
    )


def merged(periods: Iterable[Period]) -> list[Period]:
    """Return the union as periods in order that do not touch. Ends must be given."""
    union: list[tuple[datetime, datetime]] = []
    for start, until in sorted((p.start, p.until) for p in periods if p.until):
        if union and start <= union[-1][1]:
            union[-1] = union[-1][0], max(union[-1][1], until)
        else:
            union.append((start, until))
    return [Period(start, until) for start, until in union]


def without(period: Period, others: Sequence[Period]) -> list[Period]:
    """Return what is left of `period` outside `others`, which are `merged`."""
    left: list[Period] = []
    start, end = period.start, period.until or period.start
    for other in others:
        until = other.until or end
        if until <= start or other.start >= end:
            continue
        if other.start > start:
            left.append(Period(start, other.start))
        start = max(start, until)
    return [*left, Period(start, end)] if start < end else left


def _near(
    acting: Sequence[Period], ends: Sequence[datetime], part: Period
) -> Sequence[Period]:
    """Return those that may overlap a part; neither of them touch one another."""
    until = part.until or part.start
    first = bisect_right(ends, part.start)
    return acting[first : bisect_left(acting, until, first, key=lambda p: p.start)]


def _length(period: Period) -> timedelta:
    return (period.until or period.start) - period.start


def _overlap(one: Period, other: Period) -> timedelta:
    ends = one.until or one.start, other.until or other.start
    return max(ZERO, min(ends) - max(one.start, other.start))
