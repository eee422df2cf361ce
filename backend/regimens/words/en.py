"""Prescriptions in English."""

from datetime import date, time, timedelta
from decimal import Decimal

from backend.regimens.timing import Food, Weekday
from backend.regimens.words.lexicon import (
    Words,
    counted,
    in_unit,
    listed_with,
    plain,
)

# UCUM as people say it; any other unit is written as it is.
UNITS = {
    "1": ("dose", "doses"),
    "[iU]": ("unit", "units"),
    "{tablet}": ("tablet", "tablets"),
    "tablet": ("tablet", "tablets"),
    "{puff}": ("puff", "puffs"),
    "[drp]": ("drop", "drops"),
    "ug": ("microgram", "micrograms"),
}


def _dose(amount: Decimal, unit: str) -> str:
    one, many = UNITS.get(unit, (unit, unit))
    return f"{plain(amount)} {one if amount <= 1 else many}"


def _span(span: timedelta) -> str:
    number, unit = in_unit(span, SPANS)
    return f"{number} {unit}"


SPANS = (("hour", "hours"), ("minute", "minutes"), ("second", "seconds"))


def _part_of_day(at: time) -> str:
    for until, words in ((5, "nights"), (12, "mornings"), (18, "afternoons")):
        if at.hour < until:
            return words
    return "evenings" if at.hour < 22 else "nights"


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
        parts.append(f"at most {counted(most, 'dose', 'doses')} in 24 hours")
    if least is not None:
        parts.append(f"at least {_span(least)} apart")
    return ", ".join(parts)


def _times_a_day(n: int) -> str:
    said = {0: "no dose", 1: "once a day", 2: "twice a day"}
    return said.get(n, f"{n} times a day")


def _after_taken(every: timedelta, at: str | None, first: str) -> str:
    length = _span(every) if at is None else counted(every.days, "day", "days")
    parts = [f"{length} after the last dose taken", *([at] if at else [])]
    return ", ".join([*parts, f"first on {first}"])


ENGLISH = Words(
    daily="daily",
    then="; then ",
    plus="; and ",
    food={
        Food.BEFORE: "before food",
        Food.WITH: "with food",
        Food.AFTER: "after food",
    },
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
    listed=listed_with(" and "),
    date=_date,
    weekly=_weekly,
    monthly=_monthly,
    times_a_day=_times_a_day,
    every_days=lambda days, at: f"{_every(days, 'day')} {at}",
    cycle=lambda on, off, inner: (
        f"{inner}, {counted(on, 'day', 'days')} on and {off} off"
    ),
    every=lambda span, since: f"every {_span(span)} from {since}",
    as_needed=_as_needed,
    after_taken=_after_taken,
    since=lambda day: f"from {day}",
    until=lambda day: f"until {day}",
    weeks=lambda number: counted(number, "week", "weeks"),
    days=lambda number: counted(number, "day", "days"),
    doses=lambda number: counted(number, "dose", "doses"),
)
