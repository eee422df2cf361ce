from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.reminder_time import MOST_A_DAY, next_shift

MINUTE = timedelta(minutes=1)
NONE = timedelta(0)
WIDE = {"earliest": -120 * MINUTE, "latest": 120 * MINUTE}


def minutes(*values: float) -> list[timedelta]:
    return [value * MINUTE for value in values]


def test_it_moves_towards_a_habit_by_a_quarter_of_an_hour_a_day() -> None:
    offsets = minutes(38, 40, 41, 40, 39, 42, 40)

    days = [NONE]
    for _ in range(4):
        days.append(next_shift(offsets, current=days[-1], **WIDE).shift)

    assert days == minutes(0, 15, 30, 40, 40)


def test_a_few_odd_days_change_nothing() -> None:
    move = next_shift(minutes(10, 10, 10, 10, 10, 10, 10, 200), current=NONE, **WIDE)

    assert (move.shift, move.habit) == (10 * MINUTE, 10 * MINUTE)


@pytest.mark.parametrize(
    "offsets",
    [minutes(40, 40, 40, 40, 40, 40), minutes(-90, 90, -80, 80, 0, 60, -60)],
    ids=["too few", "no habit"],
)
def test_without_a_habit_it_stays(offsets: list[timedelta]) -> None:
    assert next_shift(offsets, current=5 * MINUTE, **WIDE).shift == 5 * MINUTE


def test_bounds_the_wrong_way_round_are_refused() -> None:
    with pytest.raises(ValueError, match="earliest before latest"):
        next_shift([], current=NONE, earliest=MINUTE, latest=NONE)


@given(
    st.lists(st.integers(-240, 240), max_size=30),
    st.integers(-60, 60),
    st.integers(-60, 0),
    st.integers(0, 60),
)
def test_it_stays_within_its_bounds_and_settles(
    offsets: list[int], current: int, earliest: int, latest: int
) -> None:
    bounds = {"earliest": earliest * MINUTE, "latest": latest * MINUTE}
    start = min(max(current, earliest), latest) * MINUTE
    shift = next_shift(minutes(*offsets), current=current * MINUTE, **bounds).shift

    assert bounds["earliest"] <= shift <= bounds["latest"]
    assert abs(shift - start) <= MOST_A_DAY
    for _ in range(10):
        shift = next_shift(minutes(*offsets), current=shift, **bounds).shift
    assert next_shift(minutes(*offsets), current=shift, **bounds).shift == shift
