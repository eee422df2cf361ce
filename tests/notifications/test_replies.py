"""What patients write, and what it must never be taken for."""

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.replies import (
    LONGEST_SNOOZE,
    NOT_KNOWN,
    OPT_OUT,
    OUT_OF_BOUNDS,
    SNOOZE,
    Kind,
    Reply,
    by_kind,
    understand,
    understand_keys,
)
from notifications.wording import LANGUAGES, reply_words

KINDS: tuple[Kind, ...] = ("taken", "skip", "snooze", "stop", "start", "help")
DENIALS = [
    *("not", "no", "never", "haven't", "didn't", "don't", "nicht", "nein", "kein"),
    *("noch nicht", "nie", "nunca", "todavía no", "aún no", "jamás", "❌", "🚫", "👎"),
    *("?", "¿", "≠", "¬", "~", "almost", "will be", "maybe", "quizás", "vielleicht"),
]


def _phrases(kind: Kind) -> list[tuple[str, str]]:
    return [
        (language, phrase)
        for language in sorted(LANGUAGES)
        for phrase in by_kind(reply_words(language))[kind]
    ]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "TAKEN", "taken"),
        ("en", " Taken. ", "taken"),
        ("en", "taken!!! 👍🏽", "taken"),
        ("en", "✅ I\u2019ve taken it", "taken"),
        ("en", "ＴＡＫＥＮ", "taken"),  # noqa: RUF001
        ("en", "ta\u200bken", "taken"),
        ("de", "Hab's genommen", "taken"),
        ("de-AT", "genommen", "taken"),
        ("de", "taken", "taken"),
        ("es", "¡Tomado!", "taken"),
        ("es", "ya la tome", "taken"),
        ("en", "STOP", "stop"),
        ("de", "stopp", "stop"),
        ("es", "Alto", "stop"),
        ("en", "unsubscribe", "stop"),
        ("en", "Start", "start"),
        ("de", "Hilfe!", "help"),
        ("mi", "help", "help"),
        ("en", "1", "unclear"),
        ("en", "yes", "unclear"),
        ("en", "👍", "unclear"),
        ("en", "", "unclear"),
        ("en", "taken?", "unclear"),
        ("en", "!taken", "unclear"),
        ("en", "taken ❌", "unclear"),
        ("en", "t\u0336a\u0336k\u0336e\u0336n\u0336", "unclear"),
        ("en", "not taken", "unclear"),
        ("en", "(not) taken", "unclear"),
        ("de", "nicht genommen", "unclear"),
        ("de", "noch nicht", "unclear"),
        ("es", "no tomado", "unclear"),
        ("es", "no la tomé", "unclear"),
        ("en", "Liked “Your 21:00 dose has not been recorded yet”", "unclear"),
    ],
)
def test_reads_whole_messages(language: str, text: str, expected: str) -> None:
    assert understand(text, language).kind == expected


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("snooze", SNOOZE),
        ("SNOOZE 20", 20),
        ("snooze20", 20),
        ("Snooze for 1 hour", 60),
        ("remind me in 45 min.", 45),
        ("später 30", 30),
        ("in Spain: luego 30", None),
        ("recuérdame en 2 horas", 120),
        ("snooze 240", LONGEST_SNOOZE),
        ("snooze 241", None),
        ("snooze 5 h", None),
        ("snooze 0", None),
        ("snooze -5", 5),  # a dash is decoration
        ("snooze 123456", None),
        ("snooze 20 or 30", None),
        ("don't snooze 20", None),
    ],
)
def test_a_snooze_is_as_long_as_was_asked_or_a_person_is(
    text: str, minutes: int | None
) -> None:
    reply = understand(text, "en")

    assert (reply.kind, reply.minutes) == (
        "snooze" if minutes else "unclear",
        minutes,
    )


def test_a_snooze_beyond_its_bounds_says_so() -> None:
    assert understand("snooze 600", "en").reason == OUT_OF_BOUNDS


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("SKIP", "skip", ""),
        ("skip: Feeling sick", "skip", "Feeling sick"),
        ("Skip - my doctor said so", "skip", "my doctor said so"),
        ("ausgelassen, mir ist übel", "skip", "mir ist übel"),
        ("omitida por náuseas", "skip", "por náuseas"),
        ("skip? no", "unclear", NOT_KNOWN),
        ("skip, I have taken it already", "unclear", NOT_KNOWN),
        ("skip not", "unclear", NOT_KNOWN),
        ("skip and stop these", "unclear", OPT_OUT),
        ("don't skip", "unclear", NOT_KNOWN),
        ("skipping rope is fun", "skip", "rope is fun"),  # a person sees the reason
    ],
)
def test_a_skip_keeps_its_reason_and_no_second_meaning(
    text: str, kind: str, reason: str
) -> None:
    reply = understand(text, "en")

    assert (reply.kind, reply.reason) == (kind, reason)


@pytest.mark.parametrize(
    "text", ["STOP please", "please stop", "Stop it!!", "bitte stopp", "I want to quit"]
)
def test_stop_among_other_words_is_a_possible_opt_out_for_a_person(text: str) -> None:
    assert understand(text, "en") == Reply("unclear", reason=OPT_OUT, text=text)


@pytest.mark.parametrize(
    ("text", "kind", "reference"),
    [
        ("Taken 7K3QZ1", "taken", "7K3QZ1"),
        ("taken ref 7k3qz1", "taken", "7K3QZ1"),
        ("taken. Ref ABCDEF", "taken", "ABCDEF"),
        ("taken before", "unclear", ""),
        ("taken ABCDEF", "unclear", ""),
        ("snooze 20 7K3QZ1", "snooze", "7K3QZ1"),
        ("not taken 7K3QZ1", "unclear", "7K3QZ1"),
    ],
)
def test_a_quoted_reference_says_which_message_is_answered(
    text: str, kind: str, reference: str
) -> None:
    reply = understand(text, "en")

    assert (reply.kind, reply.reference) == (kind, reference)


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("1", Reply("taken", text="1")),
        ("2", Reply("snooze", SNOOZE, text="2")),
        ("3", Reply("help", text="3")),
        ("", Reply("unclear", reason=NOT_KNOWN)),
        ("11", Reply("unclear", reason=NOT_KNOWN, text="11")),
        ("*", Reply("unclear", reason=NOT_KNOWN, text="*")),
    ],
)
def test_keys_of_a_call(digits: str, expected: Reply) -> None:
    assert understand_keys(digits) == expected


def test_no_phrase_means_two_things_in_any_language() -> None:
    meant: dict[str, set[str]] = {}
    for kind in KINDS:
        for language, phrase in _phrases(kind):
            meant.setdefault(phrase.casefold(), set()).add(kind)
            assert understand(phrase, language).kind == kind
            assert all(understand(phrase, it).kind == kind for it in LANGUAGES)

    assert {phrase for phrase, kinds in meant.items() if len(kinds) > 1} == set()


def test_every_language_has_words_for_every_answer() -> None:
    for language in LANGUAGES:
        assert all(reply_words(language).values())


@pytest.mark.parametrize(
    ("denial", "after"), list(product(DENIALS, [False, True])), ids=str
)
def test_what_is_denied_or_doubted_is_never_taken(denial: str, *, after: bool) -> None:
    for language, phrase in _phrases("taken"):
        text = f"{phrase} {denial}" if after else f"{denial} {phrase}"
        for reader in LANGUAGES:
            assert understand(text, reader).kind != "taken", (language, text)


# Words around an answer that make no other answer of it.
AROUND = st.text(
    st.characters(categories=["L", "N", "P", "S", "Z"], codec="utf-8"), max_size=12
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(AROUND, st.sampled_from(_phrases("taken")), AROUND)
def test_words_beside_an_answer_make_it_a_persons(
    before: str, phrase: tuple[str, str], after: str
) -> None:
    language, said = phrase
    letters = "".join(sign for sign in before + after if sign.isalnum())

    reply = understand(f"{before} {said} {after}", language)

    assert reply.kind in {"unclear", "taken", "skip"}
    if letters and not reply.reference:
        phrases = {text.casefold() for _, text in _phrases("taken")}
        assert reply.kind != "taken" or " ".join(reply.text.split()).casefold() in (
            phrases
        )


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(max_size=200), st.sampled_from(sorted(LANGUAGES)))
def test_any_text_is_understood_or_a_persons_and_kept(text: str, language: str) -> None:
    reply = understand(text, language)

    assert reply.text == text.strip()
    assert (reply.minutes is not None) == (reply.kind == "snooze")
    assert reply.kind != "unclear" or reply.reason


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.integers(-10, 99_999))
def test_a_snooze_is_never_longer_than_its_bound(minutes: int) -> None:
    reply = understand(f"snooze {minutes} min", "en")

    assert (reply.minutes or 1) in range(1, LONGEST_SNOOZE + 1)
    assert (reply.kind == "snooze") == (1 <= abs(minutes) <= LONGEST_SNOOZE)


@pytest.mark.parametrize("said", _phrases("taken")[:3] + _phrases("stop")[:3])
def test_case_and_decoration_change_nothing(said: tuple[str, str]) -> None:
    language, phrase = said
    kind = understand(phrase, language).kind

    for text in (phrase.upper(), phrase.title(), f"“{phrase}”!", f"\n{phrase} 🙏\n"):
        assert understand(text, language).kind == kind
