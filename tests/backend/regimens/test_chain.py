"""Intervals from the last taken dose, as laws over any life of a chain."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.people.zones import ZoneSpan
from backend.regimens.chain import Link, next_dose, number_of, window_of
from backend.regimens.expand import DOSE_DAY_STARTS, Occurrence
from backend.regimens.timing import AfterTaken, BadTiming
from backend.regimens.zones import exists, first_instant, wall, zone_named
from tests.backend.regimens.timings import after_taken

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
names = st.sampled_from(sorted(available_timezones()))
# How late each dose is taken, in minutes; None: it is not.
lives = st.lists(st.none() | st.integers(-600, 3 * 24 * 60), max_size=8)


def after(timing: AfterTaken, links: list[Link], zone: str) -> Occurrence | None:
    spans = [ZoneSpan(LONG_AGO, zone)]
    return next_dose(timing, links, spans, dose_day_start=DOSE_DAY_STARTS)


def link(dose: Occurrence, minutes: int | None) -> Link:
    assert dose.due_at is not None
    taken_at = None if minutes is None else dose.due_at + timedelta(minutes=minutes)
    return Link(number_of(dose.key) or 0, dose.due_at, dose.day, taken_at)


@given(after_taken, names, lives)
def test_each_dose_follows_the_last_taken_and_none_an_untaken_one(
    timing: AfterTaken, name: str, life: list[int | None]
) -> None:
    zone = zone_named(name)
    links: list[Link] = []
    for number, minutes in enumerate(life, start=1):
        dose = after(timing, links, name)
        if links and links[-1].taken_at is None:
            assert dose is None
            return
        assert dose is not None
        assert dose.due_at is not None
        assert dose.key == f"after#{number}"
        if links and links[-1].taken_at:
            taken_at = links[-1].taken_at
            if timing.at is None:
                assert dose.due_at == taken_at + timing.every
            else:
                day = wall(taken_at, zone).date() + timing.every
                due = first_instant(datetime.combine(day, timing.at), zone)
                assert dose.due_at == due
        # What counts as this dose was taken within its window.
        earliest = -window_of(timing) // MINUTE
        links.append(link(dose, minutes and max(minutes, earliest)))


@given(after_taken, names, st.integers(-3, 3))
def test_a_later_first_begins_anew_and_an_earlier_one_goes_on(
    timing: AfterTaken, name: str, days: int
) -> None:
    first = after(timing, [], name)
    assert first is not None
    changed = AfterTaken(timing.every, timing.first + days * DAY, timing.at)
    missed = link(first, None)

    anew = after(changed, [missed], name)
    if days > 0:
        assert anew is not None
        assert number_of(anew.key) == 2
        assert anew.due_at == (after(changed, [], name) or first).due_at
    elif exists(first.day, zone_named(name)):
        assert anew is None


def test_the_zone_is_that_of_the_day_on_which_it_is_due() -> None:
    moves = [
        ZoneSpan(LONG_AGO, "Europe/London"),
        ZoneSpan(datetime(2026, 3, 20, tzinfo=UTC), "Asia/Tokyo"),
    ]
    timing = AfterTaken(28 * DAY, date(2026, 3, 2), time(10))
    first = next_dose(timing, [], moves, dose_day_start=DOSE_DAY_STARTS)
    assert first is not None
    taken = link(first, 0)
    second = next_dose(timing, [taken], moves, dose_day_start=DOSE_DAY_STARTS)
    assert second is not None

    assert (first.zone, first.due_at) == (
        "Europe/London",
        datetime(2026, 3, 2, 10, tzinfo=UTC),
    )
    assert (second.zone, second.due_at) == (
        "Asia/Tokyo",
        datetime(2026, 3, 30, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    ("every", "window"), [(28 * DAY, 3 * DAY), (8 * DAY, 2 * DAY), (48 * HOUR, DAY / 2)]
)
def test_its_window_is_a_quarter_of_the_interval_three_days_at_most(
    every: timedelta, window: timedelta
) -> None:
    first = datetime(2026, 3, 2, tzinfo=UTC)

    assert window_of(AfterTaken(every, first)) == window


@pytest.mark.parametrize(
    ("every", "first", "at", "why"),
    [
        (HOUR / 2, LONG_AGO, None, "or more apart"),
        (36 * HOUR, date(2026, 3, 2), time(10), "whole days"),
        (DAY, date(2026, 3, 2), None, "a date with a clock time"),
        (DAY, LONG_AGO, time(10), "a date with a clock time"),
        (DAY, datetime.fromisoformat("2026-03-02T10:00"), None, "with an offset"),
    ],
)
def test_what_follows_nothing_is_refused(
    every: timedelta, first: date, at: time | None, why: str
) -> None:
    with pytest.raises(BadTiming, match=why):
        AfterTaken(every, first, at)
