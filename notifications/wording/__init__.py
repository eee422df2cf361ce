"""The sentences patients read, one catalogue a language, all with the same keys.

A drug is named only where the patient chose so (`name_dose`), and a late reminder never
says "take it now". Beside the sentences stand the words by which patients answer, under
`replies`.
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

FALLBACK, REPLIES = "en", "replies"
LONGEST_DRUG = 30
LANGUAGES = frozenset(found.stem for found in Path(__file__).parent.glob("*.toml"))


class Replies(TypedDict):
    """Phrases that answer as a whole message, and the words of a snooze's length.

    `deny` are words that turn an answer round, so that no reason may hold them.
    """

    taken: list[str]
    skip: list[str]
    snooze: list[str]
    stop: list[str]
    start: list[str]
    help: list[str]
    ahead: list[str]
    minutes: list[str]
    hours: list[str]
    deny: list[str]


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the catalogue of a BCP 47 tag: its primary language, or English."""
    return {key: said for key, said in _read(_name(language)).items() if key != REPLIES}


def reply_words(language: str) -> Replies:
    """Return the words by which a reader of this language answers, or the English."""
    return _read(_name(language))[REPLIES]


def _name(language: str) -> str:
    primary = language.split("-")[0].lower()
    return primary if primary in LANGUAGES else FALLBACK


@cache
def _read(name: str) -> dict[str, Any]:
    with (Path(__file__).parent / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def say(key: str, language: str, *, channel: str = "", **words: str) -> str:
    """Return a sentence; raises KeyError for a key or a word that is missing.

    As `channel` says it, where that has words of its own: a call reads no reference
    aloud. `dose` is the bare word unless it is given: see `name_dose`.
    """
    known = catalogue(language)
    sentence = known.get(f"{key}_{channel}", known[key])
    return sentence.format_map({"dose": known["dose"], **words})


def name_dose(drug: str, language: str) -> str:
    """Return a dose by its drug, cut to LONGEST_DRUG signs, for who chose to read it.

    Never without the patient's consent to it: messages are read over shoulders.
    """
    name = " ".join(drug.split())
    if len(name) > LONGEST_DRUG:
        name = name[: LONGEST_DRUG - 1].rstrip() + "."
    return say("dose_named", language, drug=name)


def say_instant(at: datetime, language: str, *, today: datetime) -> str:
    """Return a local time of day, with the date when it is not that of `today`."""
    clock = f"{at:%H:%M}"
    if at.date() == today.date():
        return clock
    month = catalogue(language)["months"].split()[at.month - 1]
    return say("instant", language, day=str(at.day), month=month, time=clock)
