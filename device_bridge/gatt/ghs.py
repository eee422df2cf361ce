"""Generic Health Sensor observations: the message inside the segments.

[record number u32, stored only] class u8, length u16, flags u16, optional fields in the
order of their flags, value. Layout as read in the open code that exists (see
docs/bridge.md); the length field has two readings in the field, both are accepted.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import Struct
from typing import NamedTuple, TypeVar

from device_bridge.errors import MalformedRecord
from device_bridge.gatt.elapsed_time import ElapsedTime, read_stamp
from device_bridge.gatt.fields import Fields, code_fields
from device_bridge.gatt.ghs_values import (
    CLASS_NAMES,
    CLASSES,
    U8,
    U16,
    U32,
    UNSIGNED_WIDTHS,
    Discrete,
    Events,
    ObservationClass,
    Quantity,
    Tlv,
    Value,
    pack_codes,
    pack_tlvs,
    pack_value,
    read_codes,
    read_tlvs,
    read_value,
    value_fields,
)
from device_bridge.gatt.ieee11073 import Number, encode_float, read_float
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

# The values are part of what an observation is; they fill a module of their own.
__all__ = [
    "U8",
    "U16",
    "U32",
    "Bundle",
    "Discrete",
    "Events",
    "Observation",
    "ObservationClass",
    "Quantity",
    "Tlv",
    "Value",
    "decode_observation",
    "decode_stored",
    "encode_observation",
    "split_stored",
]

T = TypeVar("T")
HEAD = 3  # class and length
BEGINNING = Struct("<BHH")  # those and the flags
PATIENT_WIDTHS = (1, 2)  # one octet in most code, two in one; only one of them fits
LENGTH_CONVENTIONS = {
    True: "includes_class_and_length",
    False: "excludes_class_and_length",
}

HAS_TYPE, HAS_TIME, HAS_DURATION, HAS_STATUS = 0x001, 0x002, 0x004, 0x008
HAS_OBJECT, HAS_PATIENT, HAS_SUPPLEMENTAL = 0x010, 0x020, 0x040
HAS_DERIVED, HAS_MEMBERS, HAS_TLVS = 0x080, 0x100, 0x200


@dataclass(frozen=True, slots=True)
class Bundle:
    """Several observations; what they share stands in the observation around them."""

    observations: "tuple[Observation, ...]"

    def fields(self) -> Fields:
        """Return the observations as they were sent."""
        return {"value": self.observations}


class Observation(NamedTuple):
    """One observation. None where the device did not send the field."""

    value: Value | Bundle
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
        if isinstance(self.value, Bundle):
            return ObservationClass.BUNDLE
        return CLASSES[type(self.value)]

    def fields(self) -> Fields:
        """Return what was sent; what was not is left out."""
        optional = {
            "record_number": self.record_number,
            "type": None if self.type is None else code_fields(self.type),
            "time": self.time,
            "duration": self.duration and Measured.of(self.duration, "s"),
            "status": self.status,
            "object_id": self.object_id,
            "patient": self.patient,
            "supplemental": _shown(self.supplemental),
            "derived_from": self.derived_from,
            "has_member": self.members,
            "tlv": self.tlvs,
        }
        head = {
            "class": CLASS_NAMES[self.observation_class],
            "length": self.length,
            "length_convention": LENGTH_CONVENTIONS[self.length_counts_head],
        }
        sent = {name: field for name, field in optional.items() if field is not None}
        value = self.value
        content = value.fields() if isinstance(value, Bundle) else value_fields(value)
        return head | sent | content

    def unsigned(self, wanted: int, form: int) -> int | None:
        """Return the number in the attribute of that type, None without it.

        Raises MalformedRecord when it is not of that format, or not of its width.
        """
        return self.numbers({wanted: form}).get(wanted)

    def numbers(self, forms: Mapping[int, int]) -> dict[int, int]:
        """Return the numbers in the attributes of these types; the first of each.

        Raises MalformedRecord when one is not of its format, or not of its width.
        """
        found: dict[int, int] = {}
        for tlv in self.tlvs or ():
            if (form := forms.get(tlv.type)) is None:
                continue
            if tlv.format != form or len(tlv.octets) != UNSIGNED_WIDTHS[form]:
                why = f"attribute {tlv.type:#x} of another format or width"
                raise MalformedRecord("GHS observation", tlv.octets, why)
            found.setdefault(tlv.type, tlv.number)
        return found


def _shown(codes: tuple[int, ...] | None) -> list[Fields] | None:
    return None if codes is None else [code_fields(code) for code in codes]


def _inner(reader: Reader, *, counts_head: bool) -> Observation:
    head = Reader(reader.what, reader.payload[reader.at :])
    if head.unsigned(1) == ObservationClass.BUNDLE:
        raise reader.malformed("a bundle within another")
    length = head.unsigned(2)
    return decode_observation(reader.octets(length if counts_head else HEAD + length))


def _bundle(reader: Reader, *, counts_head: bool) -> Bundle:
    count = reader.unsigned(1)
    return Bundle(tuple(_inner(reader, counts_head=counts_head) for _ in range(count)))


def _content(reader: Reader, kind: int, *, counts_head: bool) -> Value | Bundle:
    if kind == ObservationClass.BUNDLE:
        return _bundle(reader, counts_head=counts_head)
    return read_value(kind, reader)


def _body(payload: bytes, patient_width: int) -> Observation:
    reader = Reader("GHS observation", payload)
    kind, length, flags = reader.fields(BEGINNING)
    counts_head = length == len(payload)
    if not counts_head and length != len(payload) - HEAD:
        raise reader.malformed(f"length {length} of {len(payload)} octets")
    if flags >= HAS_TLVS << 1:
        # An unknown optional field would shift everything behind it.
        raise reader.malformed(f"unknown flags {flags:#06x}")
    # Arguments are evaluated in the order in which they stand: that of the wire.
    observation = Observation(
        type=reader.unsigned(4) if flags & HAS_TYPE else None,
        time=read_stamp(reader) if flags & HAS_TIME else None,
        duration=read_float(reader) if flags & HAS_DURATION else None,
        status=reader.unsigned(2) if flags & HAS_STATUS else None,
        object_id=reader.unsigned(4) if flags & HAS_OBJECT else None,
        patient=reader.unsigned(patient_width) if flags & HAS_PATIENT else None,
        supplemental=read_codes(reader) if flags & HAS_SUPPLEMENTAL else None,
        derived_from=read_codes(reader) if flags & HAS_DERIVED else None,
        members=read_codes(reader) if flags & HAS_MEMBERS else None,
        tlvs=read_tlvs(reader) if flags & HAS_TLVS else None,
        value=_content(reader, kind, counts_head=counts_head),
        length=length,
        length_counts_head=counts_head,
    )
    reader.end()
    return observation


def decode_observation(payload: bytes) -> Observation:
    """Return the observation in a message without record number."""
    first, second = PATIENT_WIDTHS
    try:
        return _body(payload, first)
    except MalformedRecord:
        if len(payload) < BEGINNING.size or not payload[HEAD] & HAS_PATIENT:
            raise
    return _body(payload, second)


def decode_stored(payload: bytes) -> Observation:
    """Return the observation in a stored message, with its record number."""
    number, message = split_stored(payload)
    return decode_observation(message)._replace(record_number=number)


def split_stored(payload: bytes) -> tuple[int, bytes]:
    """Return the record number and the message behind it; the message may be bad."""
    reader = Reader("stored GHS observation", payload)
    return reader.unsigned(4), payload[reader.at :]


def encode_observation(observation: Observation) -> bytes:
    """Return the message without record number; length counts what follows it."""
    fields: list[tuple[int, bytes | None]] = [
        (HAS_TYPE, _packed(observation.type, 4)),
        (HAS_TIME, observation.time.encode()[:9] if observation.time else None),
        (HAS_DURATION, _packed_by(encode_float, observation.duration)),
        (HAS_STATUS, _packed(observation.status, 2)),
        (HAS_OBJECT, _packed(observation.object_id, 4)),
        (HAS_PATIENT, _packed(observation.patient, 1)),
        (HAS_SUPPLEMENTAL, _packed_by(pack_codes, observation.supplemental)),
        (HAS_DERIVED, _packed_by(pack_codes, observation.derived_from)),
        (HAS_MEMBERS, _packed_by(pack_codes, observation.members)),
        (HAS_TLVS, _packed_by(pack_tlvs, observation.tlvs)),
    ]
    flags = sum(flag for flag, octets in fields if octets is not None)
    body = b"".join(octets for _, octets in fields if octets is not None)
    rest = flags.to_bytes(2, "little") + body + _packed_content(observation.value)
    head = bytes([observation.observation_class]) + len(rest).to_bytes(2, "little")
    return head + rest


def _packed(value: int | None, width: int) -> bytes | None:
    return None if value is None else value.to_bytes(width, "little")


def _packed_by(pack: Callable[[T], bytes], value: T | None) -> bytes | None:
    return None if value is None else pack(value)


def _packed_content(value: Value | Bundle) -> bytes:
    if not isinstance(value, Bundle):
        return pack_value(value)
    inner = b"".join(encode_observation(o) for o in value.observations)
    return bytes([len(value.observations)]) + inner
