"""The values that Generic Health Sensor observations carry, by class.

Layouts as read in the open code that exists (see docs/bridge.md).
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import NamedTuple

from device_bridge.gatt.fields import Fields, code_fields
from device_bridge.gatt.ieee11073 import Number, encode_float, read_float
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.nomenclature import UCUM
from device_bridge.gatt.reader import Reader

# Formats of attributes, from Bluetooth's assigned numbers for characteristic formats.
U8, U16, U32, FLOAT, UTF8 = 0x04, 0x06, 0x08, 0x17, 0x19
UNSIGNED_WIDTHS = {U8: 1, U16: 2, U32: 4}
FLOAT_WIDTH = 4
ATTRIBUTE = Struct("<IHB")  # type, length and format


class ObservationClass(IntEnum):
    """What kind of value an observation carries; a bundle carries observations."""

    NUMERIC = 1
    DISCRETE = 2
    STRING = 3
    SAMPLE_ARRAY = 4
    DISCRETE_EVENTS = 5
    STATE_EVENTS = 6
    COMPOUND = 7
    ATTRIBUTES = 8
    BUNDLE = 0xFF


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit as a term of partition 4."""

    unit: int
    number: Number

    def encode(self) -> bytes:
        """Return the octets."""
        return self.unit.to_bytes(2, "little") + encode_float(self.number)

    def fields(self) -> Fields:
        """Return the unit's code beside the number with its unit."""
        value = Measured.of(self.number, UCUM.get(self.unit))
        return {"unit_code": self.unit, "value": value}


@dataclass(frozen=True, slots=True)
class Discrete:
    code: int

    def encode(self) -> bytes:
        """Return the octets."""
        return self.code.to_bytes(4, "little")

    def fields(self) -> Fields:
        """Return the code."""
        return {"value": code_fields(self.code)}


@dataclass(frozen=True, slots=True)
class Events:
    codes: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the octets."""
        return pack_codes(self.codes)

    def fields(self) -> Fields:
        """Return the codes."""
        return {"value": [code_fields(code) for code in self.codes]}


@dataclass(frozen=True, slots=True)
class SampleArray:
    """Samples at a steady pace: value = sample x scale + offset.

    `period` seconds pass while `per_period` samples are taken. `minimum` and `maximum`
    are as sent. Samples are unsigned, `width` octets each.
    """

    unit: int
    scale: Number
    offset: Number
    minimum: int
    maximum: int
    period: Number
    per_period: int
    width: int
    samples: tuple[int, ...]

    def encode(self) -> bytes:
        """Return the octets."""
        samples = (sample.to_bytes(self.width, "little") for sample in self.samples)
        return (
            self.unit.to_bytes(2, "little")
            + encode_float(self.scale)
            + encode_float(self.offset)
            + self.minimum.to_bytes(4, "little", signed=True)
            + self.maximum.to_bytes(4, "little", signed=True)
            + encode_float(self.period)
            + bytes([self.per_period, self.width])
            + len(self.samples).to_bytes(4, "little")
            + b"".join(samples)
        )

    def fields(self) -> Fields:
        """Return the samples as sent, and what turns them into values."""
        unit = UCUM.get(self.unit)
        return {
            "unit_code": self.unit,
            "value": {
                "scale": Measured.of(self.scale, None),
                "offset": Measured.of(self.offset, unit),
                "minimum": self.minimum,
                "maximum": self.maximum,
                "period": Measured.of(self.period, "s"),
                "samples_per_period": self.per_period,
                "octets_per_sample": self.width,
                "samples": self.samples,
            },
        }


@dataclass(frozen=True, slots=True)
class States:
    """Bits that stand for states and events, `width` octets of them.

    Only bits in `supported` mean something; those in `states` last, others happened.
    """

    width: int
    supported: int
    states: int
    bits: int

    def encode(self) -> bytes:
        """Return the octets."""
        masks = (self.supported, self.states, self.bits)
        return bytes([self.width]) + b"".join(
            mask.to_bytes(self.width, "little") for mask in masks
        )

    def fields(self) -> Fields:
        """Return the three masks as numbers."""
        masks = {
            "octets": self.width,
            "supported_mask": self.supported,
            "state_mask": self.states,
            "bits": self.bits,
        }
        return {"value": masks}


class Tlv(NamedTuple):
    """An attribute: a type, a format of Bluetooth's assigned numbers, octets."""

    type: int
    format: int
    octets: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.octets, "little")

    def encode(self) -> bytes:
        """Return the octets."""
        return (
            self.type.to_bytes(4, "little")
            + len(self.octets).to_bytes(2, "little")
            + bytes([self.format])
            + self.octets
        )

    def fields(self) -> Fields:
        """Return the value as its format says, in hexadecimal where we know none."""
        return code_fields(self.type) | {"format": self.format, "value": self._value()}

    def _value(self) -> int | str | bytes | Measured:
        reader = Reader("GHS attribute", self.octets)
        if self.format in UNSIGNED_WIDTHS:
            value = reader.unsigned(UNSIGNED_WIDTHS[self.format])
        elif self.format == FLOAT:
            value = Measured.of(read_float(reader), None)
        elif self.format == UTF8:
            value = reader.text(reader.left)
        else:
            return self.octets
        reader.end()
        return value


@dataclass(frozen=True, slots=True)
class Attributes:
    """A value that is a list of attributes."""

    tlvs: tuple[Tlv, ...]

    def encode(self) -> bytes:
        """Return the octets."""
        return pack_tlvs(self.tlvs)

    def fields(self) -> Fields:
        """Return the attributes."""
        return {"value": self.tlvs}


@dataclass(frozen=True, slots=True)
class Component:
    """One part of a compound value: what it is, and its value."""

    type: int
    value: "Simple"

    def encode(self) -> bytes:
        """Return the octets."""
        head = self.type.to_bytes(4, "little") + bytes([CLASSES[type(self.value)]])
        return head + pack_value(self.value)

    def fields(self) -> Fields:
        """Return the type beside the value."""
        kind = CLASS_NAMES[CLASSES[type(self.value)]]
        return {"type": code_fields(self.type), "class": kind} | value_fields(
            self.value
        )


@dataclass(frozen=True, slots=True)
class Compound:
    components: tuple[Component, ...]

    def encode(self) -> bytes:
        """Return the octets."""
        parts = b"".join(component.encode() for component in self.components)
        return bytes([len(self.components)]) + parts

    def fields(self) -> Fields:
        """Return the components."""
        return {"value": self.components}


Simple = Quantity | Discrete | str | SampleArray | Events | States | Attributes
Value = Simple | Compound
CLASSES: dict[type, ObservationClass] = {
    Quantity: ObservationClass.NUMERIC,
    Discrete: ObservationClass.DISCRETE,
    str: ObservationClass.STRING,
    SampleArray: ObservationClass.SAMPLE_ARRAY,
    Events: ObservationClass.DISCRETE_EVENTS,
    States: ObservationClass.STATE_EVENTS,
    Compound: ObservationClass.COMPOUND,
    Attributes: ObservationClass.ATTRIBUTES,
}
CLASS_NAMES = {
    ObservationClass.NUMERIC: "simple_numeric",
    ObservationClass.DISCRETE: "simple_discrete",
    ObservationClass.STRING: "string",
    ObservationClass.SAMPLE_ARRAY: "sample_array",
    ObservationClass.DISCRETE_EVENTS: "compound_discrete_event",
    ObservationClass.STATE_EVENTS: "compound_state_event",
    ObservationClass.COMPOUND: "compound",
    ObservationClass.ATTRIBUTES: "tlv",
    ObservationClass.BUNDLE: "bundle",
}


def value_fields(value: Value) -> Fields:
    """Return the fields of a value."""
    return {"value": value} if isinstance(value, str) else value.fields()


def read_codes(reader: Reader) -> tuple[int, ...]:
    """Return a counted list of MDC codes."""
    return tuple(reader.unsigned(4) for _ in range(reader.unsigned(1)))


def read_tlvs(reader: Reader) -> tuple[Tlv, ...]:
    """Return a counted list of attributes; the length is that of the value alone."""
    found: list[Tlv] = []
    for _ in range(reader.unsigned(1)):
        kind, length, form = reader.fields(ATTRIBUTE)
        found.append(Tlv(kind, form, reader.octets(length)))
    return tuple(found)


def _samples(reader: Reader) -> SampleArray:
    unit, scale, offset = reader.unsigned(2), read_float(reader), read_float(reader)
    minimum, maximum = reader.signed(4), reader.signed(4)
    period, per_period = read_float(reader), reader.unsigned(1)
    width, count = reader.unsigned(1), reader.unsigned(4)
    if width not in (1, 2, 4):
        raise reader.malformed(f"samples of {width} octets")
    taken = Reader(reader.what, reader.octets(width * count))
    samples = tuple(taken.unsigned(width) for _ in range(count))
    return SampleArray(
        unit, scale, offset, minimum, maximum, period, per_period, width, samples
    )


def _states(reader: Reader) -> States:
    width = reader.unsigned(1)
    supported, states = reader.unsigned(width), reader.unsigned(width)
    return States(width, supported, states, reader.unsigned(width))


def _component(reader: Reader) -> Component:
    kind, observation_class = reader.unsigned(4), reader.unsigned(1)
    value = read_value(observation_class, reader)
    if isinstance(value, Compound):
        raise reader.malformed("a compound value within another")
    return Component(kind, value)


def _compound(reader: Reader) -> Compound:
    return Compound(tuple(_component(reader) for _ in range(reader.unsigned(1))))


_READERS: dict[int, Callable[[Reader], Value]] = {
    ObservationClass.NUMERIC: lambda r: Quantity(r.unsigned(2), read_float(r)),
    ObservationClass.DISCRETE: lambda r: Discrete(r.unsigned(4)),
    ObservationClass.STRING: lambda r: r.text(r.unsigned(2)),
    ObservationClass.SAMPLE_ARRAY: _samples,
    ObservationClass.DISCRETE_EVENTS: lambda r: Events(read_codes(r)),
    ObservationClass.STATE_EVENTS: _states,
    ObservationClass.COMPOUND: _compound,
    ObservationClass.ATTRIBUTES: lambda r: Attributes(read_tlvs(r)),
}


def read_value(observation_class: int, reader: Reader) -> Value:
    """Return the next value, of a class other than a bundle."""
    if observation_class not in _READERS:
        raise reader.malformed(f"observation class {observation_class} not read")
    return _READERS[observation_class](reader)


def pack_codes(codes: tuple[int, ...]) -> bytes:
    """Return a counted list of MDC codes."""
    return bytes([len(codes)]) + b"".join(code.to_bytes(4, "little") for code in codes)


def pack_tlvs(tlvs: tuple[Tlv, ...]) -> bytes:
    """Return a counted list of attributes."""
    return bytes([len(tlvs)]) + b"".join(tlv.encode() for tlv in tlvs)


def pack_value(value: Value) -> bytes:
    """Return the octets of a value."""
    if not isinstance(value, str):
        return value.encode()
    octets = value.encode()
    return len(octets).to_bytes(2, "little") + octets
