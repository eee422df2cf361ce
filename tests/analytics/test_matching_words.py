"""A person's word and a device's record of the same dose: the record counts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.matching import EventLabel, match
from analytics.records import Dose, Evidence, Scheduled
from tests.analytics.test_matching import clock, opening, timed, untimed


def word(key: str, hour: float, day: int = 0) -> Dose[str]:
    return Dose(key, clock(hour, day), Evidence.SELF_REPORTED)


TAKEN, TWICE = EventLabel.THERAPEUTIC, EventLabel.DUPLICATE


@pytest.mark.parametrize(
    ("said", "seen", "doses", "labels", "taken"),
    [
        (8, 8.33, [timed("s", 8)], (TWICE, TAKEN), 1),
        (8, 11.9, [timed("s", 8)], (TWICE, TAKEN), 1),
        (8, 8.1, [timed("s", 8)], (TWICE, TAKEN), 1),
        (8.1, 8, [], (TWICE, EventLabel.UNMATCHED), 0),
        (8, 8.33, [untimed("1"), untimed("2")], (TWICE, TAKEN), 1),
        (20, 8.33, [untimed("1"), untimed("2")], (TAKEN, TAKEN), 2),
        (8, 10, [timed("s", 8), timed("t", 12)], (TAKEN, TAKEN), 2),
        (8.3, 8, [timed("s", 8), timed("t", 12)], (TWICE, TAKEN), 1),
        (9, 8.2, [timed("s", 8, reach=0.5), timed("t", 9, reach=0.5)], (TAKEN,) * 2, 2),
        (8, 12.1, [timed("s", 8)], (TAKEN, EventLabel.UNMATCHED), 1),
    ],
    ids=[
        "the same dose",
        "anywhere in its window",
        "within the debounce",
        "outside every window",
        "one pill of two untimed",
        "two pills of two untimed",
        "two doses with one window over the other",
        "one dose in two windows",
        "two doses within an hour",
        "a record outside the window",
    ],
)
def test_a_word_and_a_record_of_one_dose_count_once_and_the_record_counts(
    said: float,
    seen: float,
    doses: list[Scheduled[str]],
    labels: tuple[EventLabel, EventLabel],
    taken: int,
) -> None:
    got = match([word("w", said), opening("d", seen)], doses)

    assert (got.events["w"], got.events["d"]) == labels
    assert len(got.pairs) == taken


@given(
    said=st.lists(st.integers(0, 4 * 48), max_size=5, unique=True),
    seen=st.lists(st.integers(0, 4 * 48), max_size=5, unique=True),
    reach=st.sampled_from([1, 4, 8]),
    data=st.data(),
)
@settings(max_examples=200)
def test_words_never_take_a_dose_from_a_record_in_whatever_order_all_came(
    said: list[int], seen: list[int], reach: float, data: st.DataObject
) -> None:
    records = [opening(f"d{n}", n / 4) for n in seen]
    events = [*records, *(word(f"w{n}", n / 4) for n in said)]
    doses = [timed("s", 8, reach=reach), timed("t", 20, reach=reach), untimed("u", 1)]

    got = match(data.draw(st.permutations(events)), doses)

    assert got == match(events, doses)
    alone = match(records, doses)
    by_record = [pair for pair in got.pairs if pair.event.startswith("d")]
    assert len(by_record) == len(alone.pairs)
    assert EventLabel.DUPLICATE not in {
        label
        for key, label in got.events.items()
        if key.startswith("d") and alone.events[key] != EventLabel.DUPLICATE
    }
