"""Many simulated people at once: `simulate.behaviour` without clock times, in arrays.

The same seeds give the same lives, dose for dose; only when within the day a dose is
taken is left out. For cohorts of which only the days matter: benchmarks, power, truth.
"""

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from analytics.simulate import (
    GO_ON_MISSING,
    MISS_INTERCEPT,
    MISS_SLOPE,
    WHITE_COAT_FACTOR,
    Profile,
    before_visits,
    engaged_days,
    shift,
)

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


def cohort_doses(
    seeds: Sequence[int],
    *,
    first: date,
    days: int,
    doses_a_day: int = 1,
    profile: Profile | None = None,
) -> Bools:
    """Return whether each dose was taken: people by days by doses of the day.

    Row n lives as `behaviour` does with seeds[n], doses due on `days` dose-days from
    `first` on, all inside the dose-day of that date. O(people · doses).
    """
    profile = profile or Profile()
    count = days * doses_a_day
    z, ends, luck = _drawn(seeds, count, profile)
    logits = np.log(np.array(GO_ON_MISSING) / (1 - np.array(GO_ON_MISSING)))
    base = np.vstack(
        [MISS_INTERCEPT + MISS_SLOPE * z, *(np.full_like(z, each) for each in logits)]
    )
    runs = np.zeros((doses_a_day, len(z)), dtype=np.intp)
    coats = before_visits(profile.visits)
    everybody = np.arange(len(z))
    taken = np.zeros((len(z), days, doses_a_day), dtype=bool)
    for day in range(days):
        today = first + timedelta(days=day)
        moved = shift(today, profile, doses_a_day)
        factor = WHITE_COAT_FACTOR if today in coats else 1.0
        for place in range(doses_a_day):
            state = np.minimum(runs[place], len(GO_ON_MISSING))
            chance = factor / (1 + np.exp(-(base[state, everybody] + moved)))
            missed = luck[:, day * doses_a_day + place] < chance
            runs[place] = np.where(missed, runs[place] + 1, 0)
            taken[:, day, place] = ~missed
    return taken & (np.arange(days) < ends[:, None])[:, :, None]


def _drawn(
    seeds: Sequence[int], count: int, profile: Profile
) -> tuple[Floats, Floats, Floats]:
    """Return each person's z, days engaged, and luck a dose: as `behaviour` draws."""
    z = np.empty(len(seeds))
    ends = np.empty(len(seeds))
    luck = np.empty((len(seeds), count))
    for n, seed in enumerate(seeds):
        traits = np.random.default_rng([seed, 0])
        drawn, patience = traits.standard_normal(), traits.standard_exponential()
        z[n] = drawn if profile.z is None else profile.z
        ends[n] = engaged_days(float(z[n]), patience, profile)
        luck[n] = np.random.default_rng([seed, 1]).random(count)
    return z, ends, luck
