import numpy as np
import pytest

from analytics.adherence.curves import adherence, curves, implementation
from analytics.adherence.persistence import Cohort
from tests.analytics.adherence.test_persistence import cohort
from tests.benchmarks.curves import NAMES, TRUTH_PEOPLE, coverage, truth


def test_implementation_is_of_those_still_engaged_and_monitored() -> None:
    got = implementation(cohort("1011111", "11?1111", "1100000", "1111011"), gap=2)

    # the third stopped after day 1; of the last day nobody is known to be engaged
    assert got.people.tolist() == [4, 4, 2, 3, 3, 3, 0]
    assert got.value[:6].tolist() == [1, 0.75, 1, 1, 2 / 3, 1]
    assert np.isnan(got.value[6])
    assert (got.low[:6] <= got.value[:6]).all()


def test_adherence_is_the_product_of_both() -> None:
    some = cohort("1011111", "1101111", "1100000", "1111011", "1010000")

    got = curves(some, gap=2, draws=50)

    product = got.implementation.value * got.persistence.value
    assert got.adherence.value == pytest.approx(product, nan_ok=True)
    assert got.adherence.method == "bootstrap"
    assert got.adherence.parameters == {"gap_d": 2.0, "draws": 50.0, "seed": 0.0}


def test_the_same_seed_draws_the_same_band() -> None:
    some = cohort("1011111", "1101111", "1100000", "1111011", "1010000")

    a, b = adherence(some, gap=2, draws=80), adherence(some, gap=2, draws=80)

    assert np.array_equal(a.low, b.low, equal_nan=True)


def test_days_on_which_nothing_was_due_count_for_nobody() -> None:
    taken = np.array([[1, 0, 1, 0], [1, 0, 0, 1]])
    expected = np.array([[1, 0, 1, 1], [1, 0, 1, 1]])

    got = implementation(Cohort(taken, expected, np.ones((2, 4), bool)), gap=1)

    assert got.people.tolist() == [2, 0, 2, 1]
    assert got.value[2] == 0.5


def test_bands_hold_the_truth_about_as_often_as_they_say() -> None:
    """A sample: the whole is in `make bench` and `make soak`."""
    found = coverage(truth(10_000), 16, leaving=True, draws=199)

    for name in NAMES:
        share, error = found.of(name)
        assert abs(share - 0.95) < 0.03 + 3 * error


@pytest.mark.soak
@pytest.mark.parametrize("leaving", [False, True])
def test_four_hundred_cohorts_are_covered_by_93_to_97_percent(*, leaving: bool) -> None:
    found = coverage(truth(TRUTH_PEOPLE), 400, leaving=leaving)

    for name in NAMES:
        assert 0.93 <= found.of(name)[0] <= 0.97
