"""The words in which prescriptions are told, one file a language."""

from collections.abc import Mapping

from backend.regimens.words.de import GERMAN
from backend.regimens.words.en import ENGLISH
from backend.regimens.words.es import SPANISH
from backend.regimens.words.lexicon import Words

WORDS: Mapping[str, Words] = {"de": GERMAN, "en": ENGLISH, "es": SPANISH}
