from datetime import UTC, datetime, timedelta

import pytest

from analytics.detectors import DETECTORS, Finding, History
from analytics.detectors.missed_run import detect, longest_run
from analytics.findings import DoseOutcome, Outcome

NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
WORDS = {
    "t": Outcome.TAKEN,
    "m": Outcome.MISSED,
    "u": Outcome.UNKNOWN,
    "p": Outcome.PENDING,
}


def run(pattern: str, *, ago_days: int = 0) -> list[Finding]:
    """Daily doses in order of time, the last one `ago_days` before NOW."""
    last = NOW - timedelta(days=ago_days)
    doses = [
        DoseOutcome("regimen", last - timedelta(days=n), WORDS[word])
        for n, word in enumerate(reversed(pattern))
    ]
    return detect(History(doses=doses), NOW)


@pytest.mark.parametrize(
    ("pattern", "missed", "between", "since"),
    [
        ("tmmm", 3, 0, 0),
        ("mmmmm", 5, 0, 0),
        ("tmumm", 3, 1, 0),
        ("tmmmuup", 3, 0, 2),
        ("mtmmmp", 3, 0, 0),
    ],
)
def test_counts_the_missed_and_says_how_many_are_unknown(
    pattern: str, missed: int, between: int, since: int
) -> None:
    [found] = run(pattern)

    assert found.numbers["missed"] == missed
    assert found.numbers["unknown_between"] == between
    assert found.numbers["unknown_since"] == since


@pytest.mark.parametrize("pattern", ["", "tmm", "mmmt", "uuuu", "mumu", "mmtm"])
def test_is_quiet_without_three_known_misses_up_to_now(pattern: str) -> None:
    assert run(pattern) == []


def test_a_run_of_long_ago_raises_nothing() -> None:
    assert run("mmm", ago_days=7)
    assert run("mmm", ago_days=8) == []


@pytest.mark.parametrize(
    ("pattern", "length"),
    [("", 0), ("mmtm", 2), ("tmummp", 3), ("mmmtt", 3), ("uu", 0)],
)
def test_the_longest_run_is_counted_between_doses_taken(
    pattern: str, length: int
) -> None:
    doses = [
        DoseOutcome("regimen", NOW + timedelta(days=n), WORDS[word])
        for n, word in enumerate(pattern)
    ]

    assert longest_run(list(reversed(doses))) == length


def test_each_regimen_is_judged_alone() -> None:
    doses = [
        DoseOutcome(subject, NOW - timedelta(days=n), Outcome.MISSED)
        for subject, count in (("a", 2), ("b", 3))
        for n in range(count)
    ]

    assert [found.subject for found in detect(History(doses=doses), NOW)] == ["b"]


def test_every_detector_file_is_found() -> None:
    assert {"missed_run", "resting_heart_rate", "silence"} <= set(DETECTORS)
    codes = [detector.code for detector in DETECTORS.values()]
    assert len(set(codes)) == len(codes)
