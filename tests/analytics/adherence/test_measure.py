import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.measure import (
    Counts,
    bootstrap,
    event_count,
    ratio,
    share,
    wilson,
)


@pytest.mark.parametrize(
    ("p", "n", "low", "high"),
    [
        (0.8, 10, 0.4902, 0.9433),
        (0.0, 10, 0.0, 0.2775),
        (1.0, 10, 0.7225, 1.0),
        (81 / 263, 263, 0.2553, 0.3662),
    ],
)
def test_wilsons_interval_has_the_values_of_the_tables(
    p: float, n: float, low: float, high: float
) -> None:
    """The last is an example of Newcombe 1998, Stat Med 17:857, method 3."""
    got = wilson(p, n)

    assert (got.low, got.high) == pytest.approx((low, high), abs=5e-5)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=60))
def test_a_share_is_exact_and_inside_its_interval(hits: list[int]) -> None:
    got = share("x", hits, [1] * len(hits))

    assert got.value is not None
    assert got.value == sum(hits) / len(hits)
    assert got.interval is not None
    assert 0 <= got.interval.low <= got.value <= got.interval.high <= 1


def test_days_that_are_all_alike_are_so_many_doses() -> None:
    got = share("x", [1] * 6, [2] * 6)

    assert got.value == 0.5
    assert got.interval is not None
    assert got.interval.method == "Wilson, effective n 12.0"


def test_nothing_that_counts_gives_no_figure_and_no_interval() -> None:
    for got in (share("x", [], []), ratio("x", [], []), share("x", [0], [0])):
        assert (got.value, got.interval, got.denominator) == (None, None, 0)


def test_a_ratio_may_exceed_one_and_its_bootstrap_is_repeatable() -> None:
    over, under = [2, 3, 1, 2, 2, 3, 1, 0, 2] * 5, [1] * 45

    got = ratio("x", over, under, unit="1/d", counts=Counts(80, 45, 0))

    assert got == ratio("x", over, under, unit="1/d", counts=Counts(80, 45, 0))
    assert got.value == pytest.approx(16 / 9)
    assert got.interval is not None
    assert got.interval.low < 16 / 9 < got.interval.high
    assert got.interval.method == "bootstrap, blocks of 7"


def test_blocks_keep_neighbours_together() -> None:
    def apart(rows: np.ndarray) -> np.ndarray:
        return ((np.diff(rows) % 50) == 1).mean(axis=1)

    got = bootstrap(apart, 50, block=10)

    assert got is not None
    assert got.low > 0.85


def test_a_count_has_an_upper_bound_though_nothing_happened() -> None:
    got = event_count("x", 0, counts=Counts(3, 100, 0))

    assert (got.value, got.denominator) == (0, 100)
    assert got.interval is not None
    assert got.interval.low == 0
    assert got.interval.high == pytest.approx(3.84, abs=0.01)


@pytest.mark.soak
def test_shares_of_days_in_runs_are_covered_as_often_as_they_say() -> None:
    """A two-state chain of 180 days: 95 % intervals, 2,000 people."""
    random = np.random.default_rng(5)
    covered = 0
    for _ in range(2000):
        state = 0
        days: list[int] = []
        for draw in random.random(180):
            state = int(draw < (0.6 if state else 0.1))
            days.append(1 - state)
        over = share("x", days, [1] * 180).interval
        covered += over is not None and over.low <= 0.8 <= over.high
    assert 0.92 <= covered / 2000 <= 0.97
