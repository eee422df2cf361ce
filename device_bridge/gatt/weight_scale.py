"""Weight Scale Service 181D: 2A9D, 2A9E."""

from dataclasses import dataclass

from device_bridge.gatt.blood_pressure import read_user
from device_bridge.gatt.coded import named_bits, numbered
from device_bridge.gatt.date_time import DateTime, read_date_time
from device_bridge.gatt.measured import Measured, scaled
from device_bridge.gatt.reader import Reader

IMPERIAL, HAS_TIME, HAS_USER, HAS_BODY_MASS = 0x01, 0x02, 0x04, 0x08
UNSUCCESSFUL = 0xFFFF
FEATURES = numbered(("timestamp", "multiple_users", "bmi"))
WEIGHT_RESOLUTIONS = numbered(
    ("0.5", "0.2", "0.1", "0.05", "0.02", "0.01", "0.005"), first=1
)
HEIGHT_RESOLUTIONS = numbered(("0.01", "0.005", "0.001"), first=1)


@dataclass(frozen=True, slots=True)
class Weight:
    """One weighing; None where not sent.

    `user_id` is "unknown" where the scale says so, None where it says nothing.
    """

    weight: Measured
    timestamp: DateTime | None
    user_id: int | str | None
    bmi: Measured | None
    height: Measured | None


@dataclass(frozen=True, slots=True)
class WeightFeature:
    """What a scale can do; a resolution is None where the scale does not say it."""

    features: tuple[str, ...]
    weight_resolution: Measured | None
    height_resolution: Measured | None


def _weight(raw: int, *, imperial: bool) -> Measured:
    unit = "[lb_av]" if imperial else "kg"
    if raw == UNSUCCESSFUL:
        return Measured(None, unit, "measurement_unsuccessful")
    return scaled(raw, "0.01" if imperial else "0.005", unit)


def _height(raw: int, *, imperial: bool) -> Measured:
    return scaled(raw, "0.1", "[in_i]") if imperial else scaled(raw, "0.001", "m")


def decode_weight(payload: bytes) -> Weight:
    """Return the value of 2A9D."""
    reader = Reader("weight measurement", payload)
    flags = reader.unsigned(1)
    imperial, body = bool(flags & IMPERIAL), flags & HAS_BODY_MASS
    return Weight(
        _weight(reader.unsigned(2), imperial=imperial),
        read_date_time(reader) if flags & HAS_TIME else None,
        read_user(reader) if flags & HAS_USER else None,
        scaled(reader.unsigned(2), "0.1", "kg/m2") if body else None,
        _height(reader.unsigned(2), imperial=imperial) if body else None,
    )


def decode_weight_feature(payload: bytes) -> WeightFeature:
    """Return the value of 2A9E; resolutions are those in kilograms and metres."""
    reader = Reader("weight scale feature", payload)
    bits = reader.unsigned(4)
    weight = WEIGHT_RESOLUTIONS.get(bits >> 3 & 0xF)
    height = HEIGHT_RESOLUTIONS.get(bits >> 7 & 0x7)
    return WeightFeature(
        named_bits(bits, FEATURES),
        None if weight is None else scaled(1, weight, "kg"),
        None if height is None else scaled(1, height, "m"),
    )
