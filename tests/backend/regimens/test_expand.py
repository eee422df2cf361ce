"""What a timing makes due, on ordinary days and as laws that hold in every zone."""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest
import tzdata
from hypothesis import example, given
from hypothesis import strategies as st

from backend.regimens.expand import Occurrence, occurrences
from backend.regimens.timing import (
    AsNeeded,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Taper,
    Timing,
    Weekday,
    Weekdays,
)
from backend.regimens.zones import TZDB_VERSION, exists, wall, zone_named
from tests.backend.regimens.timings import clock_times, days, every_hours, timings

PARIS = zone_named("Europe/Paris")
NAMES = sorted(available_timezones())
zones = st.sampled_from(NAMES).map(zone_named)
EIGHT, TWENTY = time(8), time(20)
DAY = timedelta(days=1)


def due(timing: Timing, first: str, last: str, zone: ZoneInfo = PARIS) -> list[str]:
    return [one.key for one in between(timing, first, last, zone)]


def between(
    timing: Timing, first: str, last: str, zone: ZoneInfo = PARIS
) -> list[Occurrence]:
    bounds = date.fromisoformat(first), date.fromisoformat(last)
    return list(occurrences(timing, zone=zone, first=bounds[0], last=bounds[1]))


def at(local: str) -> datetime:
    return datetime.fromisoformat(local)


def test_clock_times_are_due_every_day() -> None:
    assert due(ClockTimes((EIGHT, TWENTY)), "2026-03-01", "2026-03-02") == [
        "2026-03-01T08:00",
        "2026-03-01T20:00",
        "2026-03-02T08:00",
        "2026-03-02T20:00",
    ]


def test_an_occurrence_keeps_local_time_zone_and_dose_day() -> None:
    [one] = between(ClockTimes((time(1),)), "2026-03-02", "2026-03-02")

    assert one == Occurrence(
        key="2026-03-02T01:00",
        due_at=datetime(2026, 3, 2, 0, tzinfo=UTC),
        local=at("2026-03-02T01:00"),
        zone="Europe/Paris",
        dose_day=date(2026, 3, 1),  # before 03:00: still the evening before
        day=date(2026, 3, 2),
    )


def test_weekdays_are_those_of_the_calendar() -> None:
    timing = Weekdays((EIGHT,), (Weekday.MON, Weekday.THU))

    assert due(timing, "2026-03-01", "2026-03-09") == [
        "2026-03-02T08:00",
        "2026-03-05T08:00",
        "2026-03-09T08:00",
    ]


def test_every_other_week_counts_from_the_monday_of_the_anchors_week() -> None:
    # 4 March 2026 is a Wednesday; RFC 5545 with WKST=MO counts the same way.
    timing = Weekdays((EIGHT,), (Weekday.MON, Weekday.THU), 2, date(2026, 3, 4))

    assert due(Phase(timing, date(2026, 3, 4)), "2026-03-01", "2026-03-31") == [
        "2026-03-05T08:00",
        "2026-03-16T08:00",
        "2026-03-19T08:00",
        "2026-03-30T08:00",
    ]


def test_monthly_on_the_31st_is_the_last_day_of_shorter_months() -> None:
    assert due(Monthly((EIGHT,), date(2026, 1, 31)), "2025-12-01", "2026-05-30") == [
        "2026-01-31T08:00",
        "2026-02-28T08:00",
        "2026-03-31T08:00",
        "2026-04-30T08:00",
    ]


def test_a_yearly_dose_of_29_february_comes_every_year() -> None:
    assert due(
        Monthly((EIGHT,), date(2024, 2, 29), 12), "2024-01-01", "2028-12-31"
    ) == [
        f"{day}T08:00"
        for day in (
            "2024-02-29",
            "2025-02-28",
            "2026-02-28",
            "2027-02-28",
            "2028-02-29",
        )
    ]


def test_a_cycle_is_21_on_and_7_off_from_its_anchor() -> None:
    timing = Cycle(21, 7, date(2026, 3, 2), ClockTimes((EIGHT,)))
    taken = [one.day for one in between(timing, "2026-02-01", "2026-04-26")]

    assert taken[0] == date(2026, 3, 2)
    assert taken[20:22] == [date(2026, 3, 22), date(2026, 3, 30)]
    assert len(taken) == 42


def test_untimed_doses_have_a_dose_day_and_no_instant() -> None:
    first, second = between(DailyCount(2), "2026-03-02", "2026-03-02")

    assert (first.key, second.key) == ("2026-03-02#1", "2026-03-02#2")
    assert first.due_at is None
    assert first.local is None
    assert first.dose_day == date(2026, 3, 2)
    assert due(DailyCount(0), "2026-03-02", "2026-03-09") == []


def test_a_cycle_of_untimed_doses_rests_on_its_days_off() -> None:
    assert due(
        Cycle(1, 1, date(2026, 3, 2), DailyCount(1)), "2026-03-01", "2026-03-06"
    ) == [
        "2026-03-02#1",
        "2026-03-04#1",
        "2026-03-06#1",
    ]


def test_every_eight_hours_does_not_know_of_summer_time() -> None:
    anchor = datetime(2026, 3, 28, 6, tzinfo=UTC)
    timing = EveryHours(timedelta(hours=8), anchor)

    assert [one.local for one in between(timing, "2026-03-28", "2026-03-29")] == [
        at("2026-03-28T07:00"),
        at("2026-03-28T15:00"),
        at("2026-03-28T23:00"),
        at("2026-03-29T08:00"),
        at("2026-03-29T16:00"),
    ]


def test_three_in_a_day_of_hours_are_eight_hours_apart() -> None:
    anchor = datetime(2026, 3, 1, tzinfo=UTC)

    assert due(
        EveryHours(DAY, anchor, 3), "2026-03-02", "2026-03-02", ZoneInfo("UTC")
    ) == [
        "2026-03-02T00:00:00Z",
        "2026-03-02T08:00:00Z",
        "2026-03-02T16:00:00Z",
    ]


def test_as_needed_schedules_nothing() -> None:
    assert due(AsNeeded(4), "2026-03-01", "2026-03-31") == []


def test_bounds_of_dates_take_in_both_days() -> None:
    phase = Phase(ClockTimes((EIGHT, TWENTY)), date(2026, 3, 2), date(2026, 3, 3))

    assert len(due(phase, "2026-02-01", "2026-04-01")) == 4


def test_bounds_of_instants_take_in_a_dose_on_the_bound() -> None:
    eight, twenty = (datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (7, 19))
    phase = Phase(ClockTimes((EIGHT, TWENTY)), eight, twenty)

    assert due(phase, "2026-03-01", "2026-03-03") == [
        "2026-03-02T08:00",
        "2026-03-02T20:00",
    ]
    a_second_less = Phase(phase.timing, eight + timedelta(seconds=1), twenty)
    assert due(a_second_less, "2026-03-01", "2026-03-03") == ["2026-03-02T20:00"]


def test_a_count_is_counted_from_the_start_whatever_is_asked_for() -> None:
    phase = Phase(ClockTimes((EIGHT, TWENTY)), date(2026, 3, 1), count=3)

    assert due(phase, "2026-03-02", "2026-03-09") == ["2026-03-02T08:00"]


def test_a_taper_hands_over_from_phase_to_phase() -> None:
    taper = Taper(
        (
            Phase(ClockTimes((EIGHT, TWENTY)), date(2026, 3, 1)),
            Phase(ClockTimes((EIGHT,)), date(2026, 3, 2), date(2026, 3, 3)),
            Phase(
                Cycle(1, 1, date(2026, 3, 5), ClockTimes((EIGHT,))), date(2026, 3, 5)
            ),
        )
    )

    assert due(taper, "2026-03-01", "2026-03-08") == [
        "2026-03-01T08:00",
        "2026-03-01T20:00",
        "2026-03-02T08:00",
        "2026-03-03T08:00",
        "2026-03-05T08:00",
        "2026-03-07T08:00",
    ]


def test_instants_ask_for_what_is_due_between_them_both_included() -> None:
    first, last = (datetime(2026, 3, 2, hour, tzinfo=UTC) for hour in (7, 19))
    found = occurrences(
        ClockTimes((EIGHT, time(12), TWENTY)), zone=PARIS, first=first, last=last
    )

    assert [one.due_at for one in found] == [
        first,
        datetime(2026, 3, 2, 11, tzinfo=UTC),
        last,
    ]


def test_an_instant_before_three_asks_for_the_dose_day_before() -> None:
    at_two = datetime(2026, 3, 2, 1, tzinfo=UTC)
    found = occurrences(DailyCount(1), zone=PARIS, first=at_two, last=at_two)

    assert [one.key for one in found] == ["2026-03-01#1"]


@pytest.mark.parametrize(
    "name", ["", "America", "europe/paris", "Mars/Base", "../UTC", "UTC\n"]
)
def test_a_zone_nobody_knows_is_refused(name: str) -> None:
    with pytest.raises(BadTiming, match="no time zone is called"):
        zone_named(name)


def test_zones_come_from_the_locked_package_and_not_from_the_machine() -> None:
    assert TZPATH == ()
    assert TZDB_VERSION == tzdata.IANA_VERSION


NOONS = [datetime(2019, 12, 31, 12, tzinfo=UTC) + DAY * day for day in range(5847)]


def jumps(zone: ZoneInfo) -> Iterator[date]:
    """Yield the days before a change of offset in 2020-2035, by looking every noon."""
    offsets = [zone.utcoffset(noon) for noon in NOONS]
    for noon, before, after in zip(NOONS, offsets, offsets[1:], strict=False):
        if before != after:
            yield noon.date()


def first_instant_by_looking(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first minute at which clocks show `local` or later, without `fold`."""
    minute = local.replace(tzinfo=UTC) - timedelta(hours=15)
    while wall(minute, zone) < local:
        minute += timedelta(minutes=1)
    return minute


@given(zones, days, clock_times)
@example(zone_named("America/Nuuk"), date(2026, 3, 28), time(23, 30))
@example(zone_named("Australia/Lord_Howe"), date(2026, 10, 4), time(2, 15))
@example(zone_named("Antarctica/Troll"), date(2026, 3, 29), time(2))
def test_a_wall_dose_is_due_when_clocks_first_show_its_time_or_later(
    zone: ZoneInfo, day: date, clock: time
) -> None:
    [one] = occurrences(ClockTimes((clock,)), zone=zone, first=day, last=day)

    assert one.due_at == first_instant_by_looking(datetime.combine(day, clock), zone)


def assert_once_a_day(zone: ZoneInfo, first: date, last: date) -> None:
    times = (time(0), time(0, 30), time(1, 45), time(2, 30), time(3), time(23, 45))
    for clock in times:
        found = list(
            occurrences(ClockTimes((clock,)), zone=zone, first=first, last=last)
        )
        asked = Counter(one.day for one in found)
        whole = {first + DAY * number for number in range((last - first).days + 1)}
        assert asked == {day: 1 for day in whole if exists(day, zone)}
        instants = [one.due_at for one in found if one.due_at]
        assert all(one < two for one, two in pairwise(instants))


@pytest.mark.parametrize("letter", sorted({name[0] for name in NAMES}))
def test_no_day_of_2020_to_2035_asks_for_a_wall_dose_twice_or_never(
    letter: str,
) -> None:
    for name in NAMES:
        zone = zone_named(name)
        if name.startswith(letter):
            for day in jumps(zone):
                assert_once_a_day(zone, day - DAY, day + 2 * DAY)


@pytest.mark.soak
@pytest.mark.parametrize("name", NAMES)
def test_every_single_day_of_2020_to_2035_asks_once(name: str) -> None:
    assert_once_a_day(zone_named(name), date(2020, 1, 1), date(2035, 12, 31))


@given(timings, zones, days, st.integers(0, 40), st.integers(0, 40))
def test_expanding_in_parts_is_expanding_at_once(
    timing: Timing, zone: ZoneInfo, first: date, one: int, two: int
) -> None:
    middle, last = first + DAY * one, first + DAY * (one + two + 1)
    parts = [
        *occurrences(timing, zone=zone, first=first, last=middle),
        *occurrences(timing, zone=zone, first=middle + DAY, last=last),
    ]

    assert parts == list(occurrences(timing, zone=zone, first=first, last=last))


@given(timings, zones, days)
def test_occurrences_ascend_and_have_keys_and_instants_of_their_own(
    timing: Timing, zone: ZoneInfo, first: date
) -> None:
    found = list(occurrences(timing, zone=zone, first=first, last=first + 20 * DAY))
    timed = [one.due_at for one in found if one.due_at]

    assert timed == sorted(set(timed))
    assert len({one.key for one in found}) == len(found)


@given(every_hours, zones, st.integers(0, 2000))
def test_hours_stay_hours_in_every_zone(
    timing: EveryHours, zone: ZoneInfo, later: int
) -> None:
    first = timing.anchor + later * DAY
    found = [
        one.due_at
        for one in occurrences(timing, zone=zone, first=first, last=first + 9 * DAY)
        if one.due_at
    ]
    apart = timing.every / timing.doses
    second = timedelta(seconds=1)

    assert all(abs(two - one - apart) <= second for one, two in pairwise(found))
    assert len(found) >= 9 * DAY // max(apart, second)


@given(zones, st.sets(st.integers(0, 1000), min_size=1, max_size=4))
def test_exact_instants_stay_what_they_are(zone: ZoneInfo, hours: set[int]) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    exact = tuple(start + timedelta(hours=hour) for hour in sorted(hours))

    found = occurrences(
        Instants(exact), zone=zone, first=start, last=start + timedelta(hours=1000)
    )
    assert tuple(one.due_at for one in found) == exact
