from datetime import UTC, datetime, timedelta
from itertools import product
from string import Formatter

import pytest

from notifications.segments import segments
from notifications.wording import (
    FALLBACK,
    LANGUAGES,
    catalogue,
    name_dose,
    say,
    say_instant,
)

MOST_SEGMENTS = {
    "late": 1,
    "ask": 2,
    "ask_unheard": 2,
    "ask_unsure": 2,
    "reply_taken": 1,
    "reply_skip": 1,
    "reply_snooze": 1,
    "reply_nothing": 2,
    "reply_stop": 2,
    "reply_start": 2,
    "reply_help": 3,
    "reply_unclear": 3,
    "reply_stranger": 1,
}
DRUGS = ["Exemplin 5 mg", "Ю" * 99, "xa  b\n" * 99]
NAMING = ["late", "ask", "ask_unheard", "ask_unsure"]
NOW = datetime(2026, 9, 30, 20, 45, tzinfo=UTC)


def _words_in(sentence: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(sentence) if name}


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_every_language_says_everything_with_the_same_words(language: str) -> None:
    ours, english = catalogue(language), catalogue(FALLBACK)

    assert ours.keys() == english.keys()
    assert {key: _words_in(text) for key, text in ours.items()} == {
        key: _words_in(text) for key, text in english.items()
    }


@pytest.mark.parametrize(
    ("language", "key"), list(product(sorted(LANGUAGES), MOST_SEGMENTS))
)
def test_every_message_fits_its_limit(language: str, key: str) -> None:
    for month in range(12):
        since = say_instant(NOW - timedelta(days=30 * month), language, today=NOW)
        text = say(
            key, language, time="20:45", since=since, reference="WWWWWW", minutes="240"
        )

        assert segments(text) <= MOST_SEGMENTS[key], (len(text), text)


@pytest.mark.parametrize(
    ("language", "key", "drug"),
    list(product(sorted(LANGUAGES), NAMING, DRUGS)),
)
def test_a_drug_is_named_where_that_was_chosen_and_still_fits(
    language: str, key: str, drug: str
) -> None:
    words = {"time": "20:45", "since": "30 sept. 20:45", "reference": "WWWWWW"}
    named = say(key, language, dose=name_dose(drug, language), **words)
    bare = say(key, language, **words)

    assert drug[:10].split()[0] in named
    assert drug[:10].split()[0] not in bare.split()
    assert "\n" not in named
    assert segments(named) <= MOST_SEGMENTS[key] + 2, (len(named), named)


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_call_has_words_of_its_own_for_all_that_a_text_says(language: str) -> None:
    for key in NAMING:
        called = say(key, language, channel="voice", time="20:45", since="20:00")

        assert "Ref" not in called.split()
        assert called != say(
            key, language, time="20:45", since="20:00", reference="WWWWWW"
        )


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_twelve_months_have_names(language: str) -> None:
    assert len(catalogue(language)["months"].split()) == 12


def test_only_an_ask_speaks_of_taking_and_only_after_asking() -> None:
    text = say("late", "en", time="08:00", reference="ABC123")
    ask = say("ask", "en", time="08:00", since="07:10", reference="ABC123")

    assert "take" not in text
    assert "ask your clinic before you take it late" in ask


def test_an_unknown_language_is_answered_in_english_and_a_region_in_its_language() -> (
    None
):
    assert catalogue("mi") == catalogue("en")
    assert catalogue("de-CH") == catalogue("de")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("a" * 306, 2),
        ("a" * 307, 3),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("á" * 70, 1),
        ("á" * 71, 2),
        ("é" * 160, 1),
        ("", 1),
    ],
)
def test_counts_segments_as_the_network_does(text: str, expected: int) -> None:
    assert segments(text) == expected
