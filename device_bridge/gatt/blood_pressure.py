"""Blood Pressure Service 1810: 2A35, 2A36, 2A49."""

from dataclasses import dataclass

from device_bridge.gatt.coded import named, named_bits, numbered
from device_bridge.gatt.date_time import DateTime, read_date_time
from device_bridge.gatt.fields import Fields, own_fields
from device_bridge.gatt.measured import Measured, sfloat
from device_bridge.gatt.reader import Reader

KILOPASCAL, HAS_TIME, HAS_PULSE, HAS_USER, HAS_STATUS = 0x01, 0x02, 0x04, 0x08, 0x10
USER_UNKNOWN = 255
STATUS = {
    0: "body_movement",
    1: "cuff_too_loose",
    2: "irregular_pulse",
    5: "improper_position",
}
PULSE_RANGE = numbered(("in_range", "above_upper", "below_lower"))
FEATURES = numbered(
    (
        *("body_movement_detection", "cuff_fit_detection", "irregular_pulse_detection"),
        *("pulse_rate_range_detection", "position_detection", "multiple_bond"),
        *("e2e_crc", "user_data", "user_facing_time"),
    )
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What comes with a pressure; None where not sent.

    `user_id` is "unknown" where the device says so.
    """

    timestamp: DateTime | None
    pulse_rate: Measured | None
    user_id: int | str | None
    status: tuple[str, ...] | None
    pulse_rate_range: str | None


@dataclass(frozen=True, slots=True)
class BloodPressure:
    systolic: Measured
    diastolic: Measured
    mean_arterial: Measured
    circumstances: Circumstances

    def fields(self) -> Fields:
        """Return the pressures beside what came with them."""
        pressures = own_fields(self)
        return pressures | own_fields(pressures.pop("circumstances"))


@dataclass(frozen=True, slots=True)
class CuffPressure:
    """The pressure in the cuff while a measurement is made."""

    cuff_pressure: Measured
    circumstances: Circumstances

    def fields(self) -> Fields:
        """Return the pressure beside what came with it."""
        return {"cuff_pressure": self.cuff_pressure} | own_fields(self.circumstances)


@dataclass(frozen=True, slots=True)
class BloodPressureFeature:
    features: tuple[str, ...]


def read_user(reader: Reader) -> int | str:
    """Return the next octet, the index of a user, or "unknown"."""
    index = reader.unsigned(1)
    return "unknown" if index == USER_UNKNOWN else index


def _circumstances(reader: Reader, flags: int) -> Circumstances:
    timestamp = read_date_time(reader) if flags & HAS_TIME else None
    pulse_rate = sfloat(reader, "/min") if flags & HAS_PULSE else None
    user = read_user(reader) if flags & HAS_USER else None
    if not flags & HAS_STATUS:
        return Circumstances(timestamp, pulse_rate, user, None, None)
    bits = reader.unsigned(2)
    status, pulse_range = named_bits(bits, STATUS), named(bits >> 3 & 3, PULSE_RANGE)
    return Circumstances(timestamp, pulse_rate, user, status, pulse_range)


def _pressures(reader: Reader) -> tuple[int, list[Measured]]:
    flags = reader.unsigned(1)
    unit = "kPa" if flags & KILOPASCAL else "mm[Hg]"
    return flags, [sfloat(reader, unit) for _ in range(3)]


def decode_blood_pressure(payload: bytes) -> BloodPressure:
    """Return the value of 2A35."""
    reader = Reader("blood pressure measurement", payload)
    flags, (systolic, diastolic, mean) = _pressures(reader)
    return BloodPressure(systolic, diastolic, mean, _circumstances(reader, flags))


def decode_cuff_pressure(payload: bytes) -> CuffPressure:
    """Return the value of 2A36; its second and third pressure are not used."""
    reader = Reader("intermediate cuff pressure", payload)
    flags, (pressure, _, _) = _pressures(reader)
    return CuffPressure(pressure, _circumstances(reader, flags))


def decode_blood_pressure_feature(payload: bytes) -> BloodPressureFeature:
    """Return the value of 2A49; a newer revision may add octets."""
    reader = Reader("blood pressure feature", payload)
    return BloodPressureFeature(named_bits(reader.unsigned(2), FEATURES))
