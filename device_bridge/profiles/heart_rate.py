"""Heart-rate wearables: Heart Rate Service 0x180D."""

from device_bridge.gatt.heart_rate import decode_heart_rate
from device_bridge.gatt.uuids import HEART_RATE_MEASUREMENT, HEART_RATE_SERVICE
from device_bridge.profiles import Profile

LOINC_HEART_RATE = "8867-4"
PER_MINUTE = "/min"


def decode(payload: bytes) -> int | None:
    """Return beats per minute, or None while the sensor has no contact or no pulse."""
    measured = decode_heart_rate(payload)
    worn = measured.contact is not False
    return measured.beats if worn and measured.beats else None


PROFILE = Profile(
    name="heart rate",
    matches=lambda services: HEART_RATE_SERVICE in services,
    decoders={HEART_RATE_MEASUREMENT: decode},
    stores_records=False,
)
