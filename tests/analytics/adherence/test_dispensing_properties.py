"""The vectorised measures equal their definitions, patient by patient."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.adherence.cma import Cma, Reason, cma
from analytics.adherence.dispensing import (
    CarryOver,
    Dispensings,
    OutsideFollowUp,
    Plan,
    Windows,
)
from analytics.adherence.episodes import EpisodeRule, episodes, per_episode
from analytics.adherence.gaps import gaps
from analytics.adherence.lengths import Length, Unit
from analytics.adherence.sliding import Slide, sliding
from tests.analytics.adherence import by_patient
from tests.analytics.adherence.by_patient import Carry, EndsBy, Event, Span

Patients = list[list[Event]]
FEW = settings(max_examples=150, derandomize=True)
MANY = settings(max_examples=5000)
Test = Callable[[], None]
LONG: dict[str, Test] = {}


def drawn(*cases: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Test]:
    """Run a test on a few cases that stay the same, and in a soak on many."""

    def decorated(test: Callable[..., None]) -> Test:
        LONG[test.__name__] = MANY(given(*cases)(test))
        return FEW(given(*cases)(test))

    return decorated


supplies = st.one_of(
    st.integers(1, 120).map(Fraction),
    st.fractions(Fraction(1, 2), 90, max_denominator=12),
)
event = st.builds(
    Event,
    day=st.integers(20_000, 20_500),
    supply=supplies,
    medication=st.integers(0, 2),
    dose=st.integers(1, 4),
)


def _of_one(events: st.SearchStrategy[Event]) -> st.SearchStrategy[list[Event]]:
    several = st.lists(events, min_size=1, max_size=9)
    return several.map(lambda own: sorted(own, key=lambda one: one.day))


patients = st.lists(_of_one(event), min_size=1, max_size=4)
carries = st.builds(
    Carry, within=st.just(value=True), same_only=st.booleans(), dosage=st.booleans()
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw windows in days, the observation inside of the follow-up."""
    duration = draw(st.integers(1, 500))
    start = draw(st.integers(0, duration - 1))
    length = draw(st.integers(1, duration - start))
    begin = draw(st.integers(-60, 120))
    return Plan(Length(begin), Length(duration), Length(start), Length(length))


def arrays(everybody: Patients) -> Dispensings:
    rows = [one for events in everybody for one in events]
    return Dispensings.of(
        np.repeat(np.arange(len(everybody)), [len(events) for events in everybody]),
        np.array([one.day for one in rows], dtype=np.float64),
        np.array([float(one.supply) for one in rows]),
        medication=np.array([one.medication for one in rows]),
        daily_dose=np.array([float(one.dose) for one in rows]),
    )


def spans(windows: Windows) -> list[Span]:
    sides = (windows.followup_start, windows.followup_end, windows.start, windows.end)
    return [Span(*map(int, row)) for row in zip(*sides, strict=True)]


def rule(carry: Carry) -> CarryOver:
    return CarryOver(carry.same_only, carry.dosage)


def same(got: float, want: Fraction | int | None) -> None:
    if want is None:
        assert np.isnan(got)
    else:
        assert got == pytest.approx(float(want), abs=1e-9)


@drawn(patients, plans(), carries)
def test_all_nine_measures_are_their_definitions(
    everybody: Patients, plan: Plan, carry: Carry
) -> None:
    events = arrays(everybody)
    windows = plan.windows(events)

    got = cma(events, windows, list(Cma), rule(carry))

    for measure, available in got.items():
        definition = by_patient.MEASURES[measure.value]
        values = available.value
        for n, (own, span) in enumerate(zip(everybody, spans(windows), strict=True)):
            same(values[n], definition(own, span, carry))
            assert np.isnan(values[n]) == (available.reason[n] != Reason.DEFINED)
            seen = by_patient.selected(own, span, into=False)
            assert available.events[n] == len(seen)


@drawn(patients, plans(), st.none() | carries, st.sampled_from(["into", "within"]))
def test_gaps_are_their_definition(
    everybody: Patients, plan: Plan, carry: Carry | None, begun: str
) -> None:
    events = arrays(everybody)
    windows = plan.windows(events)
    carry_over, into = carry and rule(carry), begun == "into"

    got = gaps(events, windows, carry_over, from_followup_start=into)

    at = 0
    for own, span in zip(everybody, spans(windows), strict=True):
        seen = by_patient.selected(own, span, into=into)
        rules = carry or Carry(within=False)
        followed = iter(by_patient.follow(seen, span.oe, rules))
        for one in own:
            if not span.fs <= one.day <= span.fe:
                continue
            known = one.day <= span.oe and (into or one.day >= span.os)
            match = next(followed) if known else None
            inside = span.os <= one.day <= span.oe
            same(got.interval[at], match.interval if match and inside else None)
            same(got.gap[at], match.gap if match else None)
            same(got.carried[at], match.carried if match else None)
            at += 1
    assert at == len(got.place)


@st.composite
def endings(draw: st.DrawFn) -> EndsBy:
    percent = draw(st.booleans())
    amount = draw(st.sampled_from([0, 25, 50, 75, 100, 150]))
    return EndsBy(
        None if percent else Fraction(amount),
        Fraction(amount, 100) if percent else None,
        draw(st.booleans()),
        draw(st.booleans()),
        draw(st.booleans()),
    )


def episode_rule(ends: EndsBy, carry: Carry) -> EpisodeRule:
    if ends.share is None:
        permissible = Length(float(ends.days or 0))
    else:
        permissible = Length(float(ends.share * 100), Unit.PERCENT)
    return EpisodeRule(
        permissible,
        medication_change=ends.medication,
        dosage_change=ends.dosage,
        append_gap=ends.append,
        carry_over=rule(carry),
    )


# Where a gap is compared with a limit, the two must be exact: so are halves of days.
exact_event = st.builds(
    Event,
    day=st.integers(20_000, 20_500),
    supply=st.integers(1, 120).map(Fraction),
    medication=st.integers(0, 2),
    dose=st.sampled_from([1, 2, 4]),
)
exact_patients = st.lists(_of_one(exact_event), min_size=1, max_size=4)


@drawn(exact_patients, plans(), carries, endings())
def test_episodes_are_their_definition(
    everybody: Patients, plan: Plan, carry: Carry, ends: EndsBy
) -> None:
    events = arrays(everybody)
    windows = plan.windows(events)

    got = episodes(events, windows, episode_rule(ends, carry))

    want = [
        (n, number, one)
        for n, (own, span) in enumerate(zip(everybody, spans(windows), strict=True))
        for number, one in enumerate(by_patient.episodes(own, span, ends, carry), 1)
    ]
    assert got.patient.tolist() == [n for n, _, _ in want]
    assert got.number.tolist() == [number for _, number, _ in want]
    assert got.start.tolist() == [one.start for _, _, one in want]
    assert got.gap == pytest.approx([float(one.gap) for _, _, one in want])
    assert got.end == pytest.approx([float(one.end) for _, _, one in want])


@drawn(exact_patients, plans(), carries, endings())
def test_every_measure_per_episode_is_its_definition(
    everybody: Patients, plan: Plan, carry: Carry, ends: EndsBy
) -> None:
    events = arrays(everybody)
    windows = plan.windows(events)

    for measure in Cma:
        (got,) = per_episode(events, windows, episode_rule(ends, carry), measure)

        want = [
            (n, *row)
            for n, (own, span) in enumerate(zip(everybody, spans(windows), strict=True))
            for row in by_patient.per_episode(own, span, ends, carry, measure.value)
        ]
        assert got.episodes.patient.tolist() == [row[0] for row in want]
        assert got.episodes.number.tolist() == [row[1] for row in want]
        assert got.start.tolist() == [row[2] for row in want]
        assert got.end == pytest.approx([float(row[3]) for row in want])
        for value, row in zip(got.availability.value, want, strict=True):
            same(value, row[4])


@drawn(
    patients,
    plans(),
    carries,
    st.sampled_from(list(Cma)),
    st.integers(1, 200),
    st.none() | st.integers(1, 90),
    st.integers(1, 12),
)
def test_sliding_windows_are_their_definition(
    everybody: Patients,
    plan: Plan,
    carry: Carry,
    measure: Cma,
    window: int,
    step: int | None,
    steps: int,
) -> None:
    events = arrays(everybody)
    windows = plan.windows(events)
    by_number = step is None
    slide = (
        Slide(Length(window), steps=steps)
        if by_number
        else Slide(Length(window), Length(step))
    )

    parts = list(sliding(events, windows, slide, measure, rule(carry)))

    want: list[tuple[int, int, object, object, Fraction | None]] = []
    for n, (own, span) in enumerate(zip(everybody, spans(windows), strict=True)):
        free = span.oe - span.os - window
        length = Fraction(step or 1)
        if by_number and steps > 1:
            length = max(Fraction(1), min(Fraction(window), Fraction(free, steps - 1)))
        rows = by_patient.sliding(own, span, window, length, carry, measure.value)
        if by_number and steps == 1:
            rows = rows[:1]
        want += [(n, k, *row) for k, row in enumerate(rows, 1)]
    (part,) = parts
    assert part.patient.tolist() == [row[0] for row in want]
    assert part.number.tolist() == [row[1] for row in want]
    assert part.availability.start.tolist() == [row[2] for row in want]
    assert part.availability.end.tolist() == [row[3] for row in want]
    for value, row in zip(part.availability.value, want, strict=True):
        same(value, row[4])


@drawn(
    st.integers(-20_000, 40_000),
    st.floats(-40, 40),
    st.sampled_from([unit for unit in Unit if unit is not Unit.PERCENT]),
)
def test_lengths_follow_the_calendar(day: int, amount: float, unit: Unit) -> None:
    got = Length(amount, unit).after(np.array([float(day)]))

    assert got.tolist() == [by_patient.after(day, amount, unit.value)]


def test_an_observation_outside_of_its_followup_is_refused() -> None:
    events = arrays([[Event(0, Fraction(1))], [Event(31, Fraction(1))]])
    plan = Plan(
        followup_duration=Length(28),
        observation_duration=Length(1, Unit.MONTHS),
    )

    with pytest.raises(OutsideFollowUp) as refused:
        plan.windows(events)
    assert refused.value.place == 0


@pytest.mark.soak
@pytest.mark.parametrize("definition", LONG)
def test_definitions_hold_in_many_cases(definition: str) -> None:
    LONG[definition]()
