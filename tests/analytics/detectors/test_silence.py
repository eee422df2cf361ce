from datetime import UTC, datetime, timedelta

import pytest

from analytics.detectors.silence import detect
from analytics.findings import Contact, History
from analytics.records import Period

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONG_AGO = NOW - 1000 * HOUR


@pytest.mark.parametrize(
    ("heard_h", "every_h", "silent"),
    [
        (47, 1, False),
        (48, 1, True),
        (48, 24, False),  # two of three expected contacts
        (72, 24, True),
        (400, 168, False),
        (None, 1, True),
    ],
)
def test_is_silent_after_two_days_and_three_contacts(
    heard_h: int | None, every_h: int, *, silent: bool
) -> None:
    heard = None if heard_h is None else NOW - heard_h * HOUR
    contact = Contact("box", LONG_AGO, heard, every_h * HOUR)

    assert bool(detect(History(contacts=[contact]), NOW)) == silent


def test_a_device_just_handed_out_has_time_to_speak() -> None:
    new = Contact("box", NOW - 47 * HOUR, None)
    reissued = Contact("box", NOW - 47 * HOUR, LONG_AGO)

    assert detect(History(contacts=[new, reissued]), NOW) == []


@pytest.mark.parametrize(
    ("start_h", "until_h", "silent"),
    [(60, None, False), (60, 10, False), (90, 50, True), (-1, None, True)],
)
def test_time_that_nobody_monitored_does_not_count(
    start_h: int, until_h: int | None, *, silent: bool
) -> None:
    contact = Contact("box", LONG_AGO, NOW - 80 * HOUR)
    until = None if until_h is None else NOW - until_h * HOUR
    history = History(
        contacts=[contact], non_monitored=[Period(NOW - start_h * HOUR, until)]
    )

    assert bool(detect(history, NOW)) == silent


def test_a_device_whose_latest_records_have_no_time_says_nothing_to_go_by() -> None:
    heard = Contact("box", LONG_AGO, NOW, undated=3, undated_since=NOW - 5 * HOUR)
    silent = Contact("pen", LONG_AGO, NOW - 60 * HOUR, undated=1, undated_since=NOW)

    found = detect(History(contacts=[heard, silent]), NOW)

    assert [one.subject for one in found] == ["box", "pen"]  # one each
    assert found[0].summary == (
        "Device's clock cannot be believed: 3 records have no time"
    )
    assert (found[0].since, found[0].numbers["undated"]) == (NOW - 5 * HOUR, 3)
    assert "silent_hours" in found[1].numbers


def test_says_what_decided() -> None:
    [found] = detect(History(contacts=[Contact("box", LONG_AGO, NOW - 60 * HOUR)]), NOW)

    assert found.numbers["silent_hours"] == 60
    assert found.numbers["contacts_missed"] == 60
    assert found.since == NOW - 60 * HOUR
    assert found.parameters["at_least_hours"] == 48
