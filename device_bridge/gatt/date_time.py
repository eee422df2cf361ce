"""Dates and times of devices that have a calendar: 2A08, 2A2B and their kin.

A device's calendar is local and says no zone: `local` is text, never an instant.
Layouts: GATT Specification Supplement; sections are named after the characteristics.
"""

from calendar import monthrange
from dataclasses import dataclass

from device_bridge.gatt.coded import named, named_bits, numbered
from device_bridge.gatt.fields import Fields, own_fields
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

FIRST_YEAR, LAST_YEAR = 1582, 9999
A_LEAP_YEAR = 2000  # an unknown year may have a 29 February
WEEKDAYS = numbered(
    (
        *("unknown", "Monday", "Tuesday", "Wednesday", "Thursday"),
        *("Friday", "Saturday", "Sunday"),
    )
)
ADJUSTMENTS = numbered(
    ("manual", "external_reference", "time_zone_change", "dst_change")
)
DST_MINUTES = {0: 0, 2: 30, 4: 60, 8: 120}
DST_UNKNOWN = 255
ZONE_UNKNOWN = -128
TIME_SOURCES = numbered(
    ("unknown", "ntp", "gps", "radio", "manual", "atomic", "cellular")
)
ACCURACY_OUT_OF_RANGE, ACCURACY_UNKNOWN = 254, 255
LONG_AGO = 255  # days or hours: 255 days or more


@dataclass(frozen=True, slots=True)
class DateTime:
    """A local date and time. Year, month and day are None where unknown."""

    year: int | None
    month: int | None
    day: int | None
    hour: int
    minute: int
    second: int

    @property
    def local(self) -> str | None:
        """Return ISO 8601 text without a zone, or None for an incomplete date."""
        if self.year is None or self.month is None or self.day is None:
            return None
        date = f"{self.year:04}-{self.month:02}-{self.day:02}"
        return f"{date}T{self.hour:02}:{self.minute:02}:{self.second:02}"

    def fields(self) -> Fields:
        """Return the parts and the text."""
        return own_fields(self) | {"local": self.local}


@dataclass(frozen=True, slots=True)
class CurrentTime:
    """Current Time 2A2B. The weekday is as sent; no date is derived from it."""

    date_time: DateTime
    day_of_week: str
    fractions256: Measured
    adjust_reason: tuple[str, ...]

    def fields(self) -> Fields:
        """Return the date and time beside the rest."""
        rest = own_fields(self)
        return rest.pop("date_time").fields() | rest


@dataclass(frozen=True, slots=True)
class Offset:
    offset: Measured


@dataclass(frozen=True, slots=True)
class LocalTimeInformation:
    time_zone: Measured
    dst_offset: Measured


@dataclass(frozen=True, slots=True)
class TimeWithDst:
    """The next change of daylight saving time, and the offset that holds from it."""

    date_time: DateTime
    dst_offset: Measured

    def fields(self) -> Fields:
        """Return the date and time beside the offset."""
        return self.date_time.fields() | {"dst_offset": self.dst_offset}


@dataclass(frozen=True, slots=True)
class ReferenceTimeInformation:
    """`time_since_update` in hours; 255 days and more are special."""

    source: str
    accuracy: Measured
    time_since_update: Measured


def _date_problem(year: int, month: int, day: int) -> str | None:
    if year and not FIRST_YEAR <= year <= LAST_YEAR:
        return f"year {year}"
    if month > 12:
        return f"month {month}"
    longest = monthrange(year or A_LEAP_YEAR, month)[1] if month else 31
    return f"day {day} of month {month}" if day > longest else None


def read_date_time(reader: Reader) -> DateTime:
    """Return the next seven octets; what is on no calendar is malformed."""
    year, month, day = reader.unsigned(2), reader.unsigned(1), reader.unsigned(1)
    hour, minute, second = reader.octets(3)
    if problem := _date_problem(year, month, day):
        raise reader.malformed(problem)
    if hour > 23 or minute > 59 or second > 59:
        raise reader.malformed(f"time {hour}:{minute}:{second}")
    return DateTime(year or None, month or None, day or None, hour, minute, second)


def read_time_zone(reader: Reader) -> Measured:
    """Return the next octet, a zone's offset in minutes."""
    quarters = reader.signed(1)
    if quarters == ZONE_UNKNOWN:
        return Measured(None, "min", "unknown")
    if not -48 <= quarters <= 56:
        raise reader.malformed(f"time zone of {quarters} quarters of an hour")
    return Measured(quarters * 15, "min")


def read_dst_offset(reader: Reader) -> Measured:
    """Return the next octet, what daylight saving time adds, in minutes."""
    code = reader.unsigned(1)
    if code == DST_UNKNOWN:
        return Measured(None, "min", "unknown")
    if code not in DST_MINUTES:
        raise reader.malformed(f"reserved DST offset {code}")
    return Measured(DST_MINUTES[code], "min")


def decode_date_time(payload: bytes) -> DateTime:
    """Return the value of 2A08."""
    reader = Reader("date time", payload)
    found = read_date_time(reader)
    reader.end()
    return found


def decode_current_time(payload: bytes) -> CurrentTime:
    """Return the value of 2A2B; a weekday above 7 is malformed."""
    reader = Reader("current time", payload)
    at, weekday = read_date_time(reader), reader.unsigned(1)
    if weekday not in WEEKDAYS:
        raise reader.malformed(f"weekday {weekday}")
    fractions, reason = reader.unsigned(1), reader.unsigned(1)
    reader.end()
    return CurrentTime(
        at,
        WEEKDAYS[weekday],
        Measured(fractions, "1/256 s"),
        named_bits(reason, ADJUSTMENTS),
    )


def decode_time_zone(payload: bytes) -> Offset:
    """Return the offset in 2A0E."""
    reader = Reader("time zone", payload)
    offset = read_time_zone(reader)
    reader.end()
    return Offset(offset)


def decode_dst_offset(payload: bytes) -> Offset:
    """Return the offset in 2A0D."""
    reader = Reader("DST offset", payload)
    offset = read_dst_offset(reader)
    reader.end()
    return Offset(offset)


def decode_local_time_information(payload: bytes) -> LocalTimeInformation:
    """Return the value of 2A0F."""
    reader = Reader("local time information", payload)
    found = LocalTimeInformation(read_time_zone(reader), read_dst_offset(reader))
    reader.end()
    return found


def decode_time_with_dst(payload: bytes) -> TimeWithDst:
    """Return the value of 2A11."""
    reader = Reader("time with DST", payload)
    found = TimeWithDst(read_date_time(reader), read_dst_offset(reader))
    reader.end()
    return found


def decode_reference_time(payload: bytes) -> ReferenceTimeInformation:
    """Return the value of 2A14; accuracy is in eighths of a second on the wire."""
    reader = Reader("reference time information", payload)
    source, accuracy, days, hours = reader.octets(4)
    reader.end()
    if hours > 23 and LONG_AGO not in (days, hours):
        raise reader.malformed(f"{hours} hours since the update")
    return ReferenceTimeInformation(
        named(source, TIME_SOURCES), _accuracy(accuracy), _since(days, hours)
    )


def _accuracy(eighths: int) -> Measured:
    if eighths == ACCURACY_UNKNOWN:
        return Measured(None, "s", "unknown")
    if eighths == ACCURACY_OUT_OF_RANGE:
        return Measured(None, "s", "out_of_range")
    return Measured(eighths / 8, "s")


def _since(days: int, hours: int) -> Measured:
    if LONG_AGO in (days, hours):
        return Measured(None, "h", "255_days_or_more")
    return Measured(24 * days + hours, "h")
