"""Doses on journeys: nothing twice too soon, nothing left out without a word."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.regimens.expand import Occurrence, occurrences
from backend.regimens.interval import shortest_interval
from backend.regimens.timing import (
    AsNeeded,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Monthly,
    Phase,
    Timing,
    Weekday,
    Weekdays,
)
from backend.regimens.travel import Change, Journey, occurrences_through
from backend.regimens.zones import zone_named
from tests.backend.regimens.timings import several_times

HOUR = timedelta(hours=1)
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LONDON, TOKYO = "Europe/London", "Asia/Tokyo"
DAILY = ClockTimes((time(8),))
TWICE = ClockTimes((time(8), time(20)))


def journey(
    timing: Timing,
    away: str,
    at: str,
    there: str,
    *,
    days: str = "2026-01-09 2026-01-12",
) -> Journey:
    first, last = (date.fromisoformat(day) for day in days.split())
    moved = datetime.fromisoformat(at).astimezone(UTC)
    zones = [(LONG_AGO, zone_named(away)), (moved, zone_named(there))]
    return occurrences_through(timing, zones=zones, first=first, last=last)


def told(found: Journey) -> list[str]:
    """Return the doses as `key due` without year and seconds, and what changed."""
    return [
        *(f"{one.key[5:]} {one.due_at:%dT%H:%MZ}" for one in found.due),
        *(f"{effect.change}: {effect.dose.key[5:]}" for effect in found.effects),
    ]


# January: London is UTC, Tokyo UTC+9, Honolulu UTC-10, Kiritimati UTC+14, no DST.
JOURNEYS: list[tuple[str, Timing, str, str, str, list[str]]] = [
    (
        "east by day: the evening in the air comes fifteen hours after the morning",
        TWICE,
        LONDON,
        "2026-01-10T12:00Z",
        TOKYO,
        [
            "01-09T08:00 09T08:00Z",
            "01-09T20:00 09T20:00Z",
            "01-10T08:00 10T08:00Z",
            "01-10T20:00 10T14:00Z",  # jumped over: six hours, half of twelve, apart
            "01-11T08:00 10T23:00Z",
            "01-11T20:00 11T11:00Z",
            "01-12T08:00 11T23:00Z",
            "01-12T20:00 12T11:00Z",
            "moved: 01-10T20:00",
        ],
    ),
    (
        "east overnight: the morning that was jumped over is asked on arrival",
        DAILY,
        LONDON,
        "2026-01-10T23:30Z",
        TOKYO,
        [
            "01-09T08:00 09T08:00Z",
            "01-10T08:00 10T08:00Z",
            "01-11T08:00 10T23:30Z",
            "01-12T08:00 11T23:00Z",
            "moved: 01-11T08:00",
        ],
    ),
    (
        "east just before a dose: it comes at its new time when half a day has passed",
        DAILY,
        LONDON,
        "2026-01-10T22:00Z",
        TOKYO,
        [
            "01-09T08:00 09T08:00Z",
            "01-10T08:00 10T08:00Z",
            "01-11T08:00 10T23:00Z",
            "01-12T08:00 11T23:00Z",
        ],
    ),
    (
        "west by day: the same morning again after nine hours is not asked",
        DAILY,
        TOKYO,
        "2026-01-10T03:00Z",
        LONDON,
        [
            "01-09T08:00 08T23:00Z",
            "01-10T08:00 09T23:00Z",
            "01-11T08:00 11T08:00Z",
            "01-12T08:00 12T08:00Z",
            "left_out: 01-10T08:00",
        ],
    ),
    (
        "west by day: twice a day goes on, the morning asked again",
        TWICE,
        TOKYO,
        "2026-01-10T03:00Z",
        LONDON,
        [
            "01-09T08:00 08T23:00Z",
            "01-09T20:00 09T11:00Z",
            "01-10T08:00 09T23:00Z",
            "01-10T08:00@Europe/London 10T08:00Z",
            "01-10T20:00 10T20:00Z",
            "01-11T08:00 11T08:00Z",
            "01-11T20:00 11T20:00Z",
            "01-12T08:00 12T08:00Z",
            "01-12T20:00 12T20:00Z",
            "again: 01-10T08:00@Europe/London",
        ],
    ),
    (
        "east over the date line: a date that was never lived has no dose of its own",
        DAILY,
        "Pacific/Honolulu",
        "2026-01-10T12:00Z",  # 02:00 on the 10th there, 02:00 on the 11th here
        "Pacific/Kiritimati",
        [
            "01-09T08:00 09T18:00Z",
            "01-11T08:00 10T18:00Z",
            "01-12T08:00 11T18:00Z",
            "left_out: 01-10T08:00",
        ],
    ),
    (
        "west over the date line: the same date again, a day later, is asked again",
        DAILY,
        "Pacific/Kiritimati",
        "2026-01-10T12:00Z",  # 02:00 on the 11th there, 02:00 on the 10th here
        "Pacific/Honolulu",
        [
            "01-09T08:00 08T18:00Z",
            "01-10T08:00 09T18:00Z",
            "01-10T08:00@Pacific/Honolulu 10T18:00Z",
            "01-11T08:00 11T18:00Z",
            "01-12T08:00 12T18:00Z",
            "again: 01-10T08:00@Pacific/Honolulu",
        ],
    ),
    (
        "weekly: nine hours later it is Monday again, and one dose a week",
        Weekdays((time(8),), (Weekday.MON,)),
        TOKYO,
        "2026-01-12T03:00Z",
        LONDON,
        ["01-12T08:00 11T23:00Z", "left_out: 01-12T08:00"],
    ),
    (
        "hours know no zones",
        EveryHours(24 * HOUR, datetime(2026, 1, 1, 6, tzinfo=UTC)),
        TOKYO,
        "2026-01-10T03:00Z",
        LONDON,
        [
            "01-09T06:00:00Z 09T06:00Z",
            "01-10T06:00:00Z 10T06:00Z",
            "01-11T06:00:00Z 11T06:00Z",
            "01-12T06:00:00Z 12T06:00Z",
        ],
    ),
    (
        "the same clocks under another name change nothing",
        DAILY,
        "Europe/Berlin",
        "2026-01-10T03:00Z",
        "Europe/Paris",
        [
            "01-09T08:00 09T07:00Z",
            "01-10T08:00 10T07:00Z",
            "01-11T08:00 11T07:00Z",
            "01-12T08:00 12T07:00Z",
        ],
    ),
]


@pytest.mark.parametrize(
    ("timing", "away", "at", "there", "expected"),
    [case[1:] for case in JOURNEYS],
    ids=[case[0] for case in JOURNEYS],
)
def test_a_journey_reads_so(
    timing: Timing, away: str, at: str, there: str, expected: list[str]
) -> None:
    assert told(journey(timing, away, at, there)) == expected


def test_untimed_doses_belong_to_days_that_were_lived() -> None:
    keys = [
        one.key
        for one in journey(DailyCount(1), LONDON, "2026-01-10T20:00Z", TOKYO).due
    ]
    assert keys == [f"2026-01-{day:02}#1" for day in (9, 10, 11, 12)]

    over = journey(
        DailyCount(1), "Pacific/Honolulu", "2026-01-10T15:00Z", "Pacific/Kiritimati"
    )
    # 05:00 on the 10th there, 05:00 on the 11th here: each had its own dose-day.
    assert [one.key for one in over.due] == keys

    jumped = journey(
        DailyCount(1), "Pacific/Honolulu", "2026-01-10T12:30Z", "Pacific/Kiritimati"
    )
    # 02:30 on the 10th is still the 9th; 02:30 on the 11th is still the 10th.
    assert [one.key for one in jumped.due] == keys


def test_a_history_of_one_zone_is_plain_expansion() -> None:
    first, last = date(2026, 3, 20), date(2026, 4, 10)
    london = zone_named(LONDON)
    plain = occurrences(TWICE, zone=london, first=first, last=last)
    through = occurrences_through(
        TWICE, zones=[(LONG_AGO, london)], first=first, last=last
    )

    assert through == Journey(tuple(plain), ())


def test_without_any_zone_nothing_can_be_expanded() -> None:
    with pytest.raises(BadTiming, match="no zone is known"):
        occurrences_through(DAILY, zones=[], first=LONG_AGO, last=LONG_AGO)


@pytest.mark.parametrize(
    ("timing", "apart"),
    [
        (DAILY, 24),
        (TWICE, 12),
        (ClockTimes((time(8), time(12), time(22))), 4),
        (Weekdays((time(8),), (Weekday.MON, Weekday.THU)), 72),
        (Weekdays((time(8),), (Weekday.MON,), 2, date(2026, 1, 1)), 336),
        (Monthly((time(8),), date(2026, 1, 31)), 28 * 24),
        (Cycle(1, 2, date(2026, 1, 1), DAILY), 72),
        (EveryHours(8 * HOUR, LONG_AGO, 2), 4),
        (Phase(TWICE, date(2026, 1, 1)), 12),
        (DailyCount(3), 24),
        (AsNeeded(4, 6 * HOUR), 6),
        (AsNeeded(4), 24),
    ],
)
def test_the_shortest_interval_of_a_timing(timing: Timing, apart: int) -> None:
    assert shortest_interval(timing) == apart * HOUR


zones = st.sampled_from(sorted(available_timezones())).map(zone_named)
moments = st.integers(0, 365 * 24 * 4).map(
    lambda quarters: datetime(2026, 1, 1, tzinfo=UTC) + quarters * HOUR / 4
)


def around(
    times: tuple[time, ...], moved: datetime, zone: ZoneInfo, there: ZoneInfo
) -> Journey:
    return occurrences_through(
        ClockTimes(times),
        zones=[(LONG_AGO, zone), (moved, there)],
        first=moved - 100 * HOUR,
        last=moved + 100 * HOUR,
    )


@given(several_times, moments, zones, zones)
def test_no_two_doses_come_closer_than_the_prescription_allows(
    times: tuple[time, ...], moved: datetime, zone: ZoneInfo, there: ZoneInfo
) -> None:
    due = [one.due_at for one in around(times, moved, zone, there).due if one.due_at]
    half = shortest_interval(ClockTimes(times)) / 2

    # A change of clocks on the way may take an hour or two off; a change of zone not.
    assert due == sorted(set(due))
    assert all(two - one >= half - 2 * HOUR for one, two in pairwise(due))
    across = [(one, two) for one, two in pairwise(due) if one < moved <= two]
    assert all(two - one >= half for one, two in across)


@given(several_times, moments, zones, zones)
def test_every_wall_time_of_either_zone_is_asked_or_spoken_of(
    times: tuple[time, ...], moved: datetime, zone: ZoneInfo, there: ZoneInfo
) -> None:
    found = around(times, moved, zone, there)
    spoken_of = {one.key for one in found.due} | {
        effect.dose.key for effect in found.effects
    }

    def keys(zone: ZoneInfo, first: datetime, last: datetime) -> set[str]:
        timing = ClockTimes(times)
        return {
            one.key for one in occurrences(timing, zone=zone, first=first, last=last)
        }

    second = timedelta(seconds=1)
    assert keys(zone, moved - 50 * HOUR, moved - second) <= spoken_of
    assert keys(there, moved, moved + 50 * HOUR) <= spoken_of


@given(moments, zones, zones)
def test_a_daily_dose_is_never_a_day_and_a_half_away(
    moved: datetime, zone: ZoneInfo, there: ZoneInfo
) -> None:
    due = [
        one.due_at for one in around((time(8),), moved, zone, there).due if one.due_at
    ]

    assert all(two - one <= 38 * HOUR for one, two in pairwise(due))


@given(several_times, moments, zones, zones, st.integers(-80, 80))
def test_a_journey_in_parts_is_the_journey_at_once(
    times: tuple[time, ...],
    moved: datetime,
    zone: ZoneInfo,
    there: ZoneInfo,
    cut: int,
) -> None:
    timing, history = ClockTimes(times), [(LONG_AGO, zone), (moved, there)]
    first, middle, last = moved - 100 * HOUR, moved + cut * HOUR, moved + 100 * HOUR

    def part(first: datetime, last: datetime) -> tuple[Occurrence, ...]:
        return occurrences_through(timing, zones=history, first=first, last=last).due

    just_before = middle - timedelta(microseconds=1)
    whole = part(first, last)
    assert part(first, just_before) + part(middle, last) == whole


def test_effects_name_what_happened() -> None:
    found = journey(DAILY, TOKYO, "2026-01-10T03:00Z", LONDON)

    [effect] = found.effects
    assert effect.change is Change.LEFT_OUT
    assert effect.dose.zone == LONDON
