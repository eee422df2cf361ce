import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.adherence.persistence import (
    Cohort,
    initiation,
    kaplan_meier,
    persistence,
    phases,
    standard_error,
)


def cohort(*rows: str) -> Cohort:
    """One letter a day: 1 taken, 0 not, ? unknown."""
    cells = [list(row) for row in rows]
    taken = np.array([[c == "1" for c in row] for row in cells])
    known = np.array([[c != "?" for c in row] for row in cells])
    return Cohort.daily(taken, known)


# Remission of 21 leukaemia patients on 6-MP, weeks; + is censored (Freireich 1963)
WEEKS = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


def test_kaplan_meier_has_the_values_of_the_books() -> None:
    """Cox and Oakes 1984, table 1.1; Greenwood's errors as in Kleinbaum and Klein."""
    duration = np.array([*WEEKS, *CENSORED])
    ended = np.array([True] * len(WEEKS) + [False] * len(CENSORED))

    got = kaplan_meier(duration, ended, 36, transform="plain")

    at = [6, 7, 10, 13, 16, 22, 23]
    want = [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    assert got.value[at] == pytest.approx(want, abs=5e-4)
    assert got.people[at].tolist() == [21, 17, 15, 12, 11, 7, 6]
    error = (got.value - got.low)[at] / 1.959964
    assert error[:2] == pytest.approx([0.0764, 0.0869], abs=5e-5)
    assert got.first_at_most(0.5) == 23
    assert got.parameters["variance"] == "Greenwood"


def test_the_log_log_band_stays_between_none_and_all() -> None:
    duration, ended = np.array([5, 9, 9, 9]), np.array([True, False, False, False])

    got = kaplan_meier(duration, ended, 10)

    assert got.value.tolist() == [1] * 5 + [0.75] * 5
    assert (got.low[5] > 0) & (got.low[5] < 0.75) & (got.high[5] < 1)
    assert got.low[4] == got.high[4] == 1
    with pytest.raises(ValueError, match="log-log or plain"):
        kaplan_meier(duration, ended, 10, transform="arcsine")


def test_who_stays_without_a_dose_up_to_the_end_has_stopped_after_the_last() -> None:
    got = phases(cohort("1101000", "1101011", "1000111", "1111111"), gap=3)

    assert got.discontinued.tolist() == [True, False, False, False]
    assert got.last_dose.tolist() == [3, 6, 6, 6]
    # beyond day 4 nobody can be seen to have stopped
    assert got.duration.tolist() == [4, 4, 4, 4]
    assert got.engaged(7)[0].tolist() == [True] * 4 + [False] * 3
    assert got.engaged(7)[1].tolist() == [True] * 5 + [False] * 2


def test_days_that_nobody_saw_are_no_sign_of_stopping() -> None:
    got = phases(cohort("1100??0", "1100000", "11?????"), gap=4)

    assert got.discontinued.tolist() == [False, True, False]
    assert got.duration.tolist() == [1, 2, 0]


def test_a_cohort_begins_with_a_dose() -> None:
    with pytest.raises(ValueError, match="everybody took one"):
        cohort("011")
    with pytest.raises(ValueError, match="one shape"):
        Cohort(np.ones((2, 3), int), np.ones((2, 4), int), np.ones((2, 3), bool))
    with pytest.raises(ValueError, match="a gap of 1 day"):
        phases(cohort("11"), gap=0)


rows = st.integers(1, 25).flatmap(
    lambda days: st.lists(
        st.text("01?", min_size=days, max_size=days).map(lambda row: "1" + row),
        min_size=1,
        max_size=8,
    )
)


@given(rows, st.integers(1, 6))
@settings(max_examples=80)
def test_phases_are_what_one_reads_off_each_row(table: list[str], gap: int) -> None:
    got = phases(cohort(*table), gap=gap)

    for row, last, duration, stopped in zip(
        table, got.last_dose, got.duration, got.discontinued, strict=True
    ):
        assert last == row.rindex("1")
        dose_free = sum(c != "?" for c in row[last + 1 :])
        assert stopped == (dose_free >= gap)
        if stopped:
            assert duration == last + 1
        else:
            assert duration <= last


@given(rows)
@settings(max_examples=40)
def test_the_curve_falls_and_lies_in_its_band(table: list[str]) -> None:
    got = persistence(cohort(*table), gap=2)

    known = np.isfinite(got.value)
    assert (np.diff(got.value[known]) <= 0).all()
    assert (got.low <= got.value + 1e-12)[known].all()
    assert (got.value <= got.high + 1e-12)[known].all()
    assert (np.diff(got.people) <= 0).all()


def test_initiation_counts_those_who_never_began() -> None:
    got = initiation([0, 0, 3, None], [10, 10, 10, 2])

    assert got.value[[0, 2, 3]].tolist() == [0.5, 0.5, 1.0]
    assert got.people[[0, 1, 3]].tolist() == [4, 2, 1]
    assert (got.low <= got.value).all()
    assert got.name == "initiation"


def test_the_error_of_a_share_is_binomial() -> None:
    assert standard_error(0.5, 100) == 0.05
