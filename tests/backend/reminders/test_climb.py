"""When rungs go: inside the window, in their order, not in quiet hours."""

from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.errors import Unprocessable
from backend.reminders.climb import (
    Due,
    Hold,
    Rung,
    place,
    rungs,
    snooze_until,
)
from backend.reminders.ladder import default_ladder, ladder_of, to_json
from backend.reminders.quiet import Quiet, checked

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
NONE = timedelta(0)
ZURICH = ZoneInfo("Europe/Zurich")
DUE = datetime(2026, 3, 4, 7, tzinfo=UTC)  # 08:00 in Zurich
NIGHT = Quiet(time(22), time(7), ZURICH)
CRITICAL = default_ladder("critical").steps
STEP: dict[str, object] = {"minutes": 30, "channel": "sms", "recipient": "patient"}
MINUTES = st.integers(0, 24 * 60)


def a_dose(at: datetime = DUE, *, window: timedelta = 4 * HOUR, **more: object) -> Due:
    return Due(at, at + window, **more)  # pyright: ignore[reportArgumentType]


def minutes(climbed: list[Rung], at: datetime = DUE) -> dict[str, float]:
    return {one.step.rung: (one.at - at) / MINUTE for one in climbed if not one.silent}


@pytest.mark.parametrize(
    ("window", "delay", "expected"),
    [(240, 30, 30), (30, 30, 15), (10, 30, 5), (31, 30, 30)],
)
def test_a_single_step_never_lies_outside_the_window(
    window: int, delay: int, expected: int
) -> None:
    assert place([delay * MINUTE], window * MINUTE) == [expected * MINUTE]


def test_the_ladder_of_a_critical_drug_climbs_from_nudge_to_worklist() -> None:
    assert minutes(rungs(CRITICAL, a_dose())) == {
        "nudge": -15,
        "late": 15,
        "call": 30,
        "caregiver": 45,
        "clinic": 60,
    }


def test_steps_that_do_not_fit_share_what_is_left_of_the_window() -> None:
    climbed = rungs(CRITICAL, a_dose(window=40 * MINUTE))

    assert minutes(climbed) == pytest.approx(
        {
            "nudge": -15,
            "late": 15,
            "call": 30,
            "caregiver": 30 + 10 / 3,
            "clinic": 36.7,
        },
        abs=0.1,
    )


def test_a_window_that_closes_with_the_dose_leaves_the_nudge_alone() -> None:
    climbed = rungs(CRITICAL, a_dose(window=NONE))

    assert minutes(climbed) == {"nudge": -15}
    assert climbed[0].valid_until == DUE


def test_a_prescribers_delay_moves_the_rungs_after_the_dose_together() -> None:
    steps = default_ladder("critical", HOUR).steps

    assert minutes(rungs(steps, a_dose())) == {
        "nudge": -15,
        "late": 60,
        "call": 75,
        "caregiver": 90,
        "clinic": 105,
    }


def test_a_snooze_holds_every_rung_after_it_and_comes_back_when_it_ends() -> None:
    hold = Hold(DUE + 20 * MINUTE, DUE + 50 * MINUTE)

    assert minutes(rungs(CRITICAL, a_dose(holds=(hold,)))) == {
        "nudge": -15,
        "late": 15,
        "again-1": 50,
        "call": 60,
        "caregiver": 75,
        "clinic": 90,
    }


def test_a_snooze_near_the_end_of_a_window_lets_no_rung_slip_before_its_end() -> None:
    window, standard = 45 * MINUTE, default_ladder("standard").steps
    hold = Hold(DUE, DUE + 35 * MINUTE)

    climbed = rungs(standard, a_dose(window=window, holds=(hold,)))

    assert minutes(climbed) == {"again-1": 35, "late": 40}


def test_a_second_snooze_takes_the_place_of_the_first_ones_word() -> None:
    first = Hold(DUE + 20 * MINUTE, DUE + 50 * MINUTE)
    second = Hold(DUE + 40 * MINUTE, DUE + 100 * MINUTE)

    climbed = minutes(rungs(CRITICAL, a_dose(holds=(first, second))))

    assert "again-1" not in climbed
    assert (climbed["again-2"], climbed["call"]) == (100, 120)


@pytest.mark.parametrize(
    ("left", "asked", "expected"), [(240, 30, 30), (30, 30, 20), (5, 30, 0)]
)
def test_a_snooze_ends_inside_the_window(left: int, asked: int, expected: int) -> None:
    assert snooze_until(DUE, asked, DUE + left * MINUTE) == DUE + expected * MINUTE


def test_what_falls_into_quiet_hours_waits_for_their_end() -> None:
    six = DUE - 2 * HOUR  # 06:00, reminded of at 06:30

    climbed = rungs(default_ladder("standard").steps, a_dose(six, quiet=NIGHT))

    assert minutes(climbed, six) == {"late": 60}
    assert climbed[0].moved == "quiet hours"


def test_what_quiet_hours_outlast_is_silent_and_the_worklist_still_hears_of_it() -> (
    None
):
    late = DUE + 14 * HOUR  # 22:00

    climbed = rungs(default_ladder("high").steps, a_dose(late, quiet=NIGHT))

    silent = {one.step.rung: one.silent for one in climbed if one.silent}
    assert silent == {"late": "quiet hours", "call": "quiet hours"}
    assert minutes(climbed, late) == {"nudge": -15, "clinic": 120}


def test_a_worklist_waits_for_the_patient_to_be_asked() -> None:
    five = DUE - 3 * HOUR
    steps = default_ladder("high").steps

    climbed = rungs(steps, a_dose(five, quiet=NIGHT))

    assert minutes(climbed, five) == {"late": 120, "call": 150, "clinic": 150}


def test_habit_moves_what_the_patient_is_told_and_nothing_across_the_dose() -> None:
    later = minutes(rungs(CRITICAL, a_dose(shift=25 * MINUTE)))
    earlier = minutes(rungs(CRITICAL, a_dose(shift=-25 * MINUTE)))

    assert (later["nudge"], later["late"], later["clinic"]) == (-1, 40, 60)
    assert (earlier["nudge"], earlier["late"], earlier["clinic"]) == (-40, 5, 60)


def test_a_step_at_the_dose_itself_goes_with_it_and_dies_soon_after() -> None:
    steps = ladder_of([{**STEP, "minutes": 0}, STEP], "regimen/1").steps

    first, _ = rungs(steps, a_dose())

    assert [step.rung for step in steps] == ["nudge", "late"]
    assert (first.at, first.valid_until) == (DUE, DUE + 15 * MINUTE)


@given(
    st.sampled_from(["standard", "high", "critical"]),
    st.integers(0, 48 * 60),
    MINUTES,
    st.lists(st.tuples(st.integers(-20, 600), st.integers(1, 240)), max_size=4),
    st.booleans(),
    st.integers(-60, 60),
)
def test_rungs_climb_inside_the_window_and_out_of_quiet_hours(
    criticality: str,
    at: int,
    window: int,
    snoozes: list[tuple[int, int]],
    quiet: bool,  # noqa: FBT001
    shift: int,
) -> None:
    due = DUE + at * MINUTE
    until = due + window * MINUTE
    holds = [
        Hold(said, snooze_until(said, length, until))
        for minute, length in sorted(snoozes)
        if (said := due + minute * MINUTE) < until
    ]
    dose = Due(
        due,
        until,
        tuple(hold for hold in holds if hold.until > hold.said_at),
        NIGHT if quiet else None,
        shift * MINUTE,
    )

    climbed = rungs(default_ladder(criticality).steps, dose)

    going = [one for one in climbed if one.silent is None]
    assert all(one.at < one.valid_until <= max(until, due) for one in going)
    assert all(before.at <= after.at for before, after in pairwise(going))
    assert len({one.step.rung for one in climbed}) == len(climbed)
    for one in going:
        for hold in dose.holds[-1:]:  # a later word takes the place of an earlier
            assert not hold.said_at < one.at < hold.until
        loud = one.step.recipient == "clinic" or one.step.rung.startswith("again")
        held = one.moved == "snoozed"
        assert not quiet or loud or held or NIGHT.span_at(one.at) is None
    assert rungs(default_ladder(criticality).steps, dose) == climbed


@given(st.integers(0, 16 * 365 * 24 * 60), st.booleans())
def test_quiet_hours_begin_and_end_once_a_day_in_every_zone(
    minute: int,
    south: bool,  # noqa: FBT001
) -> None:
    zone = ZoneInfo("Australia/Lord_Howe" if south else "Europe/Zurich")
    quiet = Quiet(time(22), time(2, 30), zone)
    at = datetime(2020, 1, 1, tzinfo=UTC) + minute * MINUTE

    start = quiet.next_start(at)
    span = quiet.span_at(start)

    assert at < start <= at + 26 * HOUR
    assert span is not None
    assert span[0] == start
    assert 3 * HOUR <= span[1] - span[0] <= 6 * HOUR
    assert quiet.span_at(span[1]) is None


def test_quiet_hours_end_at_the_first_instant_after_a_gap_and_once_in_a_fold() -> None:
    quiet = Quiet(time(22), time(2, 30), ZURICH)
    spring = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 02:30 is skipped that night
    autumn = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # 02:30 is shown twice

    assert quiet.span_at(spring) == (
        datetime(2026, 3, 28, 21, tzinfo=UTC),
        datetime(2026, 3, 29, 1, tzinfo=UTC),
    )
    assert quiet.span_at(autumn) == (
        datetime(2026, 10, 24, 20, tzinfo=UTC),
        datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
    )
    assert quiet.span_at(autumn + HOUR) is None


def test_quiet_hours_are_some_and_not_the_whole_day() -> None:
    checked(time(22), time(7))
    for since, until in ((time(22), time(22)), (time(8), time(7))):
        with pytest.raises(Unprocessable, match="up to 14 hours"):
            checked(since, until)


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([], "1 to 8 steps"),
        ([STEP] * 9, "1 to 8 steps"),
        ([STEP] * 4, "at most 3 steps of a kind"),
        ([STEP, {**STEP, "minutes": 20}], "order in which"),
        ([{**STEP, "minutes": "30"}], "how many minutes"),
        ([{**STEP, "minutes": 2000}], "24 after"),
        ([{**STEP, "recipient": "neighbour"}], "one of patient"),
        ([{**STEP, "channel": "worklist"}], "reached by sms or"),
        ([{**STEP, "recipient": "caregiver", "minutes": -5}], "Only the patient"),
    ],
)
def test_what_is_no_ladder_is_refused(steps: list[dict[str, object]], why: str) -> None:
    with pytest.raises(Unprocessable, match=why):
        ladder_of(steps, "regimen/1")


@pytest.mark.parametrize("criticality", ["standard", "high", "critical"])
def test_a_ladder_is_stored_and_read_back(criticality: str) -> None:
    ladder = default_ladder(criticality)

    assert ladder_of(to_json(ladder), ladder.origin) == ladder


def test_steps_of_a_kind_are_numbered() -> None:
    ladder = ladder_of([STEP, {**STEP, "minutes": 60}], "regimen/1")

    assert [step.rung for step in ladder.steps] == ["late", "late-2"]
