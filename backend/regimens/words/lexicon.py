"""What a language must be able to say of a prescription."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Protocol

from backend.regimens.timing import Food, Weekday

LENGTHS = (3600, 60, 1)  # seconds of an hour, a minute, a second


class DateWords(Protocol):
    def __call__(self, day: date, *, with_year: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class Words:
    """Every piece a sentence may need; pieces are joined by commas.

    `then` joins phases that follow each other, `plus` parts that hold together.
    """

    daily: str
    then: str
    plus: str
    weekdays: Mapping[Weekday, str]
    food: Mapping[Food, str]
    dose: Callable[[Decimal, str], str]
    part_of_day: Callable[[time], str]
    at: Callable[[str], str]
    listed: Callable[[Sequence[str]], str]
    date: DateWords
    weekly: Callable[[int, str, str], str]
    monthly: Callable[[int, int, str], str]
    times_a_day: Callable[[int], str]
    every_days: Callable[[int, str], str]
    cycle: Callable[[int, int, str], str]
    every: Callable[[timedelta, str], str]
    as_needed: Callable[[int | None, timedelta | None], str]
    after_taken: Callable[[timedelta, str | None, str], str]
    since: Callable[[str], str]
    until: Callable[[str], str]
    weeks: Callable[[int], str]
    days: Callable[[int], str]
    doses: Callable[[int], str]


def counted(number: object, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def plain(amount: Decimal) -> str:
    """Return an amount without an exponent or noughts that say nothing."""
    return f"{amount.normalize():f}"


def in_unit(span: timedelta, names: Sequence[tuple[str, str]]) -> tuple[object, str]:
    """Return a span as a number and its unit, the longest that is whole.

    `names` are one and many of hours, minutes and seconds.
    """
    seconds = span.total_seconds()
    for length, (one, many) in zip(LENGTHS, names, strict=True):
        if seconds % length == 0:
            number = int(seconds // length)
            return number, one if number == 1 else many
    return f"{seconds:g}", names[-1][1]


def listed_with(last: str) -> Callable[[Sequence[str]], str]:
    """Return what joins parts by commas, the last by a word."""

    def listed(parts: Sequence[str]) -> str:
        return last.join([", ".join(parts[:-1]), parts[-1]] if parts[:-1] else parts)

    return listed
