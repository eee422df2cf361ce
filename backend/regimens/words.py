"""The words in which prescriptions are told, a `Words` a language."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Protocol

from backend.regimens.timing import Weekday


class DateWords(Protocol):
    def __call__(self, day: date, *, with_year: bool) -> str: ...


@dataclass(frozen=True, slots=True)
class Words:
    """Every piece a sentence may need; pieces are joined by commas."""

    daily: str
    then: str
    weekdays: Mapping[Weekday, str]
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
    since: Callable[[str], str]
    until: Callable[[str], str]
    weeks: Callable[[int], str]
    doses: Callable[[int], str]


def _counted(number: object, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def _span(span: timedelta) -> str:
    seconds = span.total_seconds()
    for length, one, many in (
        (3600, "hour", "hours"),
        (60, "minute", "minutes"),
        (1, "second", "seconds"),
    ):
        if seconds % length == 0:
            return _counted(int(seconds // length), one, many)
    return f"{seconds:g} seconds"


# UCUM as people say it; any other unit is written as it is.
UNITS = {
    "1": ("dose", "doses"),
    "[iU]": ("unit", "units"),
    "{tablet}": ("tablet", "tablets"),
    "{puff}": ("puff", "puffs"),
    "[drp]": ("drop", "drops"),
    "ug": ("microgram", "micrograms"),
}


def _dose(amount: Decimal, unit: str) -> str:
    plain = f"{amount.normalize():f}"
    one, many = UNITS.get(unit, (unit, unit))
    return f"{plain} {one if amount <= 1 else many}"


def _part_of_day(at: time) -> str:
    for until, words in ((5, "nights"), (12, "mornings"), (18, "afternoons")):
        if at.hour < until:
            return words
    return "evenings" if at.hour < 22 else "nights"


def _listed(parts: Sequence[str]) -> str:
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[:-1] else parts)


MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)


def _date(day: date, *, with_year: bool) -> str:
    month = MONTHS[day.month - 1]
    return f"{day.day} {month} {day.year}" if with_year else f"{day.day} {month}"


def _ordinal(number: int) -> str:
    tens = 10 < number % 100 < 14
    return f"{number}{'th' if tens else ENDINGS.get(number % 10, 'th')}"


ENDINGS = {1: "st", 2: "nd", 3: "rd"}


def _every(number: int, what: str) -> str:
    return f"every {what}" if number == 1 else f"every {number} {what}s"


def _monthly(every: int, day: int, at: str) -> str:
    or_last = " or the last day" if day > 28 else ""
    return f"on the {_ordinal(day)}{or_last} of {_every(every, 'month')} {at}"


def _weekly(every: int, days: str, at: str) -> str:
    return f"{days} {at}" if every == 1 else f"{_every(every, 'week')} on {days} {at}"


def _as_needed(most: int | None, least: timedelta | None) -> str:
    parts = ["as needed"]
    if most is not None:
        parts.append(f"at most {_counted(most, 'dose', 'doses')} in 24 hours")
    if least is not None:
        parts.append(f"at least {_span(least)} apart")
    return ", ".join(parts)


def _times_a_day(n: int) -> str:
    said = {0: "no dose", 1: "once a day", 2: "twice a day"}
    return said.get(n, f"{n} times a day")


ENGLISH = Words(
    daily="daily",
    then="; then ",
    weekdays={
        Weekday.MON: "Mondays",
        Weekday.TUE: "Tuesdays",
        Weekday.WED: "Wednesdays",
        Weekday.THU: "Thursdays",
        Weekday.FRI: "Fridays",
        Weekday.SAT: "Saturdays",
        Weekday.SUN: "Sundays",
    },
    dose=_dose,
    part_of_day=_part_of_day,
    at=lambda times: f"at {times}",
    listed=_listed,
    date=_date,
    weekly=_weekly,
    monthly=_monthly,
    times_a_day=_times_a_day,
    every_days=lambda days, at: f"{_every(days, 'day')} {at}",
    cycle=lambda on, off, inner: (
        f"{inner}, {_counted(on, 'day', 'days')} on and {off} off"
    ),
    every=lambda span, since: f"every {_span(span)} from {since}",
    as_needed=_as_needed,
    since=lambda day: f"from {day}",
    until=lambda day: f"until {day}",
    weeks=lambda number: _counted(number, "week", "weeks"),
    doses=lambda number: _counted(number, "dose", "doses"),
)

WORDS: Mapping[str, Words] = {"en": ENGLISH}
