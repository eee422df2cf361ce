from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.matching import (
    DoseLabel,
    EventLabel,
    Matching,
    PrimeRule,
    Verdict,
    default_windows,
    match,
    verdict,
)
from analytics.records import Dose, Evidence, Period, Scheduled

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)


def clock(hour: float, day: int = 0) -> datetime:
    return MIDNIGHT + timedelta(days=day, hours=hour)


def opening(key: str, hour: float, day: int = 0) -> Dose[str]:
    return Dose(key, clock(hour, day))


def timed(key: str, hour: float, day: int = 0, reach: float = 4) -> Scheduled[str]:
    due, by = clock(hour, day), timedelta(hours=reach)
    return Scheduled(key, due, due - by, due + by)


def untimed(key: str, day: int = 0) -> Scheduled[str]:
    return Scheduled(key, None, clock(3, day), clock(27, day))


@pytest.mark.parametrize(
    ("hour", "label"),
    [
        (8, DoseLabel.ON_TIME),
        (9, DoseLabel.ON_TIME),
        (9.01, DoseLabel.LATE),
        (7, DoseLabel.ON_TIME),
        (6.9, DoseLabel.EARLY),
        (4, DoseLabel.EARLY),
        (3.99, DoseLabel.OPEN),
        (12, DoseLabel.OPEN),  # windows are half-open
    ],
)
def test_names_the_timing_of_one_dose(hour: float, label: DoseLabel) -> None:
    got = match([opening("e", hour)], [timed("s", 8)])

    assert got.doses == {"s": label}


def test_a_second_opening_within_ten_minutes_is_a_duplicate() -> None:
    events = [opening("a", 8), opening("b", 8.16), opening("c", 8.17)]

    got = match(events, [timed("s", 8)])

    # 8.16 h is 576 s after the kept event, 8.17 h is 612 s
    assert got.events == {
        "a": EventLabel.THERAPEUTIC,
        "b": EventLabel.DUPLICATE,
        "c": EventLabel.EXTRA,
    }


def test_an_opening_outside_every_window_is_unmatched() -> None:
    got = match([opening("e", 20)], [timed("s", 8)])

    assert got.events == {"e": EventLabel.UNMATCHED}
    assert got.pairs == ()


def test_a_prime_never_counts_as_the_dose_nor_makes_it_a_duplicate() -> None:
    prime = replace(opening("p", 7.99), label="prime", evidence=Evidence.DOSE_DELIVERED)

    got = match([prime, opening("e", 8)], [timed("s", 8)])

    assert got.events == {"p": EventLabel.PRIME, "e": EventLabel.THERAPEUTIC}


def test_the_prime_rule_marks_a_small_delivery_before_a_larger_one() -> None:
    small = replace(opening("p", 7.99), amount=Decimal(2), unit="[iU]")
    dose = replace(opening("e", 8), amount=Decimal(12), unit="[iU]")

    got = match([small, dose], [timed("s", 8)], prime=PrimeRule(Decimal(2)))

    assert got.events == {"p": EventLabel.PRIME, "e": EventLabel.THERAPEUTIC}


def test_what_could_not_be_measured_still_speaks_against_missed() -> None:
    released = replace(opening("e", 8), label="no_measurement")

    assert match([released], [timed("s", 8)]).doses == {"s": DoseLabel.ON_TIME}
    assert match([released], []).events == {"e": EventLabel.NO_MEASUREMENT}


def test_untimed_doses_are_taken_but_never_early_or_late() -> None:
    got = match(
        [opening("a", 3), opening("b", 26.9), opening("c", 27)],
        [untimed("1"), untimed("2"), untimed("3")],
    )

    assert got.doses == {
        "1": DoseLabel.UNTIMED_TAKEN,
        "2": DoseLabel.UNTIMED_TAKEN,
        "3": DoseLabel.OPEN,
    }
    assert [pair.dt for pair in got.pairs] == [None, None]


def test_matches_more_doses_rather_than_nearer_ones() -> None:
    # nearest first would give b to the dose at 12 and leave one dose open
    doses = [timed("8", 8, reach=5), timed("12", 12, reach=5)]

    got = match([opening("a", 12), opening("b", 16)], doses)

    assert [(pair.event, pair.dose) for pair in got.pairs] == [("a", "8"), ("b", "12")]


def test_of_equals_the_earlier_event_goes_to_the_earlier_dose() -> None:
    got = match([opening("e", 10)], [timed("8", 8), timed("12", 12)])
    assert [(pair.event, pair.dose) for pair in got.pairs] == [("e", "8")]

    got = match([opening("a", 7), opening("b", 9)], [timed("8", 8)])
    assert [(pair.event, pair.dose) for pair in got.pairs] == [("a", "8")]


def test_default_windows_reach_a_quarter_of_the_interval_at_most_four_hours() -> None:
    got = default_windows([clock(8), clock(14), clock(22), clock(32)])

    hours = timedelta(hours=1)
    assert [(a - clock(0), b - clock(0)) for a, b in got] == [
        (6.5 * hours, 9.5 * hours),
        (12.5 * hours, 16 * hours),
        (20 * hours, 24.5 * hours),
        (29.5 * hours, 34.5 * hours),
    ]
    assert default_windows([clock(8)]) == [(clock(4), clock(12))]
    assert default_windows([clock(8), clock(56)])[0] == (clock(4), clock(12))
    assert default_windows([]) == []


SPAN = [Period(clock(11), clock(13))]


@pytest.mark.parametrize(
    ("now", "heard", "spans", "expected"),
    [
        (8.5, 8.5, [], Verdict.PENDING),
        (9, 9, [], Verdict.LATE),
        (9, 8.9, [], Verdict.UNKNOWN),
        (9, None, [], Verdict.UNKNOWN),
        (11.9, 9, [], Verdict.LATE),
        (12, 12, [], Verdict.MISSED),
        (12, 11.9, [], Verdict.UNKNOWN),
        (12, None, [], Verdict.UNKNOWN),
        (40, 12, [], Verdict.MISSED),
        (40, 40, SPAN, Verdict.UNKNOWN),
        (10, 10, SPAN, Verdict.UNKNOWN),
        (8, 8, SPAN, Verdict.PENDING),
    ],
)
def test_says_missed_only_when_the_device_was_heard(
    now: float, heard: float | None, spans: list[Period], expected: Verdict
) -> None:
    got = verdict(
        timed("s", 8),
        heard_until=None if heard is None else clock(heard),
        non_monitored=spans,
        delay=timedelta(hours=1),
        now=clock(now),
    )

    assert got == expected


def test_patience_bridges_the_time_between_two_reports() -> None:
    def at(now: float) -> Verdict:
        return verdict(
            timed("s", 8),
            heard_until=clock(8.9),
            delay=timedelta(hours=1),
            patience=timedelta(minutes=15),
            now=clock(now),
        )

    assert [at(9.2), at(9.25)] == [Verdict.PENDING, Verdict.UNKNOWN]


def test_an_untimed_dose_is_never_late() -> None:
    def at(now: float) -> Verdict:
        delay = timedelta(hours=1)
        return verdict(
            untimed("s"), heard_until=clock(now), delay=delay, now=clock(now)
        )

    assert [at(20), at(26.9), at(27)] == [
        Verdict.PENDING,
        Verdict.PENDING,
        Verdict.MISSED,
    ]


quarters = st.integers(0, 96 * 2).map(lambda quarter: quarter / 4)
event_lists = st.lists(quarters, max_size=6).map(
    lambda hours: [opening(f"e{n}", hour) for n, hour in enumerate(hours)]
)


@st.composite
def dose_lists(draw: st.DrawFn) -> list[Scheduled[str]]:
    """Windows of any shape: overlapping, nested, with and without a due instant."""
    doses: list[Scheduled[str]] = []
    for n in range(draw(st.integers(0, 5))):
        low, width = draw(quarters), draw(st.integers(1, 60)) / 4
        share = draw(st.integers(0, 4)) / 4
        due = clock(low + width * share) if draw(st.booleans()) else None
        doses.append(Scheduled(f"s{n}", due, clock(low), clock(low + width)))
    return doses


def fits(event: Dose[str], dose: Scheduled[str]) -> bool:
    return dose.window_from <= event.at < dose.window_until


def worth(got: Matching[str, str]) -> tuple[int, timedelta]:
    cost = sum((abs(p.dt) for p in got.pairs if p.dt is not None), timedelta())
    return len(got.pairs), cost


def by_hand(
    events: Sequence[Dose[str]], doses: Sequence[Scheduled[str]]
) -> tuple[int, timedelta]:
    """The best worth of all order-preserving matchings, by trying every one."""
    for size in range(min(len(events), len(doses)), 0, -1):
        costs = [
            sum(
                (
                    abs(e.at - s.due_at)
                    for e, s in zip(es, ss, strict=True)
                    if s.due_at is not None
                ),
                timedelta(),
            )
            for es in combinations(events, size)
            for ss in combinations(doses, size)
            if all(map(fits, es, ss))
        ]
        if costs:
            return size, min(costs)
    return 0, timedelta()


@given(event_lists, dose_lists())
@settings(max_examples=150)
def test_is_the_optimum_of_all_order_preserving_matchings(
    events: list[Dose[str]], doses: list[Scheduled[str]]
) -> None:
    got = match(events, doses, debounce=timedelta())

    ordered = sorted(events, key=lambda e: (e.at, e.id))
    in_order = sorted(
        doses, key=lambda s: (s.due_at or s.window_from, s.window_until, s.id)
    )
    assert worth(got) == by_hand(ordered, in_order)


@given(event_lists, dose_lists())
@settings(max_examples=100)
def test_every_event_and_dose_is_accounted_for_once(
    events: list[Dose[str]], doses: list[Scheduled[str]]
) -> None:
    got = match(events, doses)

    matched = [pair.event for pair in got.pairs]
    assert set(got.events) == {event.id for event in events}
    assert set(got.doses) == {dose.id for dose in doses}
    assert len(set(matched)) == len(matched)
    assert set(matched) == {
        key for key, label in got.events.items() if label == EventLabel.THERAPEUTIC
    }
    assert {pair.dose for pair in got.pairs} == {
        key for key, label in got.doses.items() if label != DoseLabel.OPEN
    }
    where = {dose.id: dose for dose in doses}
    what = {event.id: event for event in events}
    assert all(fits(what[pair.event], where[pair.dose]) for pair in got.pairs)


@given(st.data(), event_lists, dose_lists())
@settings(max_examples=60)
def test_the_order_of_arrival_changes_nothing(
    data: st.DataObject, events: list[Dose[str]], doses: list[Scheduled[str]]
) -> None:
    shuffled = match(
        data.draw(st.permutations(events)), data.draw(st.permutations(doses))
    )

    assert shuffled == match(events, doses)


@given(
    st.lists(st.integers(0, 23 * 4), max_size=12, unique=True),
    st.integers(0, 11),
)
@settings(max_examples=60)
def test_rematching_a_day_and_its_neighbours_equals_matching_all(
    quarters_open: list[int], late: int
) -> None:
    """A late event on day 3 of 7: only days 2 to 4 need to be matched again."""
    due = [clock(hour, day) for day in range(7) for hour in (8, 20)]
    doses = [
        Scheduled(str(at), at, *window)
        for at, window in zip(due, default_windows(due), strict=True)
    ]
    known = [opening(f"e{q}", 27 + q * 1.5) for q in quarters_open]
    new = opening("new", 5 + 2 * late, 3)
    near = (clock(3, 2), clock(27, 4))

    before = match(known, doses).doses
    again = match(
        [e for e in [*known, new] if near[0] <= e.at < near[1]],
        [s for s in doses if near[0] <= s.window_from and s.window_until <= near[1]],
    ).doses

    assert {**before, **again} == match([*known, new], doses).doses


@given(event_lists, dose_lists())
@settings(max_examples=60)
def test_a_repeated_opening_takes_no_second_dose(
    events: list[Dose[str]], doses: list[Scheduled[str]]
) -> None:
    again = [
        replace(e, id=e.id + "b", at=e.at + timedelta(seconds=599)) for e in events
    ]
    # apart by 15 min or equal, so a bounce never meets a neighbour
    once, twice = match(events, doses), match([*events, *again], doses)

    assert twice.doses == once.doses
    assert all(twice.events[e.id] == EventLabel.DUPLICATE for e in again)
