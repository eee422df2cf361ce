"""Continuous Glucose Monitoring Service 181F: 2AA7, 2AA8, 2AA9, 2AAA, 2AAB.

Every value may end with an E2E-CRC: two octets more than its fields need are one, and
it has to be right.
"""

from dataclasses import dataclass

from device_bridge.gatt.checksums import mcrf4xx
from device_bridge.gatt.coded import named_bits, numbered
from device_bridge.gatt.date_time import (
    DateTime,
    read_date_time,
    read_dst_offset,
    read_time_zone,
)
from device_bridge.gatt.glucose import read_type_and_location
from device_bridge.gatt.measured import Measured, sfloat
from device_bridge.gatt.reader import Reader

HAS_TREND, HAS_QUALITY = 0x01, 0x02
HAS_WARNING, HAS_CALIBRATION, HAS_STATUS = 0x20, 0x40, 0x80
STATUS_OCTETS = HAS_WARNING | HAS_CALIBRATION | HAS_STATUS
BARE_RECORD = 6  # size, flags, glucose and time offset
CRC_SIZE = 2
STATUS = {
    0: "session_stopped",
    1: "battery_low",
    2: "sensor_type_incorrect",
    3: "sensor_malfunction",
    4: "device_specific_alert",
    5: "general_fault",
    8: "time_sync_required",
    9: "calibration_not_allowed",
    10: "calibration_recommended",
    11: "calibration_required",
    12: "temperature_too_high",
    13: "temperature_too_low",
    16: "below_patient_low",
    17: "above_patient_high",
    18: "below_hypo",
    19: "above_hyper",
    20: "decrease_rate_exceeded",
    21: "increase_rate_exceeded",
    22: "below_device_range",
    23: "above_device_range",
}
E2E_CRC = 1 << 12
NO_CRC = 0xFFFF  # what a sensor without E2E-CRC sends in its place
FEATURES = numbered(
    (
        *("calibration", "patient_high_low_alerts", "hypo_alerts", "hyper_alerts"),
        *("rate_alerts", "device_specific_alert", "malfunction_detection"),
        *("temperature_high_low", "result_high_low", "low_battery"),
        *("sensor_type_error", "general_fault", "e2e_crc", "multiple_bond"),
        *("multiple_sessions", "trend", "quality"),
    )
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading, `time_offset` minutes after the session's start."""

    glucose: Measured
    time_offset: Measured
    status: tuple[str, ...] | None
    trend: Measured | None
    quality: Measured | None
    crc_present: bool


@dataclass(frozen=True, slots=True)
class Readings:
    records: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class SensorStatus:
    time_offset: Measured
    status: tuple[str, ...]
    crc_present: bool


@dataclass(frozen=True, slots=True)
class SensorFeature:
    features: tuple[str, ...]
    type: str
    location: str
    crc_checked: bool


@dataclass(frozen=True, slots=True)
class SessionStart:
    start: DateTime
    time_zone: Measured
    dst_offset: Measured
    crc_present: bool


@dataclass(frozen=True, slots=True)
class SessionRunTime:
    session_run_time: Measured
    crc_present: bool


def check_crc(reader: Reader) -> bool:
    """Return whether a CRC is what is left, and take it; a wrong one is malformed."""
    if not reader.left:
        return False
    if reader.left != CRC_SIZE:
        raise reader.malformed(f"{reader.left} octets behind the fields")
    said, computed = reader.unsigned(2), mcrf4xx(reader.payload[:-CRC_SIZE])
    if said != computed:
        raise reader.malformed(f"CRC {said:#06x}, want {computed:#06x}")
    return True


def _needed(flags: int) -> int:
    numbers = (flags & HAS_TREND).bit_count() + (flags & HAS_QUALITY).bit_count()
    return BARE_RECORD + (flags & STATUS_OCTETS).bit_count() + 2 * numbers


def _status(reader: Reader, flags: int) -> tuple[str, ...] | None:
    if not flags & STATUS_OCTETS:
        return None
    bits = reader.unsigned(1) if flags & HAS_STATUS else 0
    bits |= reader.unsigned(1) << 8 if flags & HAS_CALIBRATION else 0
    bits |= reader.unsigned(1) << 16 if flags & HAS_WARNING else 0
    return named_bits(bits, STATUS)


def _reading(whole: Reader) -> Reading:
    size = whole.payload[whole.at]
    reader = whole.part(size)
    if size < BARE_RECORD:
        raise reader.malformed(f"record of {size} octets")
    flags = reader.octets(2)[1]
    if size not in (_needed(flags), _needed(flags) + CRC_SIZE):
        raise reader.malformed(f"size {size} fits no record with flags {flags:#04x}")
    return Reading(
        sfloat(reader, "mg/dL"),
        Measured(reader.unsigned(2), "min"),
        _status(reader, flags),
        sfloat(reader, "mg/dL/min") if flags & HAS_TREND else None,
        sfloat(reader, "%") if flags & HAS_QUALITY else None,
        check_crc(reader),
    )


def decode_readings(payload: bytes) -> Readings:
    """Return the records of one value of 2AA7; one bad record spoils the value."""
    reader = Reader("CGM measurement", payload)
    if not reader.left:
        raise reader.malformed("no record")
    found: list[Reading] = []
    while reader.left:
        found.append(_reading(reader))
    return Readings(tuple(found))


def split_readings(payload: bytes) -> list[bytes]:
    """Return the records of one value of 2AA7, each as if it were alone there."""
    decode_readings(payload)
    rest, found = payload, list[bytes]()
    while rest:
        found.append(rest[: rest[0]])
        rest = rest[rest[0] :]
    return found


def decode_sensor_status(payload: bytes) -> SensorStatus:
    """Return the value of 2AA9."""
    reader = Reader("CGM status", payload)
    offset = Measured(reader.unsigned(2), "min")
    return SensorStatus(
        offset, named_bits(reader.unsigned(3), STATUS), check_crc(reader)
    )


def decode_sensor_feature(payload: bytes) -> SensorFeature:
    """Return the value of 2AA8; its CRC counts where the features name it.

    Without it the field is 0xFFFF, anything else is malformed: the flag itself may be
    what was damaged.
    """
    reader = Reader("CGM feature", payload)
    bits = reader.unsigned(3)
    kind, location = read_type_and_location(reader)
    checked = bool(bits & E2E_CRC)
    if checked and not check_crc(reader):
        raise reader.malformed("CRC announced and absent")
    if not checked and reader.unsigned(2) != NO_CRC:
        raise reader.malformed("a CRC that the features do not announce")
    reader.end()
    return SensorFeature(named_bits(bits, FEATURES), kind, location, checked)


def decode_session_start(payload: bytes) -> SessionStart:
    """Return the value of 2AAA."""
    reader = Reader("CGM session start time", payload)
    return SessionStart(
        read_date_time(reader),
        read_time_zone(reader),
        read_dst_offset(reader),
        check_crc(reader),
    )


def decode_session_run_time(payload: bytes) -> SessionRunTime:
    """Return the value of 2AAB, in hours."""
    reader = Reader("CGM session run time", payload)
    return SessionRunTime(Measured(reader.unsigned(2), "h"), check_crc(reader))
