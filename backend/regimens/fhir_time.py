"""FHIR R4 date, dateTime and time, read strictly."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time
from typing import Literal

from backend.regimens.timing import BadTiming

FIRST_YEAR, LAST_YEAR = 1900, 2200  # beyond them nobody takes a dose

DATE = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)
INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII
)
TIME_OF_DAY = re.compile(r"(\d\d:\d\d(?::\d\d)?)(?:\.0+)?", re.ASCII)


def read_bound(value: object, side: Literal["start", "end"]) -> date | datetime | None:
    """Return a bound of a Period: an instant in UTC, or the day it begins or ends on.

    A year or a month bounds from its first day to its last. Fractions of a second
    are cut off. Raises BadTiming, also for a time without an offset.
    """
    if value is None:
        return None
    if not isinstance(value, str) or "T" in value:
        return read_instant(value, f"boundsPeriod.{side}")
    parts = DATE.fullmatch(value)
    if parts is None:
        raise BadTiming(f"boundsPeriod.{side} is a date, not {value[:40]!r}")
    year, month, day = (int(part) if part else None for part in parts.groups())
    first = _day(value, year, month or 1, day or 1)
    if side == "start" or day:
        return first
    month = month or 12
    return date(first.year, month, monthrange(first.year, month)[1])


def read_instant(value: object, what: str) -> datetime:
    """Return a FHIR dateTime that has a time and an offset, in UTC, whole seconds."""
    parts = INSTANT.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise BadTiming(
            f"{what} is a time with seconds and offset, not {str(value)[:40]!r}"
        )
    stamp, offset = parts.groups()
    _year_in_range(int(stamp[:4]), stamp)
    try:
        at = datetime.fromisoformat(stamp + offset)
    except ValueError as error:
        raise BadTiming(f"{what}: there is no {value}") from error
    return at.astimezone(UTC)


def read_time_of_day(value: object) -> time:
    """Return a FHIR time; seconds may be left out, fractions may not be."""
    parts = TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if parts is None:
        raise BadTiming(f"timeOfDay is written 08:00:00, not {str(value)[:40]!r}")
    try:
        return time.fromisoformat(parts[1])
    except ValueError as error:
        raise BadTiming(f"timeOfDay: there is no {value}") from error


def read_day(text: str, what: str) -> date:
    """Return a whole date written YYYY-MM-DD."""
    parts = DATE.fullmatch(text)
    if parts is None or parts[3] is None:
        raise BadTiming(f"{what} is a date like 2026-03-28, not {text[:40]!r}")
    return _day(text, int(parts[1]), int(parts[2]), int(parts[3]))


def _day(text: str, year: int | None, month: int, day: int) -> date:
    _year_in_range(year or 0, text)
    try:
        return date(year or 0, month, day)
    except ValueError as error:
        raise BadTiming(f"there is no {text}") from error


def _year_in_range(year: int, text: str) -> None:
    if not FIRST_YEAR <= year <= LAST_YEAR:
        raise BadTiming(f"{text} lies outside {FIRST_YEAR} to {LAST_YEAR}")
