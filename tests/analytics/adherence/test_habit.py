from datetime import date, datetime, timedelta
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.habit import (
    circular_sd,
    dose_places,
    mean_hour,
    weekly_cross_correlation,
)

MONDAY = datetime(2026, 3, 2)  # noqa: DTZ001 the patient's clock
DAY = timedelta(days=1)


def at(day: int, hour: float) -> datetime:
    return MONDAY + day * DAY + timedelta(hours=hour)


def days(count: int) -> list[date]:
    return [(MONDAY + n * DAY).date() for n in range(count)]


def test_a_small_spread_is_the_standard_deviation_of_the_hour() -> None:
    random = np.random.default_rng(1)
    off = random.normal(0, 0.5, 400)
    taken = [at(n, 8 + hour) for n, hour in enumerate(off.tolist())]

    got = circular_sd(taken)

    assert got.value == pytest.approx(off.std(), rel=0.01)
    assert got.unit == "h"
    assert got.interval is not None
    assert got.interval.low < off.std() < got.interval.high


@given(st.integers(0, 47).map(lambda half: half / 2))
def test_the_spread_does_not_depend_on_where_midnight_is(hour: float) -> None:
    off = [-0.75, 0.5, 0, 1.25, -1, 0.25]

    def spread(around: float) -> float | None:
        return circular_sd([at(n, around + h) for n, h in enumerate(off)]).value

    assert spread(hour) == pytest.approx(spread(12))


def test_mornings_and_evenings_are_compared_with_themselves() -> None:
    taken = [at(n, hour) for n in range(20) for hour in (8, 20)]
    doses, places = dose_places(taken, 2)

    assert circular_sd(doses, places=places).value == pytest.approx(0)
    assert circular_sd(doses).value is None or (circular_sd(doses).value or 0) > 20


def test_a_day_that_lacks_a_dose_does_not_say_which() -> None:
    taken = [at(0, 8), at(0, 20), at(1, 20), at(2, 8), at(2, 25)]

    assert dose_places(taken, 2) == (
        [at(0, 8), at(0, 20), at(2, 8), at(2, 25)],
        [0, 1, 0, 1],
    )
    assert dose_places(taken, 1)[0] == [at(0, 8), at(1, 20), at(2, 8)]


def test_the_mean_hour_of_late_evenings_is_near_midnight() -> None:
    assert mean_hour([at(0, 23), at(1, 26)]) == pytest.approx(0.5)
    assert mean_hour([]) is None


def test_a_place_a_dose_is_wanted() -> None:
    with pytest.raises(ValueError, match="a place a dose"):
        circular_sd([at(0, 8), at(1, 8)], places=[0])


def test_the_same_week_again_correlates_by_one_and_chance_by_none() -> None:
    same = [at(n, 8 + n % 7) for n in range(28)]
    random = np.random.default_rng(3)
    chance = [at(n, 3 + h) for n, h in enumerate(random.integers(0, 24, 700).tolist())]

    whole = weekly_cross_correlation(same, days(28))
    none = weekly_cross_correlation(chance, days(700))

    assert (whole.value, whole.denominator) == (pytest.approx(1), 3)
    assert none.value == pytest.approx(0, abs=0.1)
    assert whole.parameters == {"bin_h": 1.0, "lag_weeks": 1.0}


def test_only_pairs_of_whole_known_weeks_count() -> None:
    known = days(35)
    del known[16]  # in the third week of five

    got = weekly_cross_correlation([at(n, 8) for n in range(35)], known)

    assert (got.value, got.denominator) == (pytest.approx(1), 2)
    assert weekly_cross_correlation([], []).value is None
    assert weekly_cross_correlation([], days(14)).value == 0


def test_half_the_days_shared_by_two_weeks() -> None:
    """Two of seven days each, one of them the same: r of 0/1 series of 168 bins."""
    taken = [at(0, 8), at(3, 8), at(7, 8), at(11, 8)]

    got = weekly_cross_correlation(taken, days(14))

    mean = 2 / 168
    spread = sqrt((2 / 168 - mean**2) ** 2)
    assert got.value == pytest.approx((1 / 168 - mean**2) / spread)


def test_bins_divide_the_day() -> None:
    with pytest.raises(ValueError, match="divide 24"):
        weekly_cross_correlation([], [], bin_hours=5)
