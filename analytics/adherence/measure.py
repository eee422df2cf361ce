"""A figure of adherence as a value: its counts, its parameters and its interval.

There is no agreed formula and no validated threshold (PMC7379515): a figure without the
numbers it was computed from cannot be compared with another.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite, sqrt
from statistics import NormalDist
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.95
MOST_ALIKE = 0.95  # a higher correlation of a day with the next is not believed
BLOCK = 7
DRAWS = 999

Parameters: TypeAlias = Mapping[str, float | str]
Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """From `low` to `high` at `level`; `method` names how it was found."""

    low: float
    high: float
    method: str
    level: float = LEVEL


@dataclass(frozen=True, slots=True)
class Counts:
    """What a figure rests on; unknown days are in no denominator."""

    doses: int = 0
    monitored_days: int = 0
    unknown_days: int = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """A figure with all it was computed from; `value` None where nothing counts.

    `value` is `numerator` / `denominator` where it is a ratio. `interval` is None where
    none can be given, as for an extreme.
    """

    name: str
    value: float | None
    numerator: float
    denominator: float
    unit: str = "1"
    parameters: Parameters = field(default_factory=dict[str, float | str])
    counts: Counts = field(default_factory=Counts)
    interval: Interval | None = None


def share(
    name: str,
    taken: Sequence[int],
    asked: Sequence[int],
    *,
    counts: Counts | None = None,
    parameters: Parameters | None = None,
    level: float = LEVEL,
) -> Measure:
    """Return Σtaken / Σasked of days in order, none above what it asks, with Wilson's
    interval on the effective number.

    A missed dose makes the next one likelier to be missed, so days are no independent
    draws: the number is divided by how much larger their variance is than the binomial
    one, by the correlation of a day with the next.
    """
    k, n = np.array(taken, dtype=float), np.array(asked, dtype=float)
    hits, of = float(k.sum()), float(n.sum())
    interval = None
    if of:
        effective = of / _design_effect(k, n)
        interval = wilson(hits / of, effective, level=level)
    value = hits / of if of else None
    told = dict(parameters or {})
    return Measure(name, value, hits, of, "1", told, counts or Counts(), interval)


def ratio(
    name: str,
    over: Sequence[float],
    under: Sequence[float],
    *,
    unit: str = "1",
    counts: Counts | None = None,
    parameters: Parameters | None = None,
    level: float = LEVEL,
) -> Measure:
    """Return Σover / Σunder of days in order; it may exceed 1.

    The interval is a bootstrap in circular blocks of seven days.
    """
    top, bottom = np.array(over, dtype=float), np.array(under, dtype=float)
    total = float(bottom.sum())

    def of(days: NDArray[np.intp]) -> Floats:
        below = bottom[days].sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return top[days].sum(axis=1) / below

    interval = bootstrap(of, len(top), level=level) if total else None
    value = float(top.sum()) / total if total else None
    told = dict(parameters or {})
    sums = float(top.sum()), total
    return Measure(name, value, *sums, unit, told, counts or Counts(), interval)


def wilson(p: float, n: float, *, level: float = LEVEL) -> Interval:
    """Return Wilson's interval of a share `p` of `n` (doi:10.2307/2276774)."""
    low, high = wilson_bounds(np.array([p]), np.array([n]), level=level)
    method = f"Wilson, effective n {n:.1f}"
    return Interval(float(low[0]), float(high[0]), method, level)


def wilson_bounds(
    p: Floats, n: Floats, *, level: float = LEVEL
) -> tuple[Floats, Floats]:
    """Return the ends of Wilson's interval of each share; NaN where n is 0."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        shrink = 1 + z * z / n
        middle = (p + z * z / (2 * n)) / shrink
        half = z / shrink * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.clip(middle - half, 0, p), np.clip(middle + half, p, 1)


def event_count(
    name: str,
    count: int,
    *,
    counts: Counts,
    parameters: Parameters | None = None,
    level: float = LEVEL,
) -> Measure:
    """Return how often something happened, as a Poisson count with Rao's interval."""
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle, half = count + z * z / 2, z * sqrt(count + z * z / 4)
    interval = Interval(max(0.0, middle - half), middle + half, "Poisson, Rao", level)
    known = counts.monitored_days > 0
    return Measure(
        name,
        float(count) if known else None,
        count,
        counts.monitored_days,
        "1",
        dict(parameters or {}),
        counts,
        interval if known else None,
    )


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], Floats],
    length: int,
    *,
    block: int = BLOCK,
    draws: int = DRAWS,
    seed: int = 0,
    level: float = LEVEL,
) -> Interval | None:
    """Return the percentile interval of circular blocks (Politis and Romano 1992).

    `statistic` takes an array of `draws` rows of `length` places and returns one value
    a row. The seed makes it repeatable. None where no drawn value is finite.
    """
    if length < 1:
        return None
    block = min(block, length)
    values = statistic(_places(length, block, draws, seed))
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(low), float(high), f"bootstrap, blocks of {block}", level)


@lru_cache(maxsize=8)  # the measures of one record draw the same days
def _places(length: int, block: int, draws: int, seed: int) -> NDArray[np.intp]:
    random = np.random.default_rng(seed)
    starts = random.integers(0, length, (draws, -(-length // block)))
    places = (starts[:, :, None] + np.arange(block)) % length
    drawn = places.reshape(draws, -1)[:, :length].astype(np.intp)
    drawn.setflags(write=False)
    return drawn


def _design_effect(k: Floats, n: Floats) -> float:
    """Return how much the variance exceeds the binomial one, at least 1.

    The variance of single days against it, times (1 + r)/(1 - r), r the correlation of
    a day with the next, freed of its bias (Marriott and Pope 1954).
    """
    p = k.sum() / n.sum()
    binomial = p * (1 - p) * n.sum()
    if binomial <= 0 or len(k) < 2:
        return 1.0
    off = k - p * n
    variance = float(off @ off)
    if variance == 0:  # every day like any other: one of two, always
        return 1.0
    lagged = float(off[1:] @ off[:-1]) / variance
    r = min(max(lagged + (1 + 3 * lagged) / len(off), 0.0), MOST_ALIKE)
    return max(1.0, variance / binomial * (1 + r) / (1 - r))


def finite(value: float) -> float | None:
    """Return None for what is not a number."""
    return value if isfinite(value) else None
