"""Blood pressure monitors: Blood Pressure Service 0x1810."""

from device_bridge.gatt.blood_pressure import decode_blood_pressure
from device_bridge.gatt.uuids import BLOOD_PRESSURE, BLOOD_PRESSURE_MEASUREMENT
from device_bridge.measurement import (
    DIASTOLIC,
    HEART_RATE,
    MEAN_PRESSURE,
    SYSTOLIC,
    Measurement,
    doubts_among,
    face_of,
    read_vitals,
)
from device_bridge.profiles import Profile

# An irregular pulse is a finding about the patient, not about the measurement.
DOUBTFUL = frozenset({"body_movement", "cuff_too_loose", "improper_position"})


def decode(payload: bytes) -> Measurement:
    """Return pressures and pulse; none where the monitor says it measured badly."""
    taken = decode_blood_pressure(payload)
    beside = taken.circumstances
    vitals, refused = read_vitals(
        (
            (SYSTOLIC, taken.systolic),
            (DIASTOLIC, taken.diastolic),
            (MEAN_PRESSURE, taken.mean_arterial),
            (HEART_RATE, beside.pulse_rate),
        ),
        doubts_among(beside.status, DOUBTFUL),
    )
    return Measurement(vitals, refused, face_of(beside.timestamp), user=beside.user_id)


PROFILE = Profile(
    name="blood pressure monitor",
    matches=lambda services: BLOOD_PRESSURE in services,
    decoders={BLOOD_PRESSURE_MEASUREMENT: decode},
    stores_records=False,
)
