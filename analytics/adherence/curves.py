"""Implementation, persistence and adherence by day since the first dose, with bands.

adherence(t) = implementation(t) x persistence(t): the share of all who began that takes
the medicine as prescribed on day t (Blaschke et al. 2012,
doi:10.1146/annurev-pharmtox-011711-113247).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.adherence.measure import DRAWS, LEVEL, Floats, wilson_bounds
from analytics.adherence.persistence import (
    GAP,
    Cohort,
    Curve,
    Phases,
    persistence,
    phases,
)


@dataclass(frozen=True, slots=True)
class Curves:
    """The three curves of one cohort over the same days."""

    implementation: Curve
    persistence: Curve
    adherence: Curve


def curves(
    cohort: Cohort,
    *,
    gap: int = GAP,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Curves:
    """Return all three: bands by Wilson, by Greenwood and by bootstrap of people."""
    return Curves(
        implementation(cohort, gap=gap, level=level),
        persistence(cohort, gap=gap, level=level),
        adherence(cohort, gap=gap, level=level, draws=draws, seed=seed),
    )


def implementation(cohort: Cohort, *, gap: int = GAP, level: float = LEVEL) -> Curve:
    """Return the share with at least the expected doses among who is engaged that day.

    Engaged and monitored, with a dose due. People are independent of one another, so
    each day has Wilson's band.
    """
    done, asked = _masks(cohort, phases(cohort, gap=gap))
    hits, n = done.sum(axis=0).astype(float), asked.sum(axis=0).astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = hits / n
    low, high = wilson_bounds(value, n, level=level)
    told = {"gap_d": float(gap)}
    people = n.astype(np.int64)
    return Curve("implementation", value, low, high, people, "Wilson", level, told)


def adherence(
    cohort: Cohort,
    *,
    gap: int = GAP,
    level: float = LEVEL,
    draws: int = DRAWS,
    seed: int = 0,
) -> Curve:
    """Return implementation times persistence, its band a bootstrap of whole people.

    A person's days hang together, so people are drawn, not days: percentiles of `draws`
    cohorts with replacement. The seed makes it repeatable.
    """
    found = phases(cohort, gap=gap)
    people = len(found.duration)
    value = _product(cohort, found, np.ones((1, people)))[0]
    random = np.random.default_rng(seed)
    weights = random.multinomial(people, np.full(people, 1 / max(people, 1)), draws)
    drawn = _product(cohort, found, weights.astype(float))
    tails = [(1 - level) / 2, (1 + level) / 2]
    low, high = _quantiles(drawn, tails)
    asked = _masks(cohort, found)[1].sum(axis=0).astype(np.int64)
    told = {"gap_d": float(gap), "draws": float(draws), "seed": float(seed)}
    return Curve("adherence", value, low, high, asked, "bootstrap", level, told)


def _masks(cohort: Cohort, found: Phases) -> tuple[NDArray[np.bool_], ...]:
    """Return who did and who was asked, by day: engaged, monitored, with a dose due."""
    asked = cohort.counts & found.engaged(cohort.taken.shape[1])
    return cohort.implemented & asked, asked


def _product(cohort: Cohort, found: Phases, weights: Floats) -> Floats:
    """Return implementation x persistence by day of each row of weights of people."""
    days = cohort.taken.shape[1]
    done, asked = _masks(cohort, found)
    time = np.arange(days, dtype=np.int64)
    at_risk = time[None, :] <= found.duration[:, None]
    ends = (time[None, :] == found.duration[:, None]) & found.discontinued[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Floats = (weights @ done) / (weights @ asked)
        left: Floats = 1 - (weights @ ends) / (weights @ at_risk)
    return shares * np.cumprod(left, axis=1)


def _quantiles(drawn: Floats, tails: list[float]) -> tuple[Floats, Floats]:
    """Return both quantiles by day; NaN where no draw has a value."""
    low = np.full(drawn.shape[1], np.nan)
    high = low.copy()
    known = np.isfinite(drawn).all(axis=0)
    low[known], high[known] = np.quantile(drawn[:, known], tails, axis=0)
    for day in np.flatnonzero(~known & np.isfinite(drawn).any(axis=0)).tolist():
        low[day], high[day] = np.nanquantile(drawn[:, day], tails)
    return low, high
