"""Scales: Weight Scale Service 0x181D."""

from device_bridge.gatt.uuids import WEIGHT_MEASUREMENT, WEIGHT_SCALE
from device_bridge.gatt.weight_scale import decode_weight
from device_bridge.measurement import BODY_WEIGHT, Measurement, face_of, read_vitals
from device_bridge.profiles import Profile


def decode(payload: bytes) -> Measurement:
    """Return the weight; height is what a person told the scale, BMI follows."""
    taken = decode_weight(payload)
    vitals, refused = read_vitals([(BODY_WEIGHT, taken.weight)])
    return Measurement(vitals, refused, face_of(taken.timestamp), user=taken.user_id)


PROFILE = Profile(
    name="weight scale",
    matches=lambda services: WEIGHT_SCALE in services,
    decoders={WEIGHT_MEASUREMENT: decode},
    stores_records=False,
)
