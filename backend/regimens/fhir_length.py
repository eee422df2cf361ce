"""How long a FHIR Duration lasts from a start: real time, or days of the calendar."""

from calendar import monthrange
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from backend.regimens.fhir_json import Members, number, refuse_unknown, text
from backend.regimens.timing import BadTiming
from backend.regimens.zones import DAY, SECOND, first_instant, start_of, wall

SECONDS = {"s": 1, "min": 60, "h": 3600}
DAYS = {"d": 1, "wk": 7}
MONTHS = {"mo": 1, "a": 12}
UCUM = "http://unitsofmeasure.org"


def last_of(length: Members, start: date | datetime, zone: ZoneInfo) -> date | datetime:
    """Return the last moment of so long a time from `start`, that moment included.

    Five days from the 3rd end with the 7th; from the 3rd at 08:00 they end a second
    before 08:00 on the 8th. s, min and h are real time, d, wk, mo and a the calendar's.
    """
    refuse_unknown(length, "boundsDuration", {"value", "unit", "system", "code"})
    unit = text(length, "code") or text(length, "unit")
    if text(length, "system") not in (None, UCUM) or unit is None:
        raise BadTiming("boundsDuration has a unit of UCUM: s, min, h, d, wk, mo or a")
    value = number(length, "value")
    if unit in SECONDS:
        begun = start if isinstance(start, datetime) else start_of(start, zone)
        return begun + timedelta(seconds=float(value * SECONDS[unit])) - SECOND
    if value.denominator != 1:
        raise BadTiming(f"boundsDuration is whole {unit}, not {float(value):g}")
    if not isinstance(start, datetime):
        return _later(start, int(value), unit) - DAY
    local = wall(start, zone)
    over = datetime.combine(_later(local.date(), int(value), unit), local.time())
    return first_instant(over, zone) - SECOND


def after(last: date | datetime) -> date | datetime:
    """Return when what follows a bound begins: the next day, or the next second."""
    return last + (SECOND if isinstance(last, datetime) else DAY)


def _later(day: date, value: int, unit: str) -> date:
    if unit in DAYS:
        return day + timedelta(days=value * DAYS[unit])
    if unit not in MONTHS:
        raise BadTiming(f"boundsDuration is in s, min, h, d, wk, mo or a, not {unit!r}")
    months = day.month - 1 + value * MONTHS[unit]
    year, month = day.year + months // 12, months % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))
