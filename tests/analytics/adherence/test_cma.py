"""Values that say what they rest on, and windows of single cases."""

from collections.abc import Sequence

import numpy as np
import pytest

from analytics.adherence.cma import Cma, Reason, cma
from analytics.adherence.dispensing import CarryOver, Dispensings, Plan
from analytics.adherence.episodes import EpisodeRule, episodes, per_episode
from analytics.adherence.lengths import Length, Unit
from analytics.adherence.sliding import Slide, sliding


def one(*events: tuple[float, float], **columns: Sequence[float]) -> Dispensings:
    """Return one patient's events as (day, supply)."""
    day, supply = np.array(events, dtype=float).T
    codes = columns.get("medication")
    doses = columns.get("daily_dose")
    return Dispensings.of(
        np.zeros(len(day), dtype=np.int64),
        day,
        supply,
        medication=None if codes is None else np.array(codes, dtype=np.int64),
        daily_dose=None if doses is None else np.array(doses),
    )


def test_a_cohort_has_a_mean_with_its_interval_and_who_is_left_out() -> None:
    patients = np.array([0, 0, 1, 1, 2])
    events = Dispensings.of(
        patients, np.array([0.0, 50, 0, 100, 0]), np.array([50.0, 1, 50, 1, 50])
    )

    mean = cma(events, Plan().windows(events), [Cma.CMA1])[Cma.CMA1].mean()

    assert (mean.patients, mean.undefined) == (2, 1)
    assert mean.value == 0.75
    assert mean.low == pytest.approx(0.75 - 1.96 * 0.25)
    assert mean.high == pytest.approx(0.75 + 1.96 * 0.25)


def test_a_first_event_on_the_last_day_leaves_no_time_to_divide_by() -> None:
    events = one((0, 10), (100, 10))
    plan = Plan(observation_start=Length(50), observation_duration=Length(50))

    found = cma(events, plan.windows(events), [Cma.CMA2, Cma.CMA4, Cma.CMA6])

    for available in found.values():
        assert np.isnan(available.value).all()
        assert available.reason.tolist() == [Reason.NO_INTERVAL]


def test_supply_from_before_that_ends_within_a_day_leaves_the_end_where_it_is() -> None:
    events = one((0, 30.5), (50, 20))
    plan = Plan(observation_start=Length(10), observation_duration=Length(90))

    cma8 = cma(events, plan.windows(events), [Cma.CMA8])[Cma.CMA8]

    assert cma8.observed.tolist() == [100 - 30.5]
    assert cma8.value.tolist() == [20 / 69.5]


def test_a_change_of_dosage_starts_an_episode_where_that_is_asked_for() -> None:
    events = one((0, 30), (30, 30), (60, 30), daily_dose=[1, 2, 2])
    windows = Plan().windows(events)

    for asked, starts in ((False, [0]), (True, [0, 30])):
        rule = EpisodeRule(Length(700), dosage_change=asked)
        assert episodes(events, windows, rule).start.tolist() == starts


def test_a_last_gap_that_is_just_permissible_belongs_to_the_episode() -> None:
    events = one((0, 30))
    windows = Plan(
        followup_duration=Length(100), observation_duration=Length(100)
    ).windows(events)

    for longest, end in ((70, 100), (69, 30)):
        found = episodes(events, windows, EpisodeRule(Length(longest)))
        assert found.end.tolist() == [end]


def test_an_appended_gap_lengthens_a_single_episode() -> None:
    events = one((0, 30))
    windows = Plan().windows(events)

    found = episodes(events, windows, EpisodeRule(Length(20), append_gap=True))

    assert found.end.tolist() == [50]


def test_a_supply_on_the_last_day_of_the_followup_is_of_the_episode_it_starts() -> None:
    plan = Plan(followup_duration=Length(30), observation_duration=Length(30))
    rule = EpisodeRule(Length(0), medication_change=True)

    for codes, cma2 in (([1, 1], 60 / 30), ([1, 2], 30 / 30)):
        events = one((0, 30), (30, 30), medication=codes)
        (found,) = per_episode(events, plan.windows(events), rule, Cma.CMA2)
        assert found.availability.value.tolist() == [cma2]


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        (CarryOver(same_medication_only=True), "classes are needed"),
        (CarryOver(consider_dosage=True), "daily doses are needed"),
    ],
)
def test_what_a_rule_compares_must_be_there(rule: CarryOver, wanted: str) -> None:
    events = one((0, 30), (30, 30))

    with pytest.raises(ValueError, match=wanted):
        cma(events, Plan().windows(events), [Cma.CMA7], rule)


@pytest.mark.parametrize("supply", [0.0, -1.0, np.nan, np.inf])
def test_a_supply_that_is_no_number_of_days_is_refused(supply: float) -> None:
    with pytest.raises(ValueError, match="every supply must be a positive number"):
        one((0, supply))


def test_windows_of_months_of_different_lengths_come_for_everybody() -> None:
    patients, day = np.arange(3), np.array([0.0, 31, 59])  # of 1970
    events = Dispensings.of(patients, day, np.full(3, 30.0))
    plan = Plan(observation_duration=Length(1, Unit.MONTHS))
    windows = plan.windows(events)

    parts = list(sliding(events, windows, Slide(Length(28), Length(1)), Cma.CMA7))

    starts = {0: 4, 1: 1, 2: 4}  # January, February, March
    found = np.concatenate([part.patient for part in parts])
    assert dict(zip(*np.unique(found, return_counts=True), strict=True)) == starts


@pytest.mark.parametrize(
    ("make", "wanted"),
    [
        (lambda: Slide(Length(30)), "either a step or a number"),
        (lambda: Slide(Length(30), Length(30), 3), "either a step or a number"),
        (lambda: Slide(Length(0), Length(30)), "at least a day"),
        (lambda: Slide(Length(30), Length(0)), "at least a day"),
        (lambda: Slide(Length(30), steps=0), "at least one step"),
        (lambda: Slide(Length(50, Unit.PERCENT), steps=2), "no length of time"),
        (lambda: EpisodeRule(Length(-1)), "cannot be negative"),
        (lambda: Plan(observation_duration=Length(0)), "longer than 0 days"),
        (lambda: Length(1e9), "out of range"),
        (lambda: Length(float("nan")), "out of range"),
    ],
)
def test_what_makes_no_sense_is_refused(make: object, wanted: str) -> None:
    assert callable(make)
    with pytest.raises(ValueError, match=wanted):
        make()


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90", Length(90)),
        ("-90", Length(-90)),
        ("1.5 weeks", Length(1.5, Unit.WEEKS)),
        ("3 months", Length(3, Unit.MONTHS)),
        (" 1 Year ", Length(1, Unit.YEARS)),
        ("50 percent", Length(50, Unit.PERCENT)),
        ("50%", Length(50, Unit.PERCENT)),
    ],
)
def test_lengths_are_read_as_people_write_them(text: str, length: Length) -> None:
    assert Length.parse(text) == length


@pytest.mark.parametrize("text", ["", "days", "3 moons", "1e3", "3 4 days", "nan"])
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no length"):
        Length.parse(text)
