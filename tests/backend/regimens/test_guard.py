"""Limits of doses as needed, as laws over any history of doses."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.regimens.guard import Limit, Taken, beyond, free_at, in_24_hours
from backend.regimens.timing import AsNeeded
from backend.regimens.zones import zone_named

HOUR = timedelta(hours=1)
START = datetime(2026, 3, 28, tzinfo=UTC)
guards = st.builds(
    AsNeeded,
    st.integers(1, 8),
    st.none() | st.integers(1, 30 * 60).map(lambda minutes: timedelta(minutes=minutes)),
) | st.builds(AsNeeded, st.none(), st.integers(1, 30).map(lambda hours: hours * HOUR))
histories = st.lists(
    st.tuples(st.integers(0, 3 * 24 * 60), st.sampled_from([1, 1, 1, Fraction(1, 2)])),
    max_size=12,
    unique_by=lambda dose: dose[0],
).map(
    lambda doses: [
        Taken(START + timedelta(minutes=minute), Fraction(of))
        for minute, of in sorted(doses)
    ]
)


def at(*hours: float) -> list[Taken]:
    return [Taken(START + hour * HOUR) for hour in hours]


@pytest.mark.parametrize(
    ("guard", "hours", "found"),
    [
        (AsNeeded(2), (0, 1), ()),
        (AsNeeded(2), (0, 1, 2), (Limit.TOO_MANY,)),
        (AsNeeded(2), (0, 1, 24), ()),  # the first is a whole day ago
        (AsNeeded(2), (0, 1, 23.99), (Limit.TOO_MANY,)),
        (AsNeeded(None, 6 * HOUR), (0, 6), ()),
        (AsNeeded(None, 6 * HOUR), (0, 5.99), (Limit.TOO_SOON,)),
        (AsNeeded(1, 30 * HOUR), (0, 25), (Limit.TOO_SOON,)),
        (AsNeeded(1, 6 * HOUR), (0, 1), (Limit.TOO_SOON, Limit.TOO_MANY)),
        (AsNeeded(1), (), ()),
    ],
)
def test_a_dose_is_beyond_its_limits(
    guard: AsNeeded, hours: tuple[float, ...], found: tuple[Limit, ...]
) -> None:
    assert beyond(guard, at(*hours), START + 100 * HOUR) == found


@given(guards, histories, st.integers(0, 4 * 24 * 60))
def test_a_dose_at_the_first_free_instant_is_within_limits(
    guard: AsNeeded, taken: list[Taken], minute: int
) -> None:
    now = START + timedelta(minutes=minute)
    past = [one for one in taken if one.at <= now]
    free = free_at(guard, taken, now)

    assert beyond(guard, [*past, Taken(free)], free) in ((), (Limit.TOO_SOON,))
    if not any(one.at == free for one in past):
        assert beyond(guard, [*past, Taken(free)], free) == ()
    assert free >= now


@given(guards, histories, st.integers(0, 4 * 24 * 60))
def test_a_dose_a_second_before_it_would_be_beyond_them(
    guard: AsNeeded, taken: list[Taken], minute: int
) -> None:
    now = START + timedelta(minutes=minute)
    past = [one for one in taken if one.at <= now]
    free = free_at(guard, taken, now)
    early = free - timedelta(seconds=1)

    if early >= now:
        assert beyond(guard, [*past, Taken(early)], early)


@given(guards, histories, st.sampled_from(sorted(available_timezones())))
def test_no_clock_of_any_zone_changes_a_limit(
    guard: AsNeeded, taken: list[Taken], name: str
) -> None:
    zone = zone_named(name)
    there = [Taken(one.at.astimezone(zone).astimezone(UTC), one.doses) for one in taken]
    end = START + 100 * HOUR

    assert beyond(guard, there, end) == beyond(guard, taken, end)


@given(histories)
def test_24_hours_never_hold_more_than_was_taken(taken: list[Taken]) -> None:
    for one in taken:
        held = in_24_hours(taken, one.at)
        assert one.doses <= held <= sum(each.doses for each in taken)
