"""Generic Health Sensor observations: the message inside the segments.

[record number u32, stored only] class u8, length u16, flags u16, optional fields in the
order of their flags, value. Layout as read in the open code that exists (see
docs/bridge.md); the length field has two readings in the field, both are accepted.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import TypeVar

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.elapsed_time import ElapsedTime, read_stamp
from device_bridge.gatt.ieee11073 import Number, encode_float, read_float
from device_bridge.gatt.reader import Reader

T = TypeVar("T")
HEAD = 3  # class and length
PATIENT_WIDTHS = (1, 2)  # one octet in most code, two in one; only one of them fits

U8, U16, U32 = 4, 6, 8  # formats of attributes
UNSIGNED_WIDTHS = {U8: 1, U16: 2, U32: 4}

HAS_TYPE, HAS_TIME, HAS_DURATION, HAS_STATUS = 0x001, 0x002, 0x004, 0x008
HAS_OBJECT, HAS_PATIENT, HAS_SUPPLEMENTAL = 0x010, 0x020, 0x040
HAS_DERIVED, HAS_MEMBERS, HAS_TLVS = 0x080, 0x100, 0x200


class ObservationClass(IntEnum):
    NUMERIC = 1
    DISCRETE = 2
    STRING = 3
    DISCRETE_EVENTS = 5


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit as a term of partition 4."""

    unit: int
    number: Number


@dataclass(frozen=True, slots=True)
class Discrete:
    code: int


@dataclass(frozen=True, slots=True)
class Events:
    codes: tuple[int, ...]


Value = Quantity | Discrete | Events | str
_CLASSES: dict[type, ObservationClass] = {
    Quantity: ObservationClass.NUMERIC,
    Discrete: ObservationClass.DISCRETE,
    str: ObservationClass.STRING,
    Events: ObservationClass.DISCRETE_EVENTS,
}


@dataclass(frozen=True, slots=True)
class Tlv:
    """An attribute of an observation: `format` 4, 6, 8 are u8, u16, u32."""

    type: int
    format: int
    octets: bytes

    @property
    def number(self) -> int:
        return int.from_bytes(self.octets, "little")


@dataclass(frozen=True, slots=True)
class Observation:
    """One observation. None where the device did not send the field."""

    value: Value
    type: int | None = None
    time: ElapsedTime | None = None
    duration: Number | None = None
    status: int | None = None
    object_id: int | None = None
    patient: int | None = None
    supplemental: tuple[int, ...] | None = None
    derived_from: tuple[int, ...] | None = None
    members: tuple[int, ...] | None = None
    tlvs: tuple[Tlv, ...] | None = None
    record_number: int | None = None
    length: int = 0
    length_counts_head: bool = False

    @property
    def observation_class(self) -> ObservationClass:
        return _CLASSES[type(self.value)]

    def unsigned(self, wanted: int, form: int) -> int | None:
        """Return the number in the attribute of that type, None without it.

        Raises MalformedRecord when it is not of that format, or not of its width.
        """
        found: int | None = None
        for tlv in self.tlvs or ():
            if tlv.type != wanted:
                continue
            if tlv.format != form or len(tlv.octets) != UNSIGNED_WIDTHS[form]:
                why = f"attribute {wanted:#x} of another format or width"
                raise MalformedRecord("GHS observation", tlv.octets, why)
            found = tlv.number if found is None else found
        return found


def _codes(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.unsigned(4) for _ in range(reader.unsigned(1)))


def _tlvs(reader: Reader) -> tuple[Tlv, ...]:
    found: list[Tlv] = []
    for _ in range(reader.unsigned(1)):
        kind, length, form = reader.unsigned(4), reader.unsigned(2), reader.unsigned(1)
        found.append(Tlv(kind, form, reader.octets(length)))
    return tuple(found)


def _text(reader: Reader) -> str:
    octets = reader.octets(reader.unsigned(2))
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise reader.malformed("text is not UTF-8") from None


def _value(observation_class: int, reader: Reader) -> Value:
    match observation_class:
        case ObservationClass.NUMERIC:
            return Quantity(reader.unsigned(2), read_float(reader))
        case ObservationClass.DISCRETE:
            return Discrete(reader.unsigned(4))
        case ObservationClass.STRING:
            return _text(reader)
        case ObservationClass.DISCRETE_EVENTS:
            return Events(_codes(reader))
        case _:
            raise reader.malformed(f"observation class {observation_class} not read")


def _body(reader: Reader, patient_width: int, known: dict[str, int]) -> Observation:
    flags = reader.unsigned(2)
    if flags >= HAS_TLVS << 1:
        # An unknown optional field would shift everything behind it.
        raise reader.malformed(f"unknown flags {flags:#06x}")

    def optional(flag: int, read: Callable[[], T]) -> T | None:
        return read() if flags & flag else None

    def codes() -> tuple[int, ...]:
        return _codes(reader)

    # Arguments are evaluated in the order in which they stand: that of the wire.
    observation = Observation(
        type=optional(HAS_TYPE, lambda: reader.unsigned(4)),
        time=optional(HAS_TIME, lambda: read_stamp(reader)),
        duration=optional(HAS_DURATION, lambda: read_float(reader)),
        status=optional(HAS_STATUS, lambda: reader.unsigned(2)),
        object_id=optional(HAS_OBJECT, lambda: reader.unsigned(4)),
        patient=optional(HAS_PATIENT, lambda: reader.unsigned(patient_width)),
        supplemental=optional(HAS_SUPPLEMENTAL, codes),
        derived_from=optional(HAS_DERIVED, codes),
        members=optional(HAS_MEMBERS, codes),
        tlvs=optional(HAS_TLVS, lambda: _tlvs(reader)),
        value=_value(known["class"], reader),
        length=known["length"],
        length_counts_head=known["length"] == len(reader.payload),
    )
    reader.end()
    return observation


def decode_observation(payload: bytes) -> Observation:
    """Return the observation in a message without record number."""
    head = Reader("GHS observation", payload)
    known = {"class": head.unsigned(1), "length": head.unsigned(2)}
    if known["length"] not in (len(payload), len(payload) - HEAD):
        raise head.malformed(f"length {known['length']} of {len(payload)} octets")
    failure: MalformedRecord | None = None
    for width in PATIENT_WIDTHS:
        reader = Reader("GHS observation", payload)
        reader.octets(HEAD)
        try:
            return _body(reader, width, known)
        except MalformedRecord as error:
            failure = failure or error
    raise failure or head.malformed("unreadable")


def decode_stored(payload: bytes) -> Observation:
    """Return the observation in a stored message, with its record number."""
    number, message = split_stored(payload)
    return replace(decode_observation(message), record_number=number)


def split_stored(payload: bytes) -> tuple[int, bytes]:
    """Return the record number and the message behind it; the message may be bad."""
    reader = Reader("stored GHS observation", payload)
    return reader.unsigned(4), reader.octets(reader.left)


def encode_observation(observation: Observation) -> bytes:
    """Return the message without record number; length counts what follows it."""
    fields: list[tuple[int, bytes | None]] = [
        (HAS_TYPE, _packed(observation.type, 4)),
        (HAS_TIME, observation.time.encode()[:9] if observation.time else None),
        (HAS_DURATION, _float(observation.duration)),
        (HAS_STATUS, _packed(observation.status, 2)),
        (HAS_OBJECT, _packed(observation.object_id, 4)),
        (HAS_PATIENT, _packed(observation.patient, 1)),
        (HAS_SUPPLEMENTAL, _packed_codes(observation.supplemental)),
        (HAS_DERIVED, _packed_codes(observation.derived_from)),
        (HAS_MEMBERS, _packed_codes(observation.members)),
        (HAS_TLVS, _packed_tlvs(observation.tlvs)),
    ]
    flags = sum(flag for flag, octets in fields if octets is not None)
    body = b"".join(octets for _, octets in fields if octets is not None)
    rest = flags.to_bytes(2, "little") + body + _packed_value(observation.value)
    head = bytes([observation.observation_class]) + len(rest).to_bytes(2, "little")
    return head + rest


def _packed(value: int | None, width: int) -> bytes | None:
    return None if value is None else value.to_bytes(width, "little")


def _float(number: Number | None) -> bytes | None:
    return None if number is None else encode_float(number)


def _packed_codes(codes: tuple[int, ...] | None) -> bytes | None:
    if codes is None:
        return None
    return bytes([len(codes)]) + b"".join(code.to_bytes(4, "little") for code in codes)


def _packed_tlvs(tlvs: tuple[Tlv, ...] | None) -> bytes | None:
    if tlvs is None:
        return None
    return bytes([len(tlvs)]) + b"".join(
        tlv.type.to_bytes(4, "little")
        + len(tlv.octets).to_bytes(2, "little")
        + bytes([tlv.format])
        + tlv.octets
        for tlv in tlvs
    )


def _packed_value(value: Value) -> bytes:
    match value:
        case Quantity(unit, number):
            return unit.to_bytes(2, "little") + encode_float(number)
        case Discrete(code):
            return code.to_bytes(4, "little")
        case Events(codes):
            return _packed_codes(codes) or b""
        case str():
            octets = value.encode()
            return len(octets).to_bytes(2, "little") + octets
