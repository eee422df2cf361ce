from math import isnan

import numpy as np
import pytest

from analytics.adherence.first_supply import initiation
from analytics.adherence.lengths import Length, Unit

MONTH = Length(1, Unit.MONTHS)


def days(*values: float | None) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.array([np.nan if value is None else value for value in values])


def test_initiation_counts_who_was_supplied_in_time() -> None:
    # day 0 is 1 January 1970: a month is 31 days
    got = initiation(
        days(0, 0, 0, 0), days(0, 31, 32, None), days(90, 90, 90, 90), within=MONTH
    )

    assert (got.initiated, got.not_initiated, got.unknown) == (2, 2, 0)
    assert got.value == 0.5
    # Wilson 1927 for 2 of 4
    assert got.interval == pytest.approx((0.150039, 0.849961), abs=1e-6)


def test_who_was_not_observed_long_enough_is_unknown() -> None:
    got = initiation(
        days(0, 0, 0), days(None, 20, None), days(30, 30, 31), within=MONTH
    )

    assert (got.initiated, got.not_initiated, got.unknown) == (1, 1, 1)


def test_who_was_supplied_before_is_not_new() -> None:
    got = initiation(days(10), days(9), days(90), within=MONTH)

    assert (got.initiated, got.not_initiated, got.unknown) == (0, 0, 1)
    assert isnan(got.value)
    assert all(map(isnan, got.interval))


def test_days_of_other_patients_are_refused() -> None:
    with pytest.raises(ValueError, match="one day of each kind"):
        initiation(days(0), days(0, 1), days(9), within=MONTH)
