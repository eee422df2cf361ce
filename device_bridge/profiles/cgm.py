"""Continuous glucose monitors: Continuous Glucose Monitoring Service 0x181F.

A reading counts the minutes of its session; when that began, `cgm_session` knows.
"""

from device_bridge.gatt.cgm import Reading, decode_readings
from device_bridge.gatt.uuids import CGM, CGM_MEASUREMENT
from device_bridge.measurement import (
    INTERSTITIAL_GLUCOSE,
    Measurement,
    doubts_among,
    read_vitals,
)
from device_bridge.profiles import Profile

# Below or above the device's range there is no value; limits of the patient are alerts.
DOUBTFUL = frozenset(
    (
        *("session_stopped", "sensor_type_incorrect", "sensor_malfunction"),
        *("general_fault", "temperature_too_high", "temperature_too_low"),
        *("below_device_range", "above_device_range"),
    )
)


def decode(payload: bytes) -> Measurement:
    """Return the glucose of the newest reading in a value."""
    return _measured(decode_readings(payload).records[-1])


def _measured(taken: Reading) -> Measurement:
    doubts = doubts_among(taken.status, DOUBTFUL)
    vitals, refused = read_vitals([(INTERSTITIAL_GLUCOSE, taken.glucose)], doubts)
    minutes = int(taken.time_offset.value or 0)
    return Measurement(vitals, refused, number=minutes, minutes=minutes, is_stored=True)


PROFILE = Profile(
    name="continuous glucose monitor",
    matches=lambda services: CGM in services,
    decoders={CGM_MEASUREMENT: decode},
    stores_records=False,
)
