from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.matching import match
from analytics.matching_columns import (
    DOSE_LABELS,
    EVENT_LABELS,
    NONE,
    UNTIMED,
    Doses,
    Events,
    Matched,
    match_columns,
)
from analytics.records import Dose, Scheduled, microseconds
from tests.analytics.test_matching import clock, dose_lists, event_lists

HOURS = 3_600_000_000
DEBOUNCES = st.sampled_from([timedelta(), timedelta(minutes=10), timedelta(hours=3)])

Person = tuple[list[Dose[str]], list[Scheduled[str]]]
people = st.lists(st.tuples(event_lists, dose_lists()), max_size=5)


def columns(crowd: list[Person]) -> tuple[Events, Doses]:
    events = [(n, microseconds(e.at)) for n, (es, _) in enumerate(crowd) for e in es]
    doses = [
        (
            n,
            UNTIMED if s.due_at is None else microseconds(s.due_at),
            microseconds(s.window_from),
            microseconds(s.window_until),
        )
        for n, (_, ss) in enumerate(crowd)
        for s in ss
    ]
    a = np.array(events, dtype=np.int64).reshape(-1, 2).T
    b = np.array(doses, dtype=np.int64).reshape(-1, 4).T
    return Events(*a), Doses(*b)


def one_by_one(crowd: list[Person], debounce: timedelta) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    for n, (events, doses) in enumerate(crowd):
        got = match(events, doses, debounce=debounce)
        partner = {pair.event: pair.dose for pair in got.pairs}
        told += [
            (n, e.id, got.events[e.id], partner.get(e.id))
            for e in sorted(events, key=lambda e: e.id)
        ]
        told += [(n, s.id, got.doses[s.id]) for s in doses]
    return told


def all_at_once(crowd: list[Person], got: Matched) -> list[tuple[object, ...]]:
    told: list[tuple[object, ...]] = []
    event = dose = 0
    names = [s.id for _, doses in crowd for s in doses]
    for n, (events, doses) in enumerate(crowd):
        for e in sorted(events, key=lambda e: e.id):
            label = EVENT_LABELS[int(got.event_label[event])]
            partner = int(got.event_dose[event])
            told.append((n, e.id, label, None if partner == NONE else names[partner]))
            event += 1
        for s in doses:
            told.append((n, s.id, DOSE_LABELS[int(got.dose_label[dose])]))
            dose += 1
    return told


@given(people, DEBOUNCES)
@settings(max_examples=120)
def test_many_patients_at_once_are_matched_as_one_by_one(
    crowd: list[Person], debounce: timedelta
) -> None:
    crowd = [(sorted(es, key=lambda e: e.id), ss) for es, ss in crowd]

    got = match_columns(*columns(crowd), debounce=debounce)

    assert all_at_once(crowd, got) == one_by_one(crowd, debounce)
    pairs = np.flatnonzero(got.event_dose != NONE)
    assert (got.dose_event[got.event_dose[pairs]] == pairs).all()


def a_year(
    seed: int, *, people: int, reach: float, days: int = 60
) -> tuple[Events, Doses]:
    """Twice daily, one in eight missed, other openings now and then."""
    random = np.random.default_rng(seed)
    due = np.tile(np.arange(days * 2) * 12 * HOURS, people)
    who = np.repeat(np.arange(people), days * 2)
    took = random.random(len(due)) < 0.88
    at = due + (random.normal(0, 1, len(due)) * HOURS).astype(np.int64)
    stray = random.integers(0, days * 24 * HOURS, people * days // 3)
    events = Events(
        np.concatenate([who[took], random.integers(0, people, len(stray))]),
        np.concatenate([at[took], stray]),
    )
    half = round(reach * HOURS)
    return events, Doses(who, due, due - half, due + half)


@pytest.mark.parametrize("reach", [3, 9, 20])
def test_a_crowd_is_matched_alike_by_columns_and_by_patient(reach: float) -> None:
    events, doses = a_year(1, people=6, reach=reach)
    start = clock(0)

    def at(micros: int) -> timedelta:
        return timedelta(microseconds=micros)

    got = match_columns(events, doses)

    for person in range(6):
        mine = np.flatnonzero(events.patient == person).tolist()
        theirs = np.flatnonzero(doses.patient == person).tolist()
        alone = match(
            [Dose(f"{n:06}", start + at(int(events.at[n]))) for n in mine],
            [
                Scheduled(
                    f"{n:06}",
                    start + at(int(doses.due[n])),
                    start + at(int(doses.window_from[n])),
                    start + at(int(doses.window_until[n])),
                )
                for n in theirs
            ],
        )
        assert {(int(p.event), int(p.dose)) for p in alone.pairs} == {
            (n, int(got.event_dose[n])) for n in mine if got.event_dose[n] != NONE
        }
        assert [EVENT_LABELS[int(got.event_label[n])] for n in mine] == [
            alone.events[f"{n:06}"] for n in mine
        ]


@given(st.integers(0, 50))
@settings(max_examples=20)
def test_the_order_of_arrival_changes_no_dose(seed: int) -> None:
    events, doses = a_year(seed, people=4, reach=8, days=10)
    mixed = np.random.default_rng(seed).permutation(len(events))

    got = match_columns(events, doses)
    again = match_columns(Events(events.patient[mixed], events.at[mixed]), doses)

    assert (got.dose_label == again.dose_label).all()
    taken = got.dose_event != NONE
    assert (
        (events.at[got.dose_event[taken]]).tolist()
        == (events.at[mixed][again.dose_event[taken]]).tolist()
    )


def test_patients_of_a_century_fit_in_lots() -> None:
    """Two million lives on one line of time would pass 64 bits."""
    century = 100 * 365 * 24 * HOURS
    who = np.arange(3000, dtype=np.int64)
    due = np.linspace(0, century, 3000).astype(np.int64)

    got = match_columns(Events(who, due), Doses(who, due, due - HOURS, due + HOURS))

    assert (got.dose_event == who).all()


def test_nobody_and_nothing_give_nothing() -> None:
    none = np.array([], dtype=np.int64)

    got = match_columns(Events(none, none), Doses(none, none, none, none))

    assert len(got.event_label) == len(got.dose_label) == 0
    alone = match_columns(
        Events(np.array([7]), np.array([0])), Doses(none, none, none, none)
    )
    assert [EVENT_LABELS[int(code)] for code in alone.event_label] == ["unmatched"]
