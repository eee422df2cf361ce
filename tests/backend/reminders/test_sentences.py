"""Every sentence of the ladder exists, fits its limit, and says no more than it may."""

from itertools import product

import pytest

from notifications.segments import segments
from notifications.wording import LANGUAGES, catalogue, say

MOST_SEGMENTS = {
    "nudge": 1,
    "nudge_some": 1,
    "late_some": 1,
    "ask_no_box": 2,
    "ask_some": 2,
    "caregiver": 2,
    "unanswered": 1,
} | {key: 2 for key in catalogue("en") if key.startswith("answered_")}
WORDS = {
    "time": "08:00, 08:05, 20:00",
    "count": "12",
    "name": "Maximiliane",
    "reference": "WWWWWW",
}
NOW_WORDS = ("now", "jetzt", "ahora")


@pytest.mark.parametrize(
    ("language", "key"), list(product(sorted(LANGUAGES), MOST_SEGMENTS))
)
def test_a_sentence_fits_and_never_says_to_take_it_now(language: str, key: str) -> None:
    text = say(key, language, **WORDS)

    assert segments(text) <= MOST_SEGMENTS[key], (len(text), text)
    words = text.lower().replace(".", " ").split()
    assert not set(words) & set(NOW_WORDS) or key == "answered_known"


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_a_caregiver_learns_neither_drug_nor_dose_nor_time(language: str) -> None:
    text = say("caregiver", language, **WORDS).lower()

    for word in ("dos", "medic", "medik", "pill", "tablet", "08:00", "box"):
        assert word not in text
