"""Habit as the clock shows it: how steady the hour of intake is, from week to week too.

Pironet et al. 2025, doi:10.2196/63987 (15,818 people, once daily): the SD of the hour
of intake correlates with the share of correct days by -0.62, the weekly
cross-correlation by +0.55. The circular SD equals theirs while the spread is small and
does not break at midnight. What they leave open of the second is fixed below and comes
back with the value.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from math import tau

import numpy as np
from numpy.typing import NDArray

from analytics.adherence.dose_days import DAY, DAY_START, dose_day
from analytics.adherence.measure import Counts, Floats, Measure, bootstrap, finite

HOURS = 24
WEEK = 7


def circular_sd(
    taken: Sequence[datetime],
    *,
    places: Sequence[int] | None = None,
    counts: Counts | None = None,
) -> Measure:
    """Return the circular standard deviation of the clock time of intake, in hours.

    sqrt(-2 ln R) * 24 / 2π, R the mean resultant length (Mardia and Jupp 2000, 2.3.11).
    `taken` are local; `places` says which dose of the day each is, whose own mean hour
    it is then compared with. Infinite spread (R = 0) is None.
    """
    angles = np.array([_hour(at) for at in taken]) * tau / HOURS
    which = np.array(places if places is not None else [0] * len(taken), dtype=int)
    if len(which) != len(angles):
        raise ValueError(f"want a place a dose, got {len(which)} for {len(angles)}")
    points = np.exp(1j * angles)
    kinds = np.unique(which)
    value = finite(float(_spread(points[None], which[None], kinds)[0]))

    def of(rows: NDArray[np.intp]) -> Floats:
        return _spread(points[rows], which[rows], kinds)

    return Measure(
        "circular SD of the hour of intake",
        value,
        value or 0.0,
        1.0,
        "h",
        {"doses_a_day": float(len(kinds))},
        counts or Counts(len(taken)),
        bootstrap(of, len(angles)) if value is not None else None,
    )


def mean_hour(taken: Sequence[datetime]) -> float | None:
    """Return the circular mean clock hour of intake, 0 to 24; None without a dose."""
    if not taken:
        return None
    angles = np.array([_hour(at) for at in taken]) * tau / HOURS
    return float(np.angle(np.exp(1j * angles).mean()) * HOURS / tau % HOURS)


def dose_places(
    taken: Sequence[datetime], doses_a_day: int, *, day_start: time = DAY_START
) -> tuple[list[datetime], list[int]]:
    """Return the doses of days that have just `doses_a_day`, and which each was.

    Elsewhere it is not known which dose is missing. Once daily, the first of any day.
    """
    by_day: defaultdict[date, list[datetime]] = defaultdict(list)
    for at in sorted(taken):
        by_day[dose_day(at, day_start=day_start)].append(at)
    found: list[datetime] = []
    places: list[int] = []
    for of_day in by_day.values():
        if len(of_day) == doses_a_day or doses_a_day == 1:
            kept = of_day[:doses_a_day]
            found += kept
            places += range(len(kept))
    return found, places


def weekly_cross_correlation(
    taken: Iterable[datetime],
    known_days: Iterable[date],
    *,
    bin_hours: int = 1,
    day_start: time = DAY_START,
    counts: Counts | None = None,
) -> Measure:
    """Return the mean correlation between the intakes of a week and of the next.

    A week is seven dose-days from the first known one, cut into bins of `bin_hours`
    that hold 1 where a dose was taken; each pair of whole known weeks gives Pearson's r
    at no lag. A pair with a week of no dose gives 0: nothing recurred. `taken` are
    local and naive. Raises ValueError where bins do not divide the day.
    """
    if HOURS % bin_hours:
        raise ValueError(f"want bins that divide 24 hours, got {bin_hours}")
    known = sorted(set(known_days))
    pairs = np.array(_week_pairs(_binned(taken, day_start, bin_hours), known))

    def of(rows: NDArray[np.intp]) -> Floats:
        return pairs[rows].mean(axis=1)

    some = len(pairs) > 0
    value = float(pairs.mean()) if some else None
    return Measure(
        "weekly cross-correlation",
        value,
        float(pairs.sum()),
        float(len(pairs)),
        "1",
        {"bin_h": float(bin_hours), "lag_weeks": 1.0},
        counts or Counts(0, len(known)),
        bootstrap(of, len(pairs), block=2) if some else None,
    )


def _binned(
    taken: Iterable[datetime], day_start: time, bin_hours: int
) -> dict[date, Floats]:
    width = timedelta(hours=bin_hours)
    count: Counter[tuple[date, int]] = Counter()
    for at in taken:
        day = dose_day(at, day_start=day_start)
        count[day, (at - datetime.combine(day, day_start)) // width] = 1
    found: dict[date, Floats] = {}
    for day, place in count:
        found.setdefault(day, np.zeros(HOURS // bin_hours))[place] = 1.0
    return found


def _week_pairs(binned: dict[date, Floats], known: Sequence[date]) -> list[float]:
    if not known:
        return []
    size = max((len(day) for day in binned.values()), default=1)
    empty, seen = np.zeros(size), set(known)
    weeks: list[Floats | None] = []
    start = known[0]
    while start + (WEEK - 1) * DAY <= known[-1]:
        days = [start + n * DAY for n in range(WEEK)]
        whole = all(day in seen for day in days)
        parts = [binned.get(day, empty) for day in days]
        weeks.append(np.concatenate(parts) if whole else None)
        start += WEEK * DAY
    return [
        _pearson(a, b) for a, b in pairwise(weeks) if a is not None and b is not None
    ]


def _pearson(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / size if size else 0.0


def _hour(at: datetime) -> float:
    return at.hour + at.minute / 60 + (at.second + at.microsecond / 1e6) / 3600


def _spread(
    points: NDArray[np.complex128], places: NDArray[np.int_], kinds: NDArray[np.int_]
) -> Floats:
    """Return the circular SD in hours of each row, every place about its own mean."""
    if points.shape[1] < 2:
        return np.full(len(points), np.nan)
    total = np.zeros(len(points))
    for kind in kinds.tolist():
        some = points if len(kinds) == 1 else np.where(places == kind, points, 0)
        total += np.abs(some.sum(axis=1))
    length = np.clip(total / points.shape[1], 0, 1)
    with np.errstate(divide="ignore"):
        return np.sqrt(-2 * np.log(length)) * HOURS / tau
