"""How the list and the patient's page say the figures of adherence of a state row."""

import re

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, update

from backend.dashboards.views import Share
from backend.dashboards.words import taken_share, taking
from backend.database import transaction
from backend.state.tables import PatientState
from tests.backend.dashboards.clinic import Clinic, signed_in

FIGURES: dict[str, object] = {
    "days": 30,
    "last_day": "2026-03-03",
    "expected": 21,
    "taken": 18,
    "known_days": 21,
    "unknown_days": 9,
    "longest_gap_d": 3,
    "phase": "taking",
}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, Share("86 % taken", "18 of 21 doses in 30 days, 9 unknown days")),
        (
            {"unknown_days": 1},
            Share("86 % taken", "18 of 21 doses in 30 days, 1 unknown day"),
        ),
        (
            {"taken": 0, "unknown_days": 0, "phase": "stopped"},
            Share("0 % taken", "0 of 21 doses in 30 days", "seems to have stopped"),
        ),
        (
            {"expected": 0, "taken": 0, "unknown_days": 0, "phase": "none_due"},
            Share("No dose was due in the last 30 days"),
        ),
        (
            {"expected": 0, "taken": 0, "unknown_days": 30, "phase": "unknown"},
            Share(
                "No dose is known yet of the last 30 days",
                "30 unknown days",
                "whether doses are taken is not known",
            ),
        ),
    ],
    ids=["share", "one unknown day", "none taken", "none due", "nothing known"],
)
def test_the_list_says_value_window_counts_and_what_is_unknown(
    changed: dict[str, object], said: Share
) -> None:
    assert taken_share({**FIGURES, **changed}) == said


def test_no_figure_is_said_to_be_none() -> None:
    assert taken_share({}) == Share("No figure yet")
    assert taking({}) == ""


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_hundred_per_cent_are_all_doses_and_nought_is_none(
    counts: tuple[int, int],
) -> None:
    taken, expected = counts

    value = taken_share({**FIGURES, "taken": taken, "expected": expected}).value

    percent = int(value.removesuffix(" % taken"))
    assert (percent == 100) is (taken == expected)
    assert (percent == 0) is (taken == 0)
    assert abs(percent - 100 * taken / expected) <= 1


def test_a_patients_page_does_not_count_none_of_none() -> None:
    none_due = {**FIGURES, "expected": 0, "taken": 0, "unknown_days": 0}

    said = taking({**none_due, "longest_gap_d": 0, "phase": "none_due"})

    assert said == "No dose was due in the last 30 days."


def test_the_list_shows_each_patients_figure_or_that_there_is_none(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        keep(session, {})
    with signed_in(web, clinic.clinician) as browser:
        assert taken_in(browser.get("/patients").text) == ["No figure yet"]

        with transaction() as session:
            keep(session, FIGURES)

        assert taken_in(browser.get("/patients").text) == [
            "86 % taken: 18 of 21 doses in 30 days, 9 unknown days"
        ]


def keep(session: Session, adherence: dict[str, object]) -> None:
    session.exec(update(PatientState).values(adherence=adherence))


def taken_in(page: str) -> list[str]:
    """Return what each row of a list says of doses taken, without its markup."""
    found = re.findall(r'<p class="row-taken">(.+?)</p>', page)
    return [re.sub(r"<[^>]+>", "", one) for one in found]
