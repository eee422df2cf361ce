"""How often the 95 % bands of the curves hold the simulator's truth, and their cost.

Cohorts of 250 people; coverage is pointwise, averaged over days 30 to 365. Truth is
what an unlimited number of people would show: the mean of a hundred thousand, of whom
it is known until long after when they took their last dose.
"""

from dataclasses import dataclass
from datetime import date
from math import sqrt
from time import process_time

import numpy as np
from numpy.typing import NDArray

from analytics.adherence.curves import curves
from analytics.adherence.persistence import Cohort, Curve
from analytics.simulated_cohort import cohort_doses

START = date(2025, 1, 6)
PEOPLE, COHORTS = 250, 400
FIRST, LAST = 30, 365
FOLLOWED = 430  # days; persistence is known up to the gap before
TRUE_FOR = 600
TRUTH_PEOPLE = 100_000
NAMES = ("implementation", "persistence", "adherence")

Row = tuple[str, str, str, bool]
Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Coverage:
    """For each curve the share of days covered, a row a cohort."""

    covered: dict[str, Floats]
    width: dict[str, float]
    seconds: float

    def of(self, name: str) -> tuple[float, float]:
        """Return the coverage and its Monte-Carlo error: cohorts are independent."""
        rows = self.covered[name]
        return float(rows.mean()), float(rows.std(ddof=1)) / sqrt(len(rows))


def run() -> list[Row]:
    rows: list[Row] = []
    whole = truth(TRUTH_PEOPLE)
    for how, leaving in (("all followed for 430 days", False), ("staggered", True)):
        found = coverage(whole, COHORTS, leaving=leaving)
        for name in NAMES:
            share, error = found.of(name)
            rows.append(
                (
                    f"{name}, {how}: days 30-365 covered by the 95 % band",
                    f"{share:.1%} ± {error:.1%} (half width {found.width[name]:.3f})",
                    "93-97 %",
                    0.93 <= share <= 0.97,
                )
            )
        each = found.seconds / COHORTS * 1000
        rows.append((f"  one cohort's three curves, {how}", f"{each:.0f} ms", "", True))
    return rows


def truth(people: int, *, seed: int = 10_000_000) -> dict[str, Floats]:
    """Return the curves of the simulator itself, on days 0 to 365."""
    last = np.zeros(people, dtype=np.int64)
    taken = np.zeros((people, LAST + 1), dtype=bool)
    for start in range(0, people, 10_000):
        some = initiated(range(seed + start, seed + start + 10_000), TRUE_FOR)
        last[start : start + 10_000] = TRUE_FOR - 1 - np.argmax(some[:, ::-1], axis=1)
        taken[start : start + 10_000] = some[:, : LAST + 1]
    engaged = last[:, None] >= np.arange(LAST + 1)
    persistent = engaged.mean(axis=0)
    return {
        "implementation": (taken & engaged).sum(axis=0) / engaged.sum(axis=0),
        "persistence": persistent,
        "adherence": taken.mean(axis=0),
    }


def initiated(seeds: range, days: int) -> Bools:
    """Return who took a dose on each day since the first they took."""
    doses = cohort_doses(seeds, first=START, days=days + 60)[:, :, 0]
    begun = np.argmax(doses, axis=1)
    shifted = np.take_along_axis(
        doses, np.minimum(begun[:, None] + np.arange(days), days + 59), axis=1
    )
    shifted[:, 0] = True  # the few who stop before any dose in sixty days
    return shifted


def coverage(
    whole: dict[str, Floats], cohorts: int, *, leaving: bool, draws: int = 999
) -> Coverage:
    """Return how the bands of so many cohorts cover the truth.

    `leaving`: people come in over 300 days before one common end, and one in ten is
    lost on the way.
    """
    covered: dict[str, list[float]] = {name: [] for name in NAMES}
    width: dict[str, list[float]] = {name: [] for name in NAMES}
    seconds = 0.0
    days = slice(FIRST, LAST + 1)
    for n in range(cohorts):
        taken = initiated(range(n * PEOPLE, (n + 1) * PEOPLE), FOLLOWED)
        known = np.ones(taken.shape, dtype=bool)
        if leaving:
            until = _followed(np.random.default_rng([n, 77]))
            known = np.arange(FOLLOWED) < until[:, None]
        start = process_time()
        got = curves(Cohort.daily(taken & known, known), draws=draws, seed=n)
        seconds += process_time() - start
        for name in NAMES:
            curve: Curve = getattr(got, name)
            low, high = curve.low[days], curve.high[days]
            inside = (low <= whole[name][days]) & (whole[name][days] <= high)
            covered[name].append(float(inside.mean()))
            width[name].append(float((high - low).mean()) / 2)
    return Coverage(
        {name: np.array(rows) for name, rows in covered.items()},
        {name: float(np.mean(rows)) for name, rows in width.items()},
        seconds,
    )


def _followed(random: np.random.Generator) -> NDArray[np.int64]:
    """Return days of follow-up: staggered entry, a tenth lost at any time."""
    until = FOLLOWED - random.integers(0, 300, PEOPLE)
    until[: PEOPLE // 4] = FOLLOWED
    lost = random.random(PEOPLE) < 0.1
    return np.where(lost, (until * random.random(PEOPLE)).astype(np.int64) + 1, until)
