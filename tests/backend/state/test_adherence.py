"""The figures of adherence in the state row: those that the API computes when asked."""

from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.adherence.dose_days import Day, dose_day
from analytics.adherence.electronic_monitoring import drug_holidays, taking_adherence
from backend.doses.days import OPEN, TAKEN
from backend.state.adherence import LOOK_BACK, Dosed, figures

TODAY = date(2026, 4, 15)
DAY = timedelta(days=1)
LABELS = ("on_time", "taken_late", "missed", "unknown", "late", "pending")
REGIMENS = tuple(map(UUID, (f"{n:032}" for n in range(2))))

doses = st.builds(
    Dosed,
    st.sampled_from(REGIMENS),
    st.integers(-2, 34).map(lambda back: TODAY - back * DAY),
    st.just("UTC"),
    st.sampled_from(LABELS),
)
extras = st.dictionaries(
    st.sampled_from(REGIMENS),
    st.lists(
        st.integers(-48, 34 * 24).map(
            lambda hours: (
                datetime.combine(TODAY, time(12), UTC) - timedelta(hours=hours)
            )
        ),
        max_size=4,
    ),
)


def a_run(marks: str) -> list[Dosed]:
    """One dose a day, the last yesterday: x taken, . missed, ? unknown, o open."""
    said = {"x": "on_time", ".": "missed", "?": "unknown", "o": "late"}
    first = TODAY - len(marks) * DAY
    return [
        Dosed(REGIMENS[0], first + n * DAY, "UTC", said[mark])
        for n, mark in enumerate(marks)
        if mark != "-"
    ]


@given(st.lists(doses, max_size=60), extras)
def test_they_are_what_the_measures_say_of_the_same_days(
    scheduled: list[Dosed], unscheduled: dict[UUID, list[datetime]]
) -> None:
    got = figures(scheduled, unscheduled, today=TODAY, ever=True)

    days = [days_of(regimen, scheduled, unscheduled) for regimen in REGIMENS]
    measures = [taking_adherence(each) for each in days]
    settled = {day.day for each in days for day in each}
    unseen = {day.day for each in days for day in each if day.non_monitored}
    assert got["taken"] == sum(measure.numerator for measure in measures)
    assert got["expected"] == sum(measure.denominator for measure in measures)
    assert got["unknown_days"] == len(unseen)
    assert got["known_days"] == len(settled - unseen)


def days_of(
    regimen: UUID, scheduled: list[Dosed], unscheduled: dict[UUID, list[datetime]]
) -> list[Day]:
    by_day: defaultdict[date, list[str]] = defaultdict(list)
    for dose in scheduled:
        if dose.regimen_id == regimen and 0 < (TODAY - dose.day).days <= LOOK_BACK:
            by_day[dose.day].append(dose.label)
    days: list[Day] = []
    for day, labels in sorted(by_day.items()):
        if OPEN.intersection(labels):
            continue
        taken = sum(label in TAKEN for label in labels)
        taken += sum(dose_day(at, UTC) == day for at in unscheduled.get(regimen, ()))
        unseen = "unknown" in labels
        days.append(Day(day, taken, 0, taken, len(labels), unseen, None))
    return days


@given(st.text("x.?", min_size=1, max_size=LOOK_BACK))
def test_the_longest_gap_is_the_longest_run_of_known_days_without_a_dose(
    marks: str,
) -> None:
    run = a_run(marks)
    holidays = drug_holidays(days_of(REGIMENS[0], run, {}), at_least=1)
    lengths = [(one.last_day - one.first_day).days + 1 for one in holidays]

    got = figures(run, {}, today=TODAY, ever=True)

    assert got["longest_gap_d"] == max(lengths, default=0)


@pytest.mark.parametrize(
    ("marks", "ever", "phase"),
    [
        ("." * 29 + "x", True, "taking"),
        ("." * 30, True, "stopped"),
        ("." * 30, False, "not_started"),
        ("." * 29 + "?", True, "unknown"),
        ("." * 29 + "o", True, "unknown"),
        ("", True, "none_due"),
        ("x" + "." * 30, True, "stopped"),  # the dose lies before the days looked at
        ("------.", True, "stopped"),  # known: nothing was due on the other days
    ],
)
def test_the_phase_of_somebody(marks: str, *, ever: bool, phase: str) -> None:
    assert figures(a_run(marks), {}, today=TODAY, ever=ever)["phase"] == phase


def test_a_dose_of_today_says_that_it_goes_on() -> None:
    today = Dosed(REGIMENS[0], TODAY, "UTC", "on_time")

    got = figures([*a_run("." * 30), today], {}, today=TODAY, ever=True)

    assert got["phase"] == "taking"
    assert (got["taken"], got["expected"]) == (0, 30)
