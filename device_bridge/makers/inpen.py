"""InPen: its dose records and the values beside them. Records are big-endian.

Layout as read in open code; no bytes of a pen were at hand (see docs/bridge.md).
Characteristics are c8a1bfXX-bc3f-493c-af8d-ae9824f583c6.
"""

from dataclasses import dataclass

from device_bridge.gatt.checksums import cms
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

RECORD_SIZE, CHECKSUM_SIZE = 16, 2
TWENTIETH_MS = 50  # the pen counts twentieths of a second


@dataclass(frozen=True, slots=True)
class DoseRecord:
    """One movement of the plunger; negative units: it was wound back.

    `pen_time` is seconds since the pen was attached to its first reader. A record whose
    checksum is wrong is shown as it came and must not be counted as a dose.
    """

    index: int
    flags: int
    pen_time: Measured
    units: Measured
    is_rewind: bool
    temperature: Measured
    battery: Measured
    duration: Measured
    checksum_ok: bool


@dataclass(frozen=True, slots=True)
class PenTime:
    pen_time: Measured


@dataclass(frozen=True, slots=True)
class Index:
    index: int


def decode_dose(payload: bytes) -> DoseRecord:
    """Return the record in an indication of characteristic d1."""
    reader = Reader("InPen dose record", payload, "big")
    if len(payload) != RECORD_SIZE:
        raise reader.malformed(f"want {RECORD_SIZE} octets")
    index, flags, seconds = reader.unsigned(2), reader.unsigned(1), reader.unsigned(4)
    units = reader.signed(2) / 2
    temperature, battery = reader.signed(1), reader.signed(1)
    milliseconds = 1000 * seconds + TWENTIETH_MS * reader.unsigned(1)
    return DoseRecord(
        index,
        flags,
        Measured(milliseconds / 1000, "s"),
        Measured(units, "[iU]"),
        units < 0,
        Measured(temperature, "Cel"),
        Measured(battery, "%"),
        Measured(TWENTIETH_MS * reader.unsigned(2), "ms"),
        reader.unsigned(CHECKSUM_SIZE) == cms(reader.payload[:-CHECKSUM_SIZE]),
    )


def decode_pen_time(payload: bytes) -> PenTime:
    """Return the value of characteristic d4, which is little-endian."""
    reader = Reader("InPen pen time", payload)
    seconds = reader.unsigned(4)
    reader.end()
    return PenTime(Measured(seconds, "s"))


def decode_index(payload: bytes) -> Index:
    """Return the value of characteristics de (last index) and e0 (how many remain)."""
    reader = Reader("InPen index", payload)
    index = reader.unsigned(2)
    reader.end()
    return Index(index)
