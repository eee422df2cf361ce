"""The simulator's calibration: what it was fitted to, and what it was not.

Agreement with BMJ 2008;336:1114 (4,783 people) is calibration, not validation.
"""

from collections.abc import Callable
from datetime import date, timedelta
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from analytics.simulate import Profile
from analytics.simulated_cohort import cohort_doses

START = date(2025, 1, 6)  # a Monday
PEOPLE = 20_000
DAY = timedelta(days=1)

Row = tuple[str, str, str, bool]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


def run() -> list[Row]:
    taken = cohort_doses(range(PEOPLE), first=START, days=365)[:, :, 0]
    last = 365 - np.argmax(taken[:, ::-1], axis=1)
    last[~taken.any(axis=1)] = 0
    inside = np.arange(365) < last[:, None]
    missed = ~taken & inside
    runs = [_runs(row) for row in missed]
    return [
        _row("doses omitted, of all days", missed, inside, (0.095, 0.11), "10.2 %"),
        _row(
            "  mean over people",
            missed.sum(axis=1) / np.maximum(last, 1),
            None,
            (0.115, 0.135),
            "12.4-12.7 %",
        ),
        _row("omissions that are single days", *_of(runs, lambda n: n == 1), "41-42 %"),
        _row("  in runs of three or more", *_of(runs, lambda n: n >= 3), "43-44 %"),
        _row(
            "people with a holiday in a year",
            np.array([float((row >= 3).any()) for row in runs]),
            None,
            (0.46, 0.50),
            "47-49 %",
        ),
        _row("persistent at one year", last > 355, None, (0.48, 0.52), "50 %"),
        *_extended(),
    ]


def _extended() -> list[Row]:
    """Twice daily, weekends and the white coat: of people who do not stop."""
    stays = Profile(discontinues=False)
    days, people = 364, range(PEOPLE // 4)
    once = cohort_doses(people, first=START, days=days, profile=stays)
    twice = cohort_doses(people, first=START, days=days, doses_a_day=2, profile=stays)
    fewer = once.all(axis=2).mean(axis=1) - twice.all(axis=2).mean(axis=1)
    weekend = np.arange(days) % 7 >= 5
    miss = ~once[:, :, 0]
    worse = miss[:, weekend].mean(axis=1) - miss[:, ~weekend].mean(axis=1)
    visits = tuple(START + n * DAY for n in range(28, days, 28))
    coats = Profile(discontinues=False, visits=visits)
    seen = cohort_doses(people, first=START, days=days, profile=coats)[:, :, 0]
    before = np.isin(
        np.arange(days), [v - n for v in range(28, days, 28) for n in (1, 2, 3)]
    )
    better = seen[:, before].mean(axis=1) - once[:, before, 0].mean(axis=1)
    return [
        _row("twice daily: fewer adherent days", fewer, None, (0.13, 0.26), "13-26 %"),
        _row("weekends: more omissions", worse, None, (0.0, 0.05), "above 0"),
        _row(
            "three days before a visit: more taken", better, None, (0.02, 0.04), "3.0 %"
        ),
    ]


def _row(
    name: str,
    part: Bools | Floats,
    whole: Bools | Floats | None,
    bound: tuple[float, float],
    told: str,
) -> Row:
    """Return a share with its Monte-Carlo error, people being independent."""
    top = part.sum(axis=1) if part.ndim > 1 else part.astype(float)
    bottom = np.ones(len(top)) if whole is None else whole
    below = bottom.sum(axis=1) if bottom.ndim > 1 else bottom.astype(float)
    share = float(top.sum() / below.sum())
    error = float((top - share * below).std()) * sqrt(len(top)) / float(below.sum())
    met = bound[0] <= share <= bound[1]
    return name, f"{share:.1%} ± {error:.1%}", f"{told} published", met


def _of(
    runs: list[NDArray[np.int64]], which: Callable[[NDArray[np.int64]], Bools]
) -> tuple[Floats, Floats, tuple[float, float]]:
    """Return by person the omitted days in runs of that length, and all."""
    part = np.array([float(row[which(row)].sum()) for row in runs])
    whole = np.array([float(row.sum()) for row in runs])
    single = bool(which(np.array([1]))[0])
    return part, whole, (0.395, 0.435) if single else (0.415, 0.455)


def _runs(missed: Bools) -> NDArray[np.int64]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missed.view(np.int8), [0]])))
    return edges[1::2] - edges[::2]
