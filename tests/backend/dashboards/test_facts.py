"""The numbers of a finding in words that a clinician understands."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from analytics.detectors import DETECTORS, Finding, History
from analytics.findings import HEART_RATE, Contact, DoseOutcome, Outcome
from analytics.simulated_heart_rate import HeartRate, heart_rate_minutes
from backend.dashboards.facts import WORDS, facts_of, limits_of
from backend.dashboards.views import Fact

DAY = timedelta(days=1)
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
START = NOW - 25 * DAY
FOUND: Mapping[str, History] = {
    "missed_run": History(
        doses=[DoseOutcome("r", NOW - n * DAY, Outcome.MISSED) for n in range(3)]
    ),
    "silence": History(contacts=[Contact("box", START, None)]),
    "resting_heart_rate": History(
        series={
            HEART_RATE: heart_rate_minutes(
                START,
                NOW,
                heart=HeartRate(
                    base=66, sleep=56, drift=0.5, wear=1.0, steps=((NOW - 3 * DAY, 15),)
                ),
                seed=2,
            )
        }
    ),
}


def found(name: str) -> Finding:
    [finding] = DETECTORS[name].detect(FOUND[name], NOW)
    return finding


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_every_fact_that_a_detector_gives_has_words(name: str) -> None:
    finding = found(name)

    given = {"since", "at", *finding.numbers, *finding.parameters}

    assert given - set(WORDS[finding.code]) == set()


def test_what_is_said_of_a_device_without_a_time_has_words() -> None:
    box = Contact("box", START, NOW, undated=1, undated_since=START)
    [finding] = DETECTORS["silence"].detect(History(contacts=[box]), NOW)

    assert finding.numbers.keys() <= WORDS[finding.code].keys()


def test_a_change_of_heart_rate_is_told_with_its_units() -> None:
    finding: dict[str, object] = {
        "code": "resting-heart-rate-changed",
        "subject": HEART_RATE,
        "since": "2026-03-30T10:00:00+00:00",
        "numbers": {"resting": 71.04, "own_sd": 2.1, "nights_in_baseline": 1.0},
        "parameters": {"population_weeks": 40.0},
    }

    assert facts_of(finding, "Europe/Zurich") == (
        Fact("The day before ended", "Mon 30 Mar 12:00"),
        Fact("Resting heart rate of the latest day", "71 /min"),
        Fact("One SD of this person, week to week", "2.1 /min"),
        Fact("Baseline is made of", "1 day"),
    )
    assert limits_of(finding, "UTC") == (
        Fact("Which counts as much as", "40 weeks of one's own"),
    )


def test_a_rule_that_is_no_detector_is_told_as_well() -> None:
    short: dict[str, object] = {"code": "run-out", "run_out_on": "2026-03-09"}
    other: dict[str, object] = {"code": "x", "some_count": 3, "nobody": None}

    assert facts_of(short, "UTC") == (Fact("Stock ends on", "Mon 9 Mar"),)
    assert facts_of(other, "UTC") == (Fact("Some count", "3"),)
