from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest

from analytics.simulate import Profile, behaviour
from analytics.simulated_cohort import cohort_doses

FIRST = date(2025, 1, 6)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("hours", "profile"),
    [
        ((8,), Profile()),
        ((8, 20), Profile()),
        ((8,), Profile(z=1.2, discontinues=False)),
        ((8,), Profile(visits=tuple(FIRST + n * DAY for n in range(5, 90, 9)))),
    ],
    ids=["once", "twice", "a character", "visits"],
)
def test_the_same_seeds_live_the_same_lives(
    hours: tuple[int, ...], profile: Profile
) -> None:
    seeds = [3, 14, 15, 92, 65, 35]
    days = [FIRST + n * DAY for n in range(120)]
    due = [datetime.combine(day, time(h), UTC) for day in days for h in hours]
    still = Profile(
        z=profile.z,
        discontinues=profile.discontinues,
        visits=profile.visits,
        timing_sd=timedelta(),
        drift_sd=timedelta(),
    )

    got = cohort_doses(
        seeds, first=FIRST, days=120, doses_a_day=len(hours), profile=profile
    )

    for n, seed in enumerate(seeds):
        taken = set(behaviour(due, seed=seed, profile=still))
        assert got[n].ravel().tolist() == [at in taken for at in due]


def test_people_differ_in_how_punctual_they_are_when_asked_for() -> None:
    """The default draws nothing, so lives planned before stay as they were."""
    due = [datetime(2025, 1, 6, 8, tzinfo=UTC) + n * DAY for n in range(200)]

    def spread(seed: int, timing_spread: float) -> float:
        profile = Profile(z=-2, drift_sd=timedelta(), timing_spread=timing_spread)
        taken = behaviour(due, seed=seed, profile=profile)
        off = [
            (at - datetime.combine(at, time(8), UTC)).total_seconds() for at in taken
        ]
        return float(np.std(off))

    alike = [spread(seed, 0.0) for seed in range(12)]
    unlike = [spread(seed, 0.6) for seed in range(12)]

    assert max(alike) / min(alike) < 1.4
    assert max(unlike) / min(unlike) > 2
