"""Heart-rate wearables: Heart Rate Service 0x180D."""

from device_bridge.gatt.heart_rate import decode_heart_rate
from device_bridge.gatt.uuids import HEART_RATE_MEASUREMENT, HEART_RATE_SERVICE
from device_bridge.measurement import HEART_RATE, Measurement, Vital
from device_bridge.profiles import Profile


def decode(payload: bytes) -> Measurement:
    """Return beats per minute; none while the sensor has no contact or no pulse."""
    taken = decode_heart_rate(payload)
    if taken.contact is False:
        return Measurement((), ("no contact",), momentary=True)
    if not taken.beats:
        return Measurement((), ("no pulse",), momentary=True)
    beats = Vital(HEART_RATE, float(taken.beats))
    return Measurement((beats,), momentary=True)


PROFILE = Profile(
    name="heart rate",
    matches=lambda services: HEART_RATE_SERVICE in services,
    decoders={HEART_RATE_MEASUREMENT: decode},
    stores_records=False,
)
