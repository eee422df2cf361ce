"""The time of a record is never further from the truth than what is said of it."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from device_bridge.clock import FASTEST, TOLERANCE
from device_bridge.dating import (
    Anchor,
    Break,
    Run,
    Stamp,
    Undated,
    find_break,
    how_it_ran,
    offset_of,
    rate_between,
)

BEGIN = 946_684_800.0
DAY, HOUR = 86_400.0, 3_600.0
UNIT = 0.001  # s, what the clock counts
FLOAT = 1e-5  # of seconds since 1970


@dataclass
class Clock:
    """A clock that is `steps` ahead from their instants on, and gains `rates` between.

    All instants are seconds since BEGIN, by true time.
    """

    rates: Sequence[tuple[float, float]]
    steps: Sequence[tuple[float, float]] = ()
    start: float = 0.0

    def offset(self, at: float) -> float:
        ahead = self.start + sum(by for when, by in self.steps if when <= at)
        ends = [when for when, _ in self.rates[1:]] + [float("inf")]
        for (begin, rate), end in zip(self.rates, ends, strict=True):
            ahead += rate * (min(at, end) - begin) if at > begin else 0.0
        return ahead

    def face(self, at: float) -> float:
        shown = BEGIN + at + self.offset(at)
        return shown // UNIT * UNIT

    def read(self, asked: float, took: float, share: float) -> Anchor:
        """Read the clock somewhere between question and answer."""
        middle = BEGIN + asked + took / 2
        offset = self.face(asked + share * took) - middle
        return Anchor(middle, offset, took / 2 + UNIT / 2)


def rates(most: float, least: float) -> st.SearchStrategy[list[tuple[float, float]]]:
    """Return rates that change now and then in ten days."""
    changes = st.lists(st.floats(1.0, 10 * DAY), max_size=4, unique=True)
    some = st.lists(st.floats(least, most), min_size=5, max_size=5)
    return st.builds(_changing, changes, some)


def _changing(at: list[float], by: list[float]) -> list[tuple[float, float]]:
    return list(zip([0.0, *sorted(at)], by, strict=False))


starts = st.floats(-1e6, 1e8)
instants = st.floats(0.0, 10 * DAY)
delays = st.floats(0.0, 4.0)
shares = st.floats(0.0, 1.0)
clocks = st.builds(Clock, rates(TOLERANCE, -TOLERANCE), st.just(()), starts)


def readings(clock: Clock, drawn: list[tuple[float, float, float]]) -> list[Anchor]:
    """Return readings that do not overlap."""
    at = sorted(drawn)
    kept = [one for one, other in pairwise(at) if one[0] + one[1] < other[0]]
    return [clock.read(*one) for one in [*kept, at[-1]]]


def is_true(clock: Clock, made: float, found: tuple[float, float] | Undated) -> bool:
    """Return whether the true time lies within what is said of a record."""
    assert not isinstance(found, Undated), found
    offset, uncertainty = found
    said = clock.face(made) - offset
    return abs(said - (BEGIN + made)) <= uncertainty + UNIT / 2 + FLOAT


many = st.lists(st.tuples(instants, delays, shares), min_size=2, max_size=2)


@given(clocks, many, instants)
def test_a_sound_clock_dates_right_between_two_readings_and_beyond_them(
    clock: Clock, drawn: list[tuple[float, float, float]], made: float
) -> None:
    found = readings(clock, drawn)
    assert how_it_ran(found[0], found[-1]) is not Run.MOVED
    stamp = Stamp(2, clock.face(made), BEGIN + 11 * DAY)
    for anchor in found:
        assert is_true(clock, made, offset_of(stamp, None, anchor, None))
    before = found[0] if found[0].at <= BEGIN + made else None
    after = found[-1] if len(found) > 1 or before is None else None
    assert is_true(clock, made, offset_of(stamp, before, after, None))


@given(
    st.one_of(rates(FASTEST, 0.0), rates(0.0, -FASTEST)),
    starts,
    many,
    st.floats(0.0, 1.0),
)
def test_a_clock_that_gains_or_loses_up_to_86_seconds_a_day_is_dated_right_between(
    going: list[tuple[float, float]],
    start: float,
    drawn: list[tuple[float, float, float]],
    share: float,
) -> None:
    clock = Clock(going, (), start)
    found = readings(clock, drawn)
    if len(found) < 2:
        return
    before, after = found
    assert how_it_ran(before, after) is not Run.MOVED
    begin, end = before.at - BEGIN + 2, after.at - BEGIN - 2
    if end < begin:
        return
    made = begin + share * (end - begin)
    stamp = Stamp(2, clock.face(made), after.at)
    assert is_true(clock, made, offset_of(stamp, before, after, None))


@given(st.floats(1.5 * TOLERANCE, FASTEST), delays, delays)
def test_a_drift_is_told_with_its_rate(
    rate: float, took: float, took_later: float
) -> None:
    clock = Clock([(0.0, rate)])
    before, after = clock.read(0, took, 0.5), clock.read(4 * DAY, took_later, 0.5)
    measured, error = rate_between(before, after)
    assert how_it_ran(before, after) is Run.DRIFTING
    assert abs(measured - rate) <= error


@settings(max_examples=300)
@given(
    rates(TOLERANCE, -TOLERANCE),
    st.one_of(st.floats(-3 * DAY, -HOUR), st.floats(HOUR, 3 * DAY)),
    st.floats(60.0, 2 * DAY),
    st.lists(st.floats(10.0, 2 * DAY), max_size=12),
)
def test_records_about_a_jump_are_dated_right_or_not_at_all(
    going: list[tuple[float, float]],
    step: float,
    when: float,
    made: list[float],
) -> None:
    clock = Clock(going, [(when, step)])
    before, after = clock.read(0, 1, 0.3), clock.read(2 * DAY + 10, 1, 0.7)
    heard = after.at + 20
    stamps = [
        Stamp(number, clock.face(at), heard)
        for number, at in enumerate(sorted(made), 1)
    ]
    assert how_it_ran(before, after) is Run.MOVED
    broken = find_break(stamps, before, after)
    assert broken is not None
    for stamp, at in zip(stamps, sorted(made), strict=True):
        found = offset_of(stamp, before, after, broken)
        assert isinstance(found, Undated) or is_true(clock, at, found)


def stamps_at(*faces: float, heard: float = BEGIN + DAY) -> list[Stamp]:
    return [Stamp(n, BEGIN + face, heard) for n, face in enumerate(faces, 1)]


EXACT = Anchor(BEGIN, 0.0, 0.01)


def at(days: float, ahead_s: float = 0.0) -> Anchor:
    return Anchor(BEGIN + days * DAY, ahead_s, 0.01)


def test_a_clock_lost_to_a_battery_contact_leaves_no_record_in_doubt() -> None:
    year = 365 * DAY
    stamps = stamps_at(HOUR, 5 * HOUR, 60.0 - 30 * year, HOUR - 30 * year)
    broken = find_break(stamps, EXACT, at(1, -30 * year - 12 * HOUR))
    assert broken == Break("moved", 2, 3)


def test_a_stamp_that_runs_backwards_shows_where_a_clock_was_moved() -> None:
    stamps = stamps_at(9 * HOUR, 12 * HOUR, 11.5 * HOUR, 13 * HOUR)
    assert find_break(stamps, EXACT, at(1, -HOUR)) == Break("moved", 2, 3)
    # Nobody read the clock before: what was made before that has no time.
    broken = find_break(stamps, None, at(1, -HOUR))
    assert broken == Break("backwards", None, 3)
    assert offset_of(stamps[1], None, at(1, -HOUR), broken) is Undated.MOVED
    assert not isinstance(offset_of(stamps[2], None, at(1), broken), Undated)


def test_moved_forth_and_back_between_two_readings_leaves_no_time_in_between() -> None:
    stamps = stamps_at(9 * HOUR, 16 * HOUR, 14 * HOUR, 15 * HOUR)
    broken = find_break(stamps, EXACT, at(1))
    found = [offset_of(stamp, EXACT, at(1), broken) for stamp in stamps]
    assert [isinstance(one, Undated) for one in found] == [True, True, False, False]


def test_a_second_move_that_the_records_show_leaves_nothing_certain() -> None:
    stamps = stamps_at(9 * HOUR, 12 * HOUR, 6 * HOUR, 13 * HOUR)  # by six, not by one
    assert find_break(stamps, EXACT, at(1, -HOUR)) == Break("moved", None, None)


def test_one_stamp_on_many_records_is_a_clock_that_stood_still() -> None:
    stamps = stamps_at(HOUR, HOUR, HOUR, 9 * HOUR)
    assert find_break(stamps, None, at(1)) == Break("stopped", None, 4)
    assert find_break(stamps[:3], None, at(1)) == Break("stopped", None, 4)
    assert find_break(stamps[1:], None, at(1)) is None
    assert find_break(stamps, EXACT, at(1)) is None  # it has lost no time


def test_a_record_of_later_than_now_has_no_time() -> None:
    (stamp,) = stamps_at(2 * DAY)
    assert offset_of(stamp, None, at(1), None) is Undated.FUTURE
    (early,) = stamps_at(-HOUR)  # yet it was not there when the clock was read
    assert offset_of(early, EXACT, at(1), None) is Undated.MOVED


def test_what_is_said_grows_tighter_towards_a_reading() -> None:
    found = [
        offset_of(stamp, EXACT, at(1), None)
        for stamp in stamps_at(60.0, 12 * HOUR, DAY - 60)
    ]
    wide = [one[1] for one in found if not isinstance(one, Undated)]
    assert bisect_right(wide, 0.02) == 1
    assert wide[0] < 0.02 > wide[2]
    assert 4 < wide[1] < 5
