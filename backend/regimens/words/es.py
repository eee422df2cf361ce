"""Prescriptions in Spanish."""

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
    "1": ("dosis", "dosis"),
    "[iU]": ("unidad", "unidades"),
    "{tablet}": ("comprimido", "comprimidos"),
    "tablet": ("comprimido", "comprimidos"),
    "{puff}": ("inhalación", "inhalaciones"),
    "[drp]": ("gota", "gotas"),
    "ug": ("microgramo", "microgramos"),
}
SPANS = (("hora", "horas"), ("minuto", "minutos"), ("segundo", "segundos"))
MONTHS = (
    *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto"),
    *("septiembre", "octubre", "noviembre", "diciembre"),
)
PARTS_OF_DAY = (
    (6, "de madrugada"),
    (12, "por la mañana"),
    (14, "a mediodía"),
    (20, "por la tarde"),
)


def _dose(amount: Decimal, unit: str) -> str:
    one, many = UNITS.get(unit, (unit, unit))
    return f"{plain(amount).replace('.', ',')} {one if amount <= 1 else many}"


def _span(span: timedelta) -> str:
    number, unit = in_unit(span, SPANS)
    return f"{str(number).replace('.', ',')} {unit}"


def _days(number: int) -> str:
    return counted(number, "día", "días")


def _part_of_day(at: time) -> str:
    found = (words for until, words in PARTS_OF_DAY if at.hour < until)
    return next(found, "por la noche")


def _at(times: str) -> str:
    return f"{'a la' if times.startswith('01:') else 'a las'} {times}"


def _date(day: date, *, with_year: bool) -> str:
    named = f"{day.day} de {MONTHS[day.month - 1]}"
    return f"{named} de {day.year}" if with_year else named


def _weekly(every: int, days: str, at: str) -> str:
    return f"{days} {at}" if every == 1 else f"cada {every} semanas, {days} {at}"


def _monthly(every: int, day: int, at: str) -> str:
    on = f"el día {day}" + (" o el último" if day > 28 else "")
    return f"{on} de cada {'mes' if every == 1 else f'{every} meses'} {at}"


def _times_a_day(n: int) -> str:
    said = {0: "ninguna dosis", 1: "una vez al día", 2: "dos veces al día"}
    return said.get(n, f"{n} veces al día")


def _every(span: timedelta, since: str) -> str:
    number, unit = in_unit(span, SPANS)
    return f"cada {unit if number == 1 else _span(span)} desde el {since}"


def _as_needed(most: int | None, least: timedelta | None) -> str:
    parts = ["si es necesario"]
    if most is not None:
        parts.append(f"como máximo {most} dosis en 24 horas")
    if least is not None:
        parts.append(f"con al menos {_span(least)} entre dosis")
    return ", ".join(parts)


def _after_taken(every: timedelta, at: str | None, first: str) -> str:
    length = _span(every) if at is None else _days(every.days)
    parts = [f"{length} después de la última dosis tomada", *([at] if at else [])]
    return ", ".join([*parts, f"la primera el {first}"])


SPANISH = Words(
    daily="todos los días",
    then="; después, ",
    plus="; además, ",
    weekdays={
        Weekday.MON: "los lunes",
        Weekday.TUE: "los martes",
        Weekday.WED: "los miércoles",
        Weekday.THU: "los jueves",
        Weekday.FRI: "los viernes",
        Weekday.SAT: "los sábados",
        Weekday.SUN: "los domingos",
    },
    food={
        Food.BEFORE: "antes de comer",
        Food.WITH: "con la comida",
        Food.AFTER: "después de comer",
    },
    dose=_dose,
    part_of_day=_part_of_day,
    at=_at,
    listed=listed_with(" y "),
    date=_date,
    weekly=_weekly,
    monthly=_monthly,
    times_a_day=_times_a_day,
    every_days=lambda days, at: f"cada {_days(days)} {at}",
    cycle=lambda on, off, inner: f"{inner}, {_days(on)} de toma y {off} de descanso",
    every=_every,
    as_needed=_as_needed,
    after_taken=_after_taken,
    since=lambda day: f"desde el {day}",
    until=lambda day: f"hasta el {day}",
    weeks=lambda number: f"durante {counted(number, 'semana', 'semanas')}",
    days=lambda number: f"durante {_days(number)}",
    doses=lambda number: f"{number} dosis",
)
