"""FHIR R4 Timing as the `expand` command reads and prints it."""

import json
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from backend.__main__ import main
from tests.backend.regimens.expanding import LONDON, Expanded, Repeat


@pytest.fixture
def expand(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Expanded:
    return Expanded(tmp_path, capsys)


def test_twice_a_day_through_the_spring_change(expand: Expanded) -> None:
    twice: Repeat = {
        "boundsPeriod": {"start": "2026-03-01"},
        "frequency": 2,
        "period": 1,
        "periodUnit": "d",
        "timeOfDay": ["20:00:00", "01:30:00"],
    }

    assert expand.due(twice, "2026-03-28 2026-03-30") == [
        "2026-03-28T01:30:00Z",
        "2026-03-28T20:00:00Z",
        "2026-03-29T01:00:00Z",
        "2026-03-29T19:00:00Z",
        "2026-03-30T00:30:00Z",
        "2026-03-30T19:00:00Z",
    ]


def test_hours_are_counted_from_the_start_of_the_bounds(expand: Expanded) -> None:
    every: Repeat = {
        "boundsPeriod": {"start": "2026-03-28T22:00:00+01:00"},
        "frequency": 1,
        "period": 8,
        "periodUnit": "h",
    }

    assert expand.due(every, "2026-03-28 2026-03-29") == [
        "2026-03-28T21:00:00Z",
        "2026-03-29T05:00:00Z",
        "2026-03-29T13:00:00Z",
        "2026-03-29T21:00:00Z",
    ]


def test_hours_from_a_date_start_at_its_midnight_in_the_zone(expand: Expanded) -> None:
    every: Repeat = {
        "boundsPeriod": {"start": "2026-10-25", "end": "2026-10-25"},
        "period": 6,
        "periodUnit": "h",
    }

    # 25 hours in this London day: midnight is 23:00Z the day before.
    assert expand.due(every, "2026-10-01 2026-10-31") == [
        "2026-10-24T23:00:00Z",
        "2026-10-25T05:00:00Z",
        "2026-10-25T11:00:00Z",
        "2026-10-25T17:00:00Z",
        "2026-10-25T23:00:00Z",
    ]


@pytest.mark.parametrize(
    ("period", "unit", "apart"), [(90, "min", 5400), (0.5, "h", 1800), (30, "s", 30)]
)
def test_minutes_and_seconds_are_real_time(
    expand: Expanded, period: float, unit: str, apart: int
) -> None:
    often: Repeat = {
        "boundsPeriod": {
            "start": "2026-03-28T00:00:00Z",
            "end": "2026-03-29T03:00:00Z",
        },
        "period": period,
        "periodUnit": unit,
    }
    lines = expand.due(often, "2026-03-28 2026-03-29")
    instants = [datetime.fromisoformat(line).astimezone(UTC) for line in lines]

    assert len(instants) == 27 * 3600 // apart + 1
    assert {(two - one).seconds for one, two in pairwise(instants)} == {apart}


WALL: list[tuple[str, Repeat, str, str, str]] = [
    (
        "times alone are daily",
        {"timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-28 2026-03-29",
        "2026-03-28T08:00:00Z 2026-03-29T07:00:00Z",
    ),
    (
        "every other day from the start",
        {"boundsPeriod": {"start": "2026-03-01"}, "period": 2, "periodUnit": "d"}
        | {"timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-02 2026-03-06",
        "2026-03-03T08:00:00Z 2026-03-05T08:00:00Z",
    ),
    (
        "days of the week",
        {"period": 1, "periodUnit": "wk", "frequency": 2}
        | {"dayOfWeek": ["thu", "mon"], "timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-01 2026-03-08",
        "2026-03-02T08:00:00Z 2026-03-05T08:00:00Z",
    ),
    (
        "days of the week on a daily period",
        {"period": 1, "periodUnit": "d", "dayOfWeek": ["sun"]}
        | {"timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-01 2026-03-08",
        "2026-03-01T08:00:00Z 2026-03-08T08:00:00Z",
    ),
    (
        "a week from the weekday it started on",
        {"boundsPeriod": {"start": "2026-03-04"}, "period": 1, "periodUnit": "wk"}
        | {"timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-01 2026-03-20",
        "2026-03-04T08:00:00Z 2026-03-11T08:00:00Z 2026-03-18T08:00:00Z",
    ),
    (
        "every second week, counted from the week of the start",
        {"boundsPeriod": {"start": "2026-03-04"}, "period": 2, "periodUnit": "wk"}
        | {"dayOfWeek": ["mon", "thu"], "timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-01 2026-03-20",
        "2026-03-05T08:00:00Z 2026-03-16T08:00:00Z 2026-03-19T08:00:00Z",
    ),
    (
        "the 31st of every month, or its last day",
        {"boundsPeriod": {"start": "2026-01-31"}, "period": 1, "periodUnit": "mo"}
        | {"timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-01-01 2026-04-30",
        "2026-01-31T08:00:00Z 2026-02-28T08:00:00Z 2026-03-31T07:00:00Z"
        " 2026-04-30T07:00:00Z",
    ),
    (
        "a count ends it",
        {"boundsPeriod": {"start": "2026-03-01"}, "count": 3}
        | {"timeOfDay": ["08:00:00", "20:00:00"]},
        LONDON,
        "2026-03-01 2026-03-31",
        "2026-03-01T08:00:00Z 2026-03-01T20:00:00Z 2026-03-02T08:00:00Z",
    ),
    (
        "a count does not count a day that never was",
        {"boundsPeriod": {"start": "2011-12-29"}, "count": 2}
        | {"timeOfDay": ["08:00:00"]},
        "Pacific/Apia",
        "2011-12-01 2012-01-31",
        "2011-12-29T18:00:00Z 2011-12-30T18:00:00Z",
    ),
    (
        "an end with a time takes in the dose on it",
        {
            "boundsPeriod": {
                "start": "2026-03-28T08:00:00Z",
                "end": "2026-03-29T08:00:00+01:00",
            }
        }
        | {"timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-01 2026-03-31",
        "2026-03-28T08:00:00Z 2026-03-29T07:00:00Z",
    ),
    (
        "a month as a bound is all of it",
        {"boundsPeriod": {"start": "2026-02", "end": "2026-02"}}
        | {"timeOfDay": ["08:00:00"], "dayOfWeek": ["sat"]},
        LONDON,
        "2026-01-01 2026-03-31",
        "2026-02-07T08:00:00Z 2026-02-14T08:00:00Z 2026-02-21T08:00:00Z"
        " 2026-02-28T08:00:00Z",
    ),
    (
        "two times on one instant are one line",
        {"timeOfDay": ["01:00:00", "01:30:00", "02:00:00"]},
        LONDON,
        "2026-03-29 2026-03-29",
        "2026-03-29T01:00:00Z",
    ),
    (
        "the anchor day is that of the patient, not that of the offset",
        {"boundsPeriod": {"start": "2026-03-01T22:00:00-05:00"}, "period": 2}
        | {"periodUnit": "d", "timeOfDay": ["08:00:00"]},
        LONDON,
        "2026-03-01 2026-03-05",
        "2026-03-02T08:00:00Z 2026-03-04T08:00:00Z",
    ),
    (
        "no day, no dose",
        {"timeOfDay": ["08:00:00"]},
        "Pacific/Apia",
        "2011-12-30 2011-12-30",
        "",
    ),
]


@pytest.mark.parametrize(
    ("repeat", "zone", "days", "lines"),
    [case[1:] for case in WALL],
    ids=[case[0] for case in WALL],
)
def test_clock_times_expand(
    expand: Expanded, repeat: Repeat, zone: str, days: str, lines: str
) -> None:
    assert expand.due(repeat, days, zone) == lines.split()


def test_events_are_taken_as_they_are(expand: Expanded) -> None:
    timing = {"event": ["2026-03-29T09:00:00+01:00", "2026-03-28T23:59:59Z"]}

    assert expand.text(json.dumps(timing)) == (
        0,
        ["2026-03-28T23:59:59Z", "2026-03-29T08:00:00Z"],
        "",
    )


DAILY = {"period": 1, "periodUnit": "d", "timeOfDay": ["08:00:00"]}
START = {"boundsPeriod": {"start": "2026-03-01"}}
BAD: list[tuple[Repeat, str]] = [
    ({"frequency": 2, "period": 1, "periodUnit": "d"}, "needs timeOfDay"),
    ({"period": 1, "periodUnit": "wk"}, "needs timeOfDay"),
    ({"period": 1, "periodUnit": "mo"}, "needs timeOfDay"),
    ({}, "needs timeOfDay"),
    ({"period": 8, "periodUnit": "h"}, "counted from boundsPeriod.start"),
    (DAILY | {"period": 2}, "counted from boundsPeriod.start"),
    (DAILY | {"periodUnit": "mo"}, "counted from boundsPeriod.start"),
    (DAILY | {"period": 1.5}, "whole period"),
    (DAILY | {"period": 0}, "period lies between"),
    (DAILY | {"period": "1"}, "period is a number"),
    (DAILY | {"period": True}, "period is a number"),
    (DAILY | {"periodUnit": "days"}, "periodUnit is"),
    (DAILY | {"periodUnit": ["d"]}, "periodUnit is"),
    ({"period": 1, "timeOfDay": ["08:00:00"]}, "need each other"),
    (DAILY | {"frequency": 2}, "frequency 2 but"),
    (DAILY | {"frequency": 0}, "above 0"),
    (DAILY | {"frequencyMax": 2}, "frequencyMax"),
    (DAILY | {"periodMax": 2}, "periodMax"),
    (DAILY | {"count": 2}, "count needs a start"),
    (DAILY | START | {"count": 2, "countMax": 3}, "countMax"),
    (DAILY | {"timeOfDay": ["25:00:00"]}, "there is no 25:00:00"),
    (DAILY | {"timeOfDay": ["8:00"]}, "written 08:00:00"),
    (DAILY | {"timeOfDay": [8]}, "written 08:00:00"),
    (DAILY | {"timeOfDay": "08:00:00"}, "is a list"),
    (DAILY | {"timeOfDay": []}, "is a list"),
    (DAILY | {"timeofday": []}, "has no timeofday"),
    (DAILY | {"dayOfWeek": ["monday"]}, "mon to sun"),
    (DAILY | START | {"period": 2, "dayOfWeek": ["mon"]}, "does not fit"),
    (DAILY | START | {"periodUnit": "mo", "dayOfWeek": ["mon"]}, "does not fit"),
    ({"when": ["ACM"], "period": 1, "periodUnit": "d"}, "meals"),
    ({"when": ["ACM"], "offset": 30}, "meals"),
    (DAILY | {"boundsDuration": {"value": 10, "unit": "d"}}, "not from when"),
    (DAILY | {"boundsRange": {"low": {"value": 5, "unit": "d"}}}, "length open"),
    (DAILY | START | {"boundsDuration": {"value": 1, "unit": "d"}}, "stand together"),
    (DAILY | {"duration": 30}, "duration needs durationUnit"),
    (DAILY | {"duration": -1, "durationUnit": "min"}, "duration lies between"),
    (DAILY | {"durationMax": 1, "durationUnit": "h"}, "durationMax needs duration"),
    (DAILY | {"duration": 1, "durationUnit": "hours"}, "durationUnit is"),
    (DAILY | {"when": ["AC"]}, "cannot stand together"),
    (DAILY | {"offset": 30}, "offset needs when"),
    (DAILY | {"modifierExtension": [{"url": "u"}]}, "may change everything"),
    (DAILY | {"count": 0}, "above 0"),
    (DAILY | {"count": 2.5}, "above 0"),
    (DAILY | {"frequency": "1"}, "above 0"),
    ({"when": ["MORN"]}, "no meal"),
    ({"when": ["breakfast"]}, "no meal"),
    (DAILY | {"boundsPeriod": []}, "boundsPeriod has no|JSON object"),
    (DAILY | {"boundsPeriod": {"begin": "2026"}}, "has no begin"),
    (DAILY | {"boundsPeriod": {"start": "2026-02-30"}}, "there is no 2026-02-30"),
    (DAILY | {"boundsPeriod": {"start": "tomorrow"}}, "time with seconds|is a date"),
    (DAILY | {"boundsPeriod": {"start": "2026-03-01T08:00:00"}}, "offset"),
    (DAILY | {"boundsPeriod": {"start": "0001-01-01"}}, "outside"),
    (DAILY | {"boundsPeriod": {"start": "2026-03-02", "end": "2026-03-01"}}, "before"),
    (
        START | {"period": 8, "periodUnit": "h", "timeOfDay": ["08:00:00"]},
        "contradicts",
    ),
    (START | {"period": 8, "periodUnit": "h", "dayOfWeek": ["mon"]}, "contradicts"),
    (START | {"period": 0.5, "periodUnit": "s"}, "whole number of seconds"),
]


@pytest.mark.parametrize(("repeat", "why"), BAD, ids=[why for _, why in BAD])
def test_a_timing_that_leaves_a_choice_open_is_refused_in_one_line(
    expand: Expanded, repeat: Repeat, why: str
) -> None:
    code, lines, err = expand.text(json.dumps({"repeat": repeat}))

    assert (code, lines, err.count("\n")) == (2, [], 1)
    assert any(part in err for part in why.split("|"))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "{}",
        '{"repeat": []}',
        '{"repeat": null}',
        '{"code": {"text": "BID"}}',
        '{"event": []}',
        '{"event": ["2026-03-28"]}',
        '{"event": ["2026-03-28T08:00:00Z"], "repeat": {"timeOfDay": ["08:00:00"]}}',
        '{"repaet": {}}',
        '{"modifierExtension": [{}], "repeat": {"timeOfDay": ["08:00:00"]}}',
        '{"repeat": {"period": 1e999999, "periodUnit": "h"}}',
        '{"repeat": {"period": NaN, "periodUnit": "h"}}',
        "[" * 100_000,
        "\x00",
    ],
)
def test_what_is_no_timing_is_refused_in_one_line(expand: Expanded, text: str) -> None:
    code, lines, err = expand.text(text)

    assert (code, lines, err.count("\n")) == (2, [], 1)


@pytest.mark.parametrize(
    ("days", "zone", "why"),
    [
        ("2026-03-31 2026-03-28", LONDON, "lies after"),
        ("2026-03-32 2026-03-28", LONDON, "there is no"),
        ("20260328 2026-03-28", LONDON, "is a date like"),
        ("2026-03 2026-03-28", LONDON, "is a date like"),
        ("0001-01-01 2026-03-28", LONDON, "outside"),
        ("2026-03-28 2026-03-28", "London", "no time zone"),
    ],
)
def test_a_wrong_range_or_zone_is_refused(
    expand: Expanded, days: str, zone: str, why: str
) -> None:
    code, lines, err = expand.text(
        '{"repeat": {"timeOfDay": ["08:00:00"]}}', days, zone
    )

    assert (code, lines) == (2, [])
    assert why in err


def test_a_file_that_is_not_there_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = ["--from", "2026-03-28", "--to", "2026-03-28"]

    assert main(["expand", str(tmp_path / "no.json"), "--zone", LONDON, *days]) == 2
    assert "cannot read" in capsys.readouterr().err


def test_expand_reads_standard_input_as_a_command() -> None:
    days = ["--from", "2026-03-28", "--to", "2026-03-29"]
    done = subprocess.run(
        [sys.executable, "-m", "backend", "expand", "-", "--zone", LONDON, *days],
        input='{"repeat": {"timeOfDay": ["01:30:00"]}}',
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "2026-03-28T01:30:00Z\n2026-03-29T01:00:00Z\n"
