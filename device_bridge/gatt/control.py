"""GHS Control Point 2BF4, Health Sensor Features 2BF3, Security Levels 2BF5."""

from dataclasses import dataclass
from enum import IntEnum

from device_bridge.gatt.fields import Fields, code_fields, own_fields
from device_bridge.gatt.ieee11073 import read_float
from device_bridge.gatt.measured import Measured, float32
from device_bridge.gatt.nomenclature import UCUM
from device_bridge.gatt.reader import Reader

SPECIALISATIONS_PRESENT = 0x01


class Control(IntEnum):
    START_LIVE = 0x01
    STOP_LIVE = 0x02
    SUCCESS = 0x80
    SERVER_BUSY = 0x81
    LIVE_OBSERVATION_ERROR = 0x82


@dataclass(frozen=True, slots=True)
class Features:
    """What a sensor observes, and (term of partition 8, version) of what it is."""

    types: tuple[int, ...]
    specialisations: tuple[tuple[int, int], ...] | None

    def encode(self) -> bytes:
        """Return the octets of 2BF3."""
        flags = 0 if self.specialisations is None else SPECIALISATIONS_PRESENT
        types = b"".join(code.to_bytes(4, "little") for code in self.types)
        head = bytes([flags, len(self.types)]) + types
        if self.specialisations is None:
            return head
        return (
            head
            + bytes([len(self.specialisations)])
            + b"".join(
                term.to_bytes(2, "little") + bytes([version])
                for term, version in self.specialisations
            )
        )


def decode_features(payload: bytes) -> Features:
    """Return the features; octets that a newer revision adds are ignored."""
    reader = Reader("health sensor features", payload)
    flags = reader.unsigned(1)
    types = tuple(reader.unsigned(4) for _ in range(reader.unsigned(1)))
    if not flags & SPECIALISATIONS_PRESENT:
        return Features(types, None)
    found = [
        (reader.unsigned(2), reader.unsigned(1)) for _ in range(reader.unsigned(1))
    ]
    return Features(types, tuple(found))


def decode_control(payload: bytes) -> Control:
    """Return the control point's code; unknown codes are malformed."""
    reader = Reader("GHS control point", payload)
    code = reader.unsigned(1)
    reader.end()
    if code not in list(Control):
        raise reader.malformed(f"unknown code {code:#04x}")
    return Control(code)


def decode_security(payload: bytes) -> tuple[tuple[int, int], ...]:
    """Return (mode, level) pairs, of which a client meets one."""
    reader = Reader("LE GATT security levels", payload)
    if not reader.left:
        raise reader.malformed("no requirement")
    found: list[tuple[int, int]] = []
    while reader.left:
        found.append((reader.unsigned(1), reader.unsigned(1)))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often a type is measured, and how often a value is sent."""

    type: int
    measurement_period: Measured
    update_interval: Measured

    def fields(self) -> Fields:
        """Return the type by its parts beside the times."""
        return own_fields(self) | {"type": code_fields(self.type)}


@dataclass(frozen=True, slots=True)
class ValidRange:
    """Between which values a type is measured, and how exactly."""

    type: int
    unit_code: int
    lower: Measured
    upper: Measured
    accuracy: Measured

    def fields(self) -> Fields:
        """Return the type by its parts beside the limits."""
        return own_fields(self) | {"type": code_fields(self.type)}


def decode_schedule(payload: bytes) -> Schedule:
    """Return the value of descriptor 2910, or of 2BF1, which tells that it changed."""
    reader = Reader("observation schedule", payload)
    code = reader.unsigned(4)
    found = Schedule(code, float32(reader, "s"), float32(reader, "s"))
    reader.end()
    return found


def decode_valid_range(payload: bytes) -> ValidRange:
    """Return the value of descriptor 2911."""
    reader = Reader("valid range and accuracy", payload)
    code, unit = reader.unsigned(4), reader.unsigned(2)
    lower, upper, accuracy = (
        Measured.of(read_float(reader), UCUM.get(unit)) for _ in range(3)
    )
    reader.end()
    return ValidRange(code, unit, lower, upper, accuracy)


def features_fields(payload: bytes) -> Fields:
    """Return the features as plain fields."""
    features = decode_features(payload)
    types = [code_fields(code) for code in features.types]
    if features.specialisations is None:
        return {"types": types, "specializations": None}
    special = [{"term": term, "version": v} for term, v in features.specialisations]
    return {"types": types, "specializations": special}


def security_fields(payload: bytes) -> Fields:
    """Return the security requirements as plain fields."""
    pairs = decode_security(payload)
    return {"requirements": [{"mode": mode, "level": level} for mode, level in pairs]}
