from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from math import prod

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.confidence import confidences, posterior
from analytics.labels import EventLabel, Override, PrimeRule
from analytics.matching import match
from analytics.optimum import Slot
from analytics.records import Dose, Evidence, Scheduled
from tests.analytics.test_matching import clock, dose_lists, event_lists, opening, timed


def sure(
    events: list[Dose[str]],
    doses: list[Scheduled[str]],
    prime: PrimeRule | None = None,
) -> dict[str, float]:
    matching = match(events, doses, prime=prime)
    return dict(confidences(events, doses, matching, prime=prime))


def test_a_dose_at_its_time_is_surer_than_one_at_the_edge_of_its_window() -> None:
    got = [sure([opening("e", hour)], [timed("s", 8)])["e"] for hour in (8, 9, 11.9)]

    assert got == sorted(got, reverse=True)
    assert got[0] > 0.99
    assert 0.4 < got[2] < 0.8


def test_of_two_openings_in_a_window_neither_is_sure() -> None:
    one = sure([opening("a", 8), opening("b", 11)], [timed("s", 8)])
    even = sure([opening("a", 7.5), opening("b", 8.5)], [timed("s", 8)])

    assert one["a"] > 0.95
    assert one["b"] > 0.9  # extra
    assert even["a"] == pytest.approx(0.5, abs=0.01)
    assert even["b"] == pytest.approx(0.5, abs=0.01)


def test_what_was_said_is_repeated_and_the_smallest_prime_is_surest() -> None:
    said = Dose("p", clock(7.99), Evidence.DOSE_DELIVERED, label="prime")
    assert sure([said], [timed("s", 8)])["p"] == 1

    def by_rule(amount: int) -> float:
        small = Dose("p", clock(7.99), amount=Decimal(amount), unit="[iU]")
        large = Dose("e", clock(8), amount=Decimal(12), unit="[iU]")
        rule = PrimeRule(Decimal(4))
        return sure([small, large], [timed("s", 8)], prime=rule)["p"]

    assert by_rule(1) == pytest.approx(12 / 13)
    assert by_rule(4) == pytest.approx(12 / 16)


def test_a_duplicate_at_once_is_sure_and_one_ten_minutes_later_hardly() -> None:
    events = [opening("a", 8), opening("b", 8.01), opening("c", 8.16)]

    got = sure(events, [timed("s", 8)])

    assert got["b"] == pytest.approx(0.97)
    assert got["c"] == pytest.approx(0.52)


def test_an_override_is_certain() -> None:
    said = [Override("e", EventLabel.CURIOSITY, clock(20))]
    events, doses = [opening("e", 8)], [timed("s", 8)]

    got = confidences(
        events, doses, match(events, doses, overrides=said), overrides=said
    )

    assert got == {"e": 1.0}


@given(event_lists, dose_lists())
@settings(max_examples=60)
def test_every_event_has_a_confidence_in_whatever_order_all_came(
    events: list[Dose[str]], doses: list[Scheduled[str]]
) -> None:
    got = sure(events, doses)

    assert set(got) == {event.id for event in events}
    assert all(0 <= value <= 1 for value in got.values())
    assert got == sure(events[::-1], doses[::-1])


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 4)).map(lambda p: (p[0], sum(p))),
        min_size=1,
        max_size=4,
    ),
    st.data(),
)
@settings(max_examples=60)
def test_is_the_share_of_the_weight_of_all_matches(
    windows: list[tuple[int, int]], data: st.DataObject
) -> None:
    slots = [Slot(None, low, high) for low, high in windows]
    some = st.floats(0.01, 50)
    odds = [[data.draw(some) for _ in range(s.low, s.high)] for s in slots]
    count = max(s.high for s in slots)

    weight = 0.0
    by_event = [0.0] * count
    for size in range(len(slots) + 1):
        for some_slots in combinations(range(len(slots)), size):
            for places in combinations(range(count), size):
                pairs = list(zip(some_slots, places, strict=True))
                if all(slots[j].low <= i < slots[j].high for j, i in pairs):
                    w = prod(odds[j][i - slots[j].low] for j, i in pairs)
                    weight += w
                    for _, i in pairs:
                        by_event[i] += w

    low = min(s.low for s in slots)
    want = [w / weight for w in by_event[low:]]
    assert posterior(slots, odds, low) == pytest.approx(want)


def test_a_thousand_doses_in_one_chain_stay_within_range() -> None:
    wide = timedelta(hours=30)
    doses = [
        Scheduled(str(n), at, at - wide, at + wide)
        for n in range(1000)
        for at in [clock(8, n)]
    ]
    events = [opening(str(n), 8, n) for n in range(1000)]

    got = sure(events, doses)

    assert min(got.values()) > 0.9
