"""Elapsed Time: the GHS time stamp (9 octets) and Current Elapsed Time 2BF2 (11)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import cached_property
from struct import Struct

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.coded import named
from device_bridge.gatt.fields import Fields
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
TICK_COUNTER, IS_UTC, OFFSET_USED, CURRENT_TIMELINE = 0x01, 0x02, 0x10, 0x20
SYNC_SOURCES = {
    0: "unknown",
    1: "ntp",
    2: "gps",
    3: "radio",
    4: "manual",
    5: "atomic",
    6: "cellular",
    7: "none",
}
SYNC_NTP, SYNC_NONE = 1, 7
APPLIES_DST, MANAGES_ZONE = 0x01, 0x02  # capabilities
STAMP = Struct("<BIHBb")  # the value of six octets in two parts
RESOLUTION_NAMES = ("1 s", "100 ms", "1 ms", "100 us")


class Resolution(IntEnum):
    """What one unit of the time value is; the numbers are those on the wire."""

    SECOND = 0
    TENTH = 1
    MILLISECOND = 2
    HUNDRED_MICROSECONDS = 3

    @property
    def microseconds(self) -> int:
        return (1_000_000, 100_000, 1_000, 100)[self]

    @property
    def fraction_digits(self) -> int:
        return (0, 1, 3, 4)[self]


RESOLUTIONS = tuple(Resolution)


@dataclass(frozen=True)
class ElapsedTime:
    """A device's clock value. `status` and `capabilities` exist in 2BF2 alone."""

    flags: int
    value: int
    sync_source: int
    offset_quarters: int
    status: int | None = None
    capabilities: int | None = None

    @property
    def tick_counter(self) -> bool:
        return bool(self.flags & TICK_COUNTER)

    @property
    def is_utc(self) -> bool:
        return bool(self.flags & IS_UTC)

    @property
    def offset_used(self) -> bool:
        return bool(self.flags & OFFSET_USED)

    @property
    def current_timeline(self) -> bool:
        return bool(self.flags & CURRENT_TIMELINE)

    @property
    def resolution(self) -> Resolution:
        return RESOLUTIONS[self.flags >> 2 & 3]

    @property
    def needs_set(self) -> bool:
        return bool((self.status or 0) & 1)

    @property
    def clock(self) -> datetime | None:
        """Return the face of the clock labelled as UTC, or None for a tick counter.

        None also when the value lies beyond the year 9999.
        """
        if self.tick_counter:
            return None
        try:
            return EPOCH + timedelta(
                microseconds=self.value * self.resolution.microseconds
            )
        except OverflowError:
            return None

    @cached_property
    def utc(self) -> datetime | None:
        """Return the instant, or None when the device does not say which zone it is."""
        face = self.clock
        if face is None or self.is_utc:
            return face
        if not self.offset_used:
            return None
        try:
            return face - timedelta(minutes=15 * self.offset_quarters)
        except OverflowError:
            return None

    def fields(self) -> Fields:
        """Return the fields of a stamp; 2BF2's own only where it has them."""
        shown: Fields = {
            "tick_counter": self.tick_counter,
            "utc": self.is_utc,
            "resolution": RESOLUTION_NAMES[self.resolution],
            "tz_dst_used": self.offset_used,
            "current_timeline": self.current_timeline,
            "time_value": self.value,
            "sync_source": named(self.sync_source, SYNC_SOURCES),
            "tz_dst_offset": Measured(self.offset_quarters * 15, "min"),
        }
        if (face := self.utc or self.clock) is not None:
            digits = self.resolution.fraction_digits
            fraction = f".{face.microsecond:06}"[: digits + 1] if digits else ""
            text = f"{face:%Y-%m-%dT%H:%M:%S}{fraction}"
            shown |= {"utc_time": text + "Z"} if self.utc else {"local_time": text}
        if self.status is not None:
            capabilities = self.capabilities or 0
            shown |= {
                "clock_needs_set": self.needs_set,
                "clock_applies_dst": bool(capabilities & APPLIES_DST),
                "clock_manages_tz": bool(capabilities & MANAGES_ZONE),
            }
        return shown

    def on_timeline(self, *, current: bool) -> "ElapsedTime":
        """Return the same stamp with the current-timeline flag set or cleared."""
        cleared = self.flags & ~CURRENT_TIMELINE
        return replace(self, flags=cleared | (CURRENT_TIMELINE if current else 0))

    def encode(self) -> bytes:
        """Return 9 octets, or 11 if status and capabilities are known."""
        value = self.value & 0xFFFFFFFF, self.value >> 32
        rest = self.sync_source, self.offset_quarters
        stamp = STAMP.pack(self.flags, *value, *rest)
        if self.status is None:
            return stamp
        return stamp + bytes([self.status, self.capabilities or 0])


def utc_stamp(
    at: datetime, *, current: bool = True, sync_source: int = SYNC_NTP
) -> ElapsedTime:
    """Return the stamp in UTC milliseconds for an aware instant from 2000 on."""
    flags = IS_UTC | Resolution.MILLISECOND << 2 | (CURRENT_TIMELINE if current else 0)
    milliseconds = max(0, (at - EPOCH) // timedelta(milliseconds=1))
    return ElapsedTime(flags, milliseconds, sync_source, 0)


def read_stamp(reader: Reader) -> ElapsedTime:
    """Return the next nine octets as a time stamp."""
    flags, low, high, sync_source, offset_quarters = reader.fields(STAMP)
    return ElapsedTime(flags, high << 32 | low, sync_source, offset_quarters)


def decode_elapsed_time(payload: bytes) -> ElapsedTime:
    """Return the value of 2BF2 as read (11 octets) or written (9)."""
    if len(payload) not in (9, 11):
        raise MalformedRecord("elapsed time", bytes(payload), "want 9 or 11 octets")
    reader = Reader("elapsed time", payload)
    stamp = read_stamp(reader)
    if not reader.left:
        return stamp
    return replace(stamp, status=reader.unsigned(1), capabilities=reader.unsigned(1))
