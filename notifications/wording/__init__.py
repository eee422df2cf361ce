"""The sentences patients read, one catalogue a language, all with the same keys.

A drug is never named, and a late reminder never says "take it now".
"""

import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path

FALLBACK = "en"
LANGUAGES = frozenset(found.stem for found in Path(__file__).parent.glob("*.toml"))


@cache
def catalogue(language: str) -> Mapping[str, str]:
    """Return the catalogue of a BCP 47 tag: its primary language, or English."""
    primary = language.split("-")[0].lower()
    name = primary if primary in LANGUAGES else FALLBACK
    with (Path(__file__).parent / f"{name}.toml").open("rb") as file:
        return tomllib.load(file)


def say(key: str, language: str, **words: str) -> str:
    """Return a sentence; raises KeyError for a key or a word that is missing."""
    return catalogue(language)[key].format_map(words)


def say_instant(at: datetime, language: str, *, today: datetime) -> str:
    """Return a local time of day, with the date when it is not that of `today`."""
    clock = f"{at:%H:%M}"
    if at.date() == today.date():
        return clock
    month = catalogue(language)["months"].split()[at.month - 1]
    return say("instant", language, day=str(at.day), month=month, time=clock)
