"""A cohort's people, phase by phase, on lives that can be counted by hand."""

from datetime import date, timedelta
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.dose_days import Day
from analytics.adherence.emerge import ITEMS, Setting, emerge
from analytics.adherence.people import Findings, Life, Spread, findings

FIRST = date(2026, 3, 2)
DAY = timedelta(days=1)


def a_life(days: str, *, timed: bool = False) -> Life:
    """One dose a day: x taken, . missed, ? unknown, - none due."""
    rows = [
        Day(
            FIRST + n * DAY,
            int(mark == "x"),
            0,
            int(mark == "x"),
            1,
            mark == "?",
            None if mark == "?" else mark == "x",
        )
        for n, mark in enumerate(days)
        if mark != "-"
    ]
    ones = [1] * len(rows) if timed else []
    return Life(rows, ones, [row.corrected for row in rows] if timed else [])


def of(found: Findings, name: str) -> Spread:
    return next(spread for spread in found.implementation if spread.name == name)


def test_phases_of_four_people() -> None:
    found = findings(
        [
            a_life("x" * 60),
            a_life("..x" + "x" * 9 + "." * 48),  # begins on day 2, stops after day 11
            a_life("." * 40),  # never begins
            a_life("x?" * 30),  # every other day unknown
        ],
        draws=50,
    )

    assert (found.people, found.initiated, found.discontinued) == (4, 3, 1)
    assert found.days_to_first_dose.mean == pytest.approx(2 / 3)
    # missed days after the last dose are no implementation
    assert of(found, "taking adherence, capped").mean == 1.0
    assert found.counts.doses == 60 + 10 + 30
    assert found.counts.unknown_days == 30
    assert found.curves is not None
    # of the two at risk on day 10 one stops
    assert found.curves.persistence.value[9] == 1.0
    assert found.curves.persistence.value[10] == pytest.approx(0.5)
    assert found.initiation is not None
    assert found.initiation.value[[0, 1, 2]].tolist() == [0.5, 0.5, 0.75]


def test_a_day_on_which_nothing_is_due_is_no_miss_and_no_gap() -> None:
    found = findings([a_life("x------" * 10)], draws=50)

    assert found.discontinued == 0
    assert of(found, "correct dosing days").mean == 1.0
    assert found.counts.monitored_days == 10


def test_timing_is_of_known_days_alone() -> None:
    late = a_life("xxxx", timed=True)
    life = Life(late.days, [1, 1, 1, 1], [1, 0, 1, 1])

    assert of(findings([life], draws=9), "timing adherence, window").mean == 0.75


def test_of_nobody_nothing_is_said() -> None:
    found = findings([])

    assert found.curves is None
    assert found.people == 0
    assert found.days_to_first_dose.mean is None


def test_curves_are_cut_where_they_are_shown() -> None:
    found = findings([a_life("x" * 90)], days=30, draws=9)

    assert found.curves is not None
    assert len(found.curves.adherence.value) == 30
    assert not isnan(found.curves.adherence.value[-1])


@given(st.lists(st.text("x.?", min_size=1, max_size=80), max_size=6), st.randoms())
def test_the_order_of_people_changes_no_count(lives: list[str], random: object) -> None:
    one = findings([a_life(days) for days in lives], draws=9)
    other = findings([a_life(days) for days in reversed(lives)], draws=9)

    assert one.counts == other.counts
    assert one.people >= one.initiated >= one.discontinued
    assert (one.initiated, one.discontinued) == (other.initiated, other.discontinued)
    for spread in one.implementation:
        mean = of(other, spread.name).mean
        assert spread.mean == (mean if mean is None else pytest.approx(mean))


def test_the_report_fills_in_the_four_criteria_and_leaves_the_rest_to_its_author() -> (
    None
):
    lives = [a_life("x" * 60), a_life("x.x" * 20), a_life("." * 40)]
    report = emerge(
        findings(lives, draws=50),
        Setting("Adherence", ("examplinib",), ("Acme Box",), {"box opened": 100}),
    )

    assert [item.number for item in report.criteria] == ["M1", "M2", "M3", "M4"]
    assert all(item.says and not item.author for item in report.criteria)
    assert len(report.items) == len(ITEMS) == 17
    assert all(item.says or item.author for item in report.items)
    results = " ".join(report.criteria[3].says)
    assert "2 of 3 people took a first dose" in results
    assert "taking adherence, capped: mean 83.3\u00a0%" in results
    assert "0 of 2 who began were seen to stop" in results
    assert "100 box opened" in " ".join(report.criteria[2].says)
