"""What a clinician says of an event is an event of its own; pocket doses."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.labels import EventLabel, Override
from analytics.matching import DoseLabel, match
from analytics.records import Dose, Evidence, Scheduled
from tests.analytics.test_matching import clock, dose_lists, event_lists, opening, timed

LABELS = [*EventLabel, None]


def said(event: str, label: EventLabel | None, hour: float = 30) -> Override[str]:
    return Override(event, label, clock(hour), by="dr", reason="asked")


def pocket(key: str, hour: float, day: int = 0) -> Dose[str]:
    return Dose(key, clock(hour, day), Evidence.SELF_REPORTED, label="pocket")


def test_an_opening_said_to_be_a_look_inside_leaves_the_dose_open() -> None:
    events, doses = [opening("e", 8)], [timed("s", 8)]

    got = match(events, doses, overrides=[said("e", EventLabel.CURIOSITY)])

    assert got.events == {"e": EventLabel.CURIOSITY}
    assert got.doses == {"s": DoseLabel.OPEN}
    assert events == [opening("e", 8)]


def test_a_duplicate_said_to_be_a_dose_is_matched_beside_the_other() -> None:
    events = [opening("a", 8), opening("b", 8.1)]
    doses = [timed("s", 8), timed("t", 9)]

    got = match(events, doses, overrides=[said("b", EventLabel.THERAPEUTIC)])

    assert set(got.events.values()) == {EventLabel.THERAPEUTIC}
    assert len(got.pairs) == 2


def test_a_dose_by_word_needs_a_window_all_the_same() -> None:
    got = match(
        [opening("e", 20)],
        [timed("s", 8)],
        overrides=[said("e", EventLabel.THERAPEUTIC)],
    )

    assert got.events == {"e": EventLabel.UNMATCHED}


def test_the_newest_word_holds_and_none_takes_it_back() -> None:
    words = [
        said("e", EventLabel.REFILL, 30),
        said("e", EventLabel.CURIOSITY, 31),
        said("e", None, 32),
    ]

    for order in (words, words[::-1]):
        got = match([opening("e", 8)], [timed("s", 8)], overrides=order)
        assert got.events == {"e": EventLabel.THERAPEUTIC}
    older = match([opening("e", 8)], [timed("s", 8)], overrides=words[:2])
    assert older.events == {"e": EventLabel.CURIOSITY}


def test_taken_from_the_pocket_is_one_dose_more_though_the_lid_was_just_opened() -> (
    None
):
    events = [opening("a", 7.95), pocket("p", 8)]
    doses = [timed("s", 8), timed("t", 8.5)]

    got = match(events, doses)

    assert got.events == {"a": EventLabel.THERAPEUTIC, "p": EventLabel.POCKET}
    assert len(got.pairs) == 2


def test_a_pocket_dose_outside_every_window_is_still_called_so() -> None:
    got = match([pocket("p", 20)], [timed("s", 8)])

    assert (got.events, got.pairs) == ({"p": EventLabel.POCKET}, ())


@pytest.mark.parametrize("label", LABELS)
def test_every_word_may_be_said_and_nothing_is_lost(label: EventLabel | None) -> None:
    events = [opening("a", 8), opening("b", 8.05), opening("c", 12)]
    doses = [timed("s", 8), timed("t", 12)]

    got = match(events, doses, overrides=[said("b", label)])

    assert set(got.events) == {"a", "b", "c"}
    assert set(got.doses) == {"s", "t"}


overrides = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(LABELS), st.integers(0, 9)),
    max_size=6,
).map(lambda cells: [said(f"e{n}", label, 30 + hour) for n, label, hour in cells])


@given(event_lists, dose_lists(), overrides, st.data())
@settings(max_examples=100)
def test_doses_are_conserved_whatever_is_said_in_whatever_order(
    events: list[Dose[str]],
    doses: list[Scheduled[str]],
    words: list[Override[str]],
    data: st.DataObject,
) -> None:
    got = match(events, doses, overrides=words)

    again = match(
        data.draw(st.permutations(events)),
        data.draw(st.permutations(doses)),
        overrides=data.draw(st.permutations(words)),
    )
    assert got == again
    count = Counter(got.doses.values())
    assert len(got.pairs) + count[DoseLabel.OPEN] == len(doses)
    assert len(got.events) == len(events)
    labels = Counter(got.events.values())
    taken = labels[EventLabel.THERAPEUTIC]
    assert taken <= len(got.pairs) <= taken + labels[EventLabel.POCKET]


@given(event_lists, dose_lists(), st.data())
@settings(max_examples=60)
def test_events_that_come_late_end_where_all_at_once_would(
    events: list[Dose[str]], doses: list[Scheduled[str]], data: st.DataObject
) -> None:
    """Only the set decides: what was matched before leaves no trace."""
    arriving = data.draw(st.permutations(events))
    got = [match(arriving[:size], doses) for size in range(len(arriving) + 1)]

    assert got[-1] == match(events, doses)
