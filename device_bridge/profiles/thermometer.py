"""Thermometers: Health Thermometer Service 0x1809."""

from device_bridge.gatt.thermometer import decode_temperature
from device_bridge.gatt.uuids import HEALTH_THERMOMETER, TEMPERATURE_MEASUREMENT
from device_bridge.measurement import (
    BODY_TEMPERATURE,
    SURFACE_TEMPERATURE,
    Measurement,
    face_of,
    read_vitals,
)
from device_bridge.profiles import Profile

# A cold toe is no low body temperature.
SURFACES = frozenset({"finger", "toe"})


def decode(payload: bytes) -> Measurement:
    """Return the temperature; a thermometer may send one that it has stored."""
    taken = decode_temperature(payload)
    code = SURFACE_TEMPERATURE if taken.type in SURFACES else BODY_TEMPERATURE
    vitals, refused = read_vitals([(code, taken.temperature)])
    return Measurement(vitals, refused, face_of(taken.timestamp))


PROFILE = Profile(
    name="thermometer",
    matches=lambda services: HEALTH_THERMOMETER in services,
    decoders={TEMPERATURE_MEASUREMENT: decode},
    stores_records=False,
)
