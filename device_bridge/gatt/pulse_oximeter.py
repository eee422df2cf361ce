"""Pulse Oximeter Service 1822: 2A5E, 2A5F, 2A60."""

from dataclasses import dataclass

from device_bridge.gatt.coded import named_bits, numbered
from device_bridge.gatt.date_time import DateTime, read_date_time
from device_bridge.gatt.measured import Measured, sfloat
from device_bridge.gatt.reader import Reader

SPOT_TIME, SPOT_STATUS, SPOT_DEVICE, SPOT_AMPLITUDE = 0x01, 0x02, 0x04, 0x08
SPOT_CLOCK_NOT_SET = 0x10
FAST, SLOW, STATUS, DEVICE, AMPLITUDE = 0x01, 0x02, 0x04, 0x08, 0x10
MEASUREMENT_STATUS = numbered(
    (
        *("ongoing", "early_estimate", "validated", "fully_qualified"),
        *("from_storage", "demo", "test", "calibrating"),
        *("unavailable", "questionable", "invalid"),
    ),
    first=5,
)
DEVICE_STATUS = numbered(
    (
        *("extended_display_update", "equipment_malfunction"),
        *("signal_processing_irregularity", "inadequate_signal", "poor_signal"),
        *("low_perfusion", "erratic_signal", "nonpulsatile_signal"),
        *("questionable_pulse", "signal_analysis_ongoing", "sensor_interference"),
        *("sensor_unconnected_to_user", "unknown_sensor_connected"),
        *("sensor_displaced", "sensor_malfunctioning", "sensor_disconnected"),
    )
)
HAS_MEASUREMENT_SUPPORT, HAS_DEVICE_SUPPORT = 0x01, 0x02
FEATURES = numbered(
    (
        *("measurement_status", "device_status", "spot_check_storage"),
        *("spot_check_timestamp", "spo2_fast", "spo2_slow"),
        *("pulse_amplitude_index", "multiple_bond"),
    )
)


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """One measurement of a person at rest; None where not sent."""

    spo2: Measured
    pulse_rate: Measured
    timestamp: DateTime | None
    measurement_status: tuple[str, ...] | None
    device_status: tuple[str, ...] | None
    pulse_amplitude_index: Measured | None
    device_clock_not_set: bool


@dataclass(frozen=True, slots=True)
class Continuous:
    """One of a stream of measurements; fast and slow differ in how long they average.

    None where not sent.
    """

    spo2: Measured
    pulse_rate: Measured
    spo2_fast: Measured | None
    pulse_rate_fast: Measured | None
    spo2_slow: Measured | None
    pulse_rate_slow: Measured | None
    measurement_status: tuple[str, ...] | None
    device_status: tuple[str, ...] | None
    pulse_amplitude_index: Measured | None


@dataclass(frozen=True, slots=True)
class OximeterFeatures:
    """What is supported; the two status lists are None where not sent."""

    features: tuple[str, ...]
    measurement_status: tuple[str, ...] | None
    device_status: tuple[str, ...] | None


def _measurement_status(reader: Reader) -> tuple[str, ...]:
    return named_bits(reader.unsigned(2), MEASUREMENT_STATUS)


def _device_status(reader: Reader) -> tuple[str, ...]:
    return named_bits(reader.unsigned(3), DEVICE_STATUS)


def decode_spot_check(payload: bytes) -> SpotCheck:
    """Return the value of 2A5E."""
    reader = Reader("PLX spot-check measurement", payload)
    flags = reader.unsigned(1)
    return SpotCheck(
        sfloat(reader, "%"),
        sfloat(reader, "/min"),
        read_date_time(reader) if flags & SPOT_TIME else None,
        _measurement_status(reader) if flags & SPOT_STATUS else None,
        _device_status(reader) if flags & SPOT_DEVICE else None,
        sfloat(reader, "%") if flags & SPOT_AMPLITUDE else None,
        bool(flags & SPOT_CLOCK_NOT_SET),
    )


def decode_continuous(payload: bytes) -> Continuous:
    """Return the value of 2A5F."""
    reader = Reader("PLX continuous measurement", payload)
    flags = reader.unsigned(1)
    return Continuous(
        sfloat(reader, "%"),
        sfloat(reader, "/min"),
        sfloat(reader, "%") if flags & FAST else None,
        sfloat(reader, "/min") if flags & FAST else None,
        sfloat(reader, "%") if flags & SLOW else None,
        sfloat(reader, "/min") if flags & SLOW else None,
        _measurement_status(reader) if flags & STATUS else None,
        _device_status(reader) if flags & DEVICE else None,
        sfloat(reader, "%") if flags & AMPLITUDE else None,
    )


def decode_oximeter_features(payload: bytes) -> OximeterFeatures:
    """Return the value of 2A60."""
    reader = Reader("PLX features", payload)
    bits = reader.unsigned(2)
    return OximeterFeatures(
        named_bits(bits, FEATURES),
        _measurement_status(reader) if bits & HAS_MEASUREMENT_SUPPORT else None,
        _device_status(reader) if bits & HAS_DEVICE_SUPPORT else None,
    )
