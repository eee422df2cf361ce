"""Heart Rate Service 180D: Heart Rate Measurement 2A37, Body Sensor Location 2A38."""

from dataclasses import dataclass

from device_bridge.gatt.coded import named, numbered
from device_bridge.gatt.fields import Fields
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

WIDE, CONTACT, CONTACT_SUPPORTED, ENERGY, INTERVALS = 0x01, 0x02, 0x04, 0x08, 0x10

LOCATIONS = numbered(("other", "chest", "wrist", "finger", "hand", "ear_lobe", "foot"))


@dataclass(frozen=True, slots=True)
class HeartRate:
    """`beats` per minute; `contact` is None when the sensor cannot tell.

    `energy_kilojoules` is None when absent; `rr_1024ths` are the intervals between
    beats in 1/1024 s, oldest first, None when absent.
    """

    beats: int
    contact: bool | None
    energy_kilojoules: int | None
    rr_1024ths: tuple[int, ...] | None

    def fields(self) -> Fields:
        """Return the fields with their units; intervals in seconds too."""
        energy, intervals = self.energy_kilojoules, self.rr_1024ths
        return {
            "heart_rate": Measured(self.beats, "/min"),
            "sensor_contact_supported": self.contact is not None,
            "sensor_contact": self.contact,
            "energy_expended": None if energy is None else Measured(energy, "kJ"),
            "rr_intervals": None
            if intervals is None
            else {
                "value": intervals,
                "unit": "1/1024 s",
                "seconds": [interval / 1024 for interval in intervals],
            },
        }


@dataclass(frozen=True, slots=True)
class BodySensorLocation:
    location: str


def decode_heart_rate(payload: bytes) -> HeartRate:
    """Return one measurement; an odd octet after the intervals is malformed."""
    reader = Reader("heart rate measurement", payload)
    flags = reader.unsigned(1)
    beats = reader.unsigned(2 if flags & WIDE else 1)
    energy = reader.unsigned(2) if flags & ENERGY else None
    intervals = None
    if flags & INTERVALS:
        if not reader.left:
            raise reader.malformed("intervals announced and absent")
        intervals = tuple(reader.unsigned(2) for _ in range((reader.left + 1) // 2))
    contact = bool(flags & CONTACT) if flags & CONTACT_SUPPORTED else None
    return HeartRate(beats, contact, energy, intervals)


def encode_heart_rate(beats: int) -> bytes:
    """Return a measurement with skin contact and nothing else."""
    contact = CONTACT | CONTACT_SUPPORTED
    if beats > 255:
        return bytes([contact | WIDE]) + beats.to_bytes(2, "little")
    return bytes([contact, beats])


def decode_body_sensor_location(payload: bytes) -> BodySensorLocation:
    """Return the value of 2A38."""
    reader = Reader("body sensor location", payload)
    code = reader.unsigned(1)
    reader.end()
    return BodySensorLocation(named(code, LOCATIONS))
