"""Timings check themselves, and survive the database."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone

import pytest
from hypothesis import given

from backend.regimens.timing import (
    AsNeeded,
    BadTiming,
    Basis,
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
from backend.regimens.timing_json import from_json, to_json
from tests.backend.regimens.timings import timings

EIGHT = (time(8),)
DAY = date(2026, 3, 1)


@given(timings)
def test_a_timing_is_the_same_after_the_database(timing: Timing) -> None:
    assert from_json(json.loads(json.dumps(to_json(timing)))) == timing


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: ClockTimes(()), "different clock times"),
        (lambda: ClockTimes((time(9), time(8))), "ascending"),
        (lambda: ClockTimes((time(8), time(8))), "different"),
        (lambda: ClockTimes((time(8, tzinfo=UTC),)), "without a zone"),
        (lambda: ClockTimes((time(8, 0, 0, 5),)), "whole seconds"),
        (lambda: Weekdays(EIGHT, ()), "weekdays"),
        (lambda: Weekdays(EIGHT, (Weekday.MON, Weekday.MON)), "different weekdays"),
        (lambda: Weekdays(EIGHT, (Weekday.MON,), 2), "count the weeks from"),
        (lambda: Monthly(EIGHT, DAY, 0), "months between"),
        (lambda: DailyCount(-1), "want 0 or more"),
        (lambda: Cycle(0, 7, DAY, DailyCount(1)), "days on"),
        (lambda: Cycle(21, 0, DAY, DailyCount(1)), "days off"),
        (lambda: EveryHours(timedelta(0), datetime(2026, 1, 1, tzinfo=UTC)), "second"),
        (
            lambda: EveryHours(
                timedelta(hours=8), datetime.fromisoformat("2026-01-01")
            ),
            "offset",
        ),
        (lambda: Instants(()), "different instants"),
        (lambda: AsNeeded(), "most in 24 h or"),
        (lambda: AsNeeded(0), "doses in 24 h"),
        (lambda: AsNeeded(None, timedelta(0)), "above 0"),
        (lambda: Phase(ClockTimes(EIGHT), DAY, date(2026, 2, 1)), "ends .* before"),
        (lambda: Phase(ClockTimes(EIGHT), count=3), "start to count from"),
        (lambda: Taper(()), "at least one phase"),
        (
            lambda: Taper((Phase(DailyCount(1)), Phase(DailyCount(2)))),
            "needs its start",
        ),
        (
            lambda: Taper((Phase(DailyCount(1), DAY), Phase(DailyCount(2), date.min))),
            "in order",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_refused(make: object, why: str) -> None:
    assert callable(make)
    with pytest.raises(BadTiming, match=why):
        make()


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (None, "JSON object"),
        ([], "JSON object"),
        ({}, "kind wants text"),
        ({"kind": "lunar"}, "no kind of timing is called 'lunar'"),
        ({"kind": "clock_times"}, "times wants a list"),
        ({"kind": "clock_times", "times": [8]}, "want text, got 8"),
        ({"kind": "clock_times", "times": ["8 o'clock"]}, "cannot read"),
        ({"kind": "clock_times", "times": ["08:00"], "tmies": []}, "has no tmies"),
        ({"kind": "daily_count", "n": True}, "whole number"),
        ({"kind": "daily_count", "n": 1.5}, "whole number"),
        (
            {
                "kind": "cycle",
                "on_days": 1,
                "off_days": 1,
                "anchor": "2026-01-01",
                "inner": {"kind": "as_needed", "most_in_24_hours": 1},
            },
            "cannot hold as_needed",
        ),
        (
            {"kind": "taper", "phases": [{"kind": "daily_count", "n": 1}]},
            "phases are phases, not daily_count",
        ),
    ],
)
def test_json_that_is_no_timing_is_refused_by_name(stored: object, why: str) -> None:
    with pytest.raises(BadTiming, match=why):
        from_json(stored)


def test_json_keeps_instants_in_utc() -> None:
    there = timezone(timedelta(hours=5))
    timing = EveryHours(timedelta(hours=8), datetime(2026, 1, 1, 5, tzinfo=there))

    assert to_json(timing) == {
        "kind": "every_hours",
        "every_s": 28800.0,
        "doses": 1,
        "anchor": "2026-01-01T00:00:00+00:00",
    }


def test_wall_and_elapsed_are_told_apart() -> None:
    every = EveryHours(timedelta(hours=8), datetime(2026, 1, 1, tzinfo=UTC))

    assert ClockTimes(EIGHT).basis is Basis.WALL
    assert Phase(every).basis is Basis.ELAPSED
    assert Taper((Phase(DailyCount(1)),)).basis is Basis.WALL
