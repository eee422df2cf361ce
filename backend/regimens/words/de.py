"""Prescriptions in German."""

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

UNITS = {
    "1": ("Dosis", "Dosen"),
    "[iU]": ("Einheit", "Einheiten"),
    "{tablet}": ("Tablette", "Tabletten"),
    "tablet": ("Tablette", "Tabletten"),
    "{puff}": ("Hub", "Hübe"),
    "[drp]": ("Tropfen", "Tropfen"),
    "ug": ("Mikrogramm", "Mikrogramm"),
}
SPANS = (("Stunde", "Stunden"), ("Minute", "Minuten"), ("Sekunde", "Sekunden"))
MONTHS = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August"),
    *("September", "Oktober", "November", "Dezember"),
)
PARTS_OF_DAY = (
    (5, "nachts"),
    (11, "morgens"),
    (14, "mittags"),
    (18, "nachmittags"),
    (22, "abends"),
)


def _dose(amount: Decimal, unit: str) -> str:
    one, many = UNITS.get(unit, (unit, unit))
    return f"{plain(amount).replace('.', ',')} {one if amount <= 1 else many}"


def _span(span: timedelta) -> str:
    number, unit = in_unit(span, SPANS)
    return f"{str(number).replace('.', ',')} {unit}"


def _days(number: int) -> str:
    return counted(number, "Tag", "Tage")


def _part_of_day(at: time) -> str:
    return next((words for until, words in PARTS_OF_DAY if at.hour < until), "nachts")


def _date(day: date, *, with_year: bool) -> str:
    month = MONTHS[day.month - 1]
    return f"{day.day}. {month} {day.year}" if with_year else f"{day.day}. {month}"


def _weekly(every: int, days: str, at: str) -> str:
    return f"{days} {at}" if every == 1 else f"alle {every} Wochen {days} {at}"


def _monthly(every: int, day: int, at: str) -> str:
    on = f"am {day}. oder letzten Tag" if day > 28 else f"am {day}."
    months = "jedes Monats" if every == 1 else f"alle {every} Monate"
    return f"{on} {months} {at}"


def _times_a_day(n: int) -> str:
    said = {0: "keine Dosis", 1: "einmal täglich", 2: "zweimal täglich"}
    return said.get(n, f"{n}-mal täglich")


def _every(span: timedelta, since: str) -> str:
    number, unit = in_unit(span, SPANS)
    often = f"jede {unit}" if number == 1 else f"alle {_span(span)}"
    return f"{often} ab {since}"


def _as_needed(most: int | None, least: timedelta | None) -> str:
    parts = ["bei Bedarf"]
    if most is not None:
        parts.append(f"höchstens {counted(most, 'Dosis', 'Dosen')} in 24 Stunden")
    if least is not None:
        parts.append(f"mindestens {_span(least)} Abstand")
    return ", ".join(parts)


def _after_taken(every: timedelta, at: str | None, first: str) -> str:
    length = _span(every) if at is None else _days(every.days)
    parts = [f"{length} nach der letzten genommenen Dosis", *([at] if at else [])]
    return ", ".join([*parts, f"zuerst am {first}"])


GERMAN = Words(
    daily="täglich",
    then="; danach ",
    plus="; dazu ",
    weekdays={
        Weekday.MON: "montags",
        Weekday.TUE: "dienstags",
        Weekday.WED: "mittwochs",
        Weekday.THU: "donnerstags",
        Weekday.FRI: "freitags",
        Weekday.SAT: "samstags",
        Weekday.SUN: "sonntags",
    },
    food={
        Food.BEFORE: "vor dem Essen",
        Food.WITH: "zum Essen",
        Food.AFTER: "nach dem Essen",
    },
    dose=_dose,
    part_of_day=_part_of_day,
    at=lambda times: f"um {times} Uhr",
    listed=listed_with(" und "),
    date=_date,
    weekly=_weekly,
    monthly=_monthly,
    times_a_day=_times_a_day,
    every_days=lambda days, at: f"alle {_days(days)} {at}",
    cycle=lambda on, off, inner: f"{inner}, {_days(on)} lang, dann {_days(off)} Pause",
    every=_every,
    as_needed=_as_needed,
    after_taken=_after_taken,
    since=lambda day: f"ab {day}",
    until=lambda day: f"bis {day}",
    weeks=lambda number: f"{counted(number, 'Woche', 'Wochen')} lang",
    days=lambda number: f"{_days(number)} lang",
    doses=lambda number: counted(number, "Dosis", "Dosen"),
)
