"""Pulse oximeters: Pulse Oximeter Service 0x1822, spot checks and streams."""

from device_bridge.gatt.pulse_oximeter import (
    Continuous,
    SpotCheck,
    decode_continuous,
    decode_spot_check,
)
from device_bridge.gatt.uuids import PLX_CONTINUOUS, PLX_SPOT_CHECK, PULSE_OXIMETER
from device_bridge.measurement import (
    HEART_RATE,
    OXYGEN_SATURATION,
    Measurement,
    Vital,
    doubts_among,
    face_of,
    read_vitals,
)
from device_bridge.profiles import Profile

# What says that the value is none, or not yet. A poor signal or low perfusion does not.
DOUBTFUL = frozenset(
    (
        *("early_estimate", "demo", "test", "calibrating"),
        *("unavailable", "questionable", "invalid"),
        *("equipment_malfunction", "inadequate_signal", "erratic_signal"),
        *("nonpulsatile_signal", "questionable_pulse", "signal_analysis_ongoing"),
        *("sensor_unconnected_to_user", "unknown_sensor_connected"),
        *("sensor_displaced", "sensor_malfunctioning", "sensor_disconnected"),
    )
)


def _vitals(
    taken: SpotCheck | Continuous,
) -> tuple[tuple[Vital, ...], tuple[str, ...]]:
    status = (*(taken.measurement_status or ()), *(taken.device_status or ()))
    return read_vitals(
        ((OXYGEN_SATURATION, taken.spo2), (HEART_RATE, taken.pulse_rate)),
        doubts_among(status, DOUBTFUL),
    )


def decode_spot(payload: bytes) -> Measurement:
    """Return a spot check; one from the memory may have been made long ago."""
    taken = decode_spot_check(payload)
    vitals, refused = _vitals(taken)
    face = None if taken.device_clock_not_set else face_of(taken.timestamp)
    stored = "from_storage" in (taken.measurement_status or ())
    return Measurement(vitals, refused, face, is_stored=stored)


def decode_stream(payload: bytes) -> Measurement:
    """Return one of a stream, the values averaged as usual, not the fast or slow."""
    taken = decode_continuous(payload)
    vitals, refused = _vitals(taken)
    stored = "from_storage" in (taken.measurement_status or ())
    return Measurement(vitals, refused, is_stored=stored, momentary=True)


PROFILE = Profile(
    name="pulse oximeter",
    matches=lambda services: PULSE_OXIMETER in services,
    decoders={PLX_SPOT_CHECK: decode_spot, PLX_CONTINUOUS: decode_stream},
    stores_records=False,
)
