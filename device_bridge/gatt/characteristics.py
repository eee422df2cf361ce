"""Decoders by characteristic, with the field names of the published test vectors.

A new characteristic is a function from octets (and what a reader must be told) to plain
fields, and a line in `READERS`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from device_bridge.errors import MalformedRecord
from device_bridge.gatt import control, racp
from device_bridge.gatt.battery import decode_battery
from device_bridge.gatt.elapsed_time import (
    SYNC_SOURCES,
    ElapsedTime,
    decode_elapsed_time,
)
from device_bridge.gatt.ghs import (
    Discrete,
    Events,
    Observation,
    ObservationClass,
    Quantity,
    decode_observation,
    decode_stored,
)
from device_bridge.gatt.heart_rate import decode_heart_rate
from device_bridge.gatt.ieee11073 import Number, decode_float, decode_sfloat
from device_bridge.gatt.nomenclature import NAMES, UCUM
from device_bridge.gatt.segments import SegmentAssembler

Fields = dict[str, Any]
Context = Mapping[str, Any]
CLASS_NAMES = {
    ObservationClass.NUMERIC: "simple_numeric",
    ObservationClass.DISCRETE: "simple_discrete",
    ObservationClass.STRING: "string",
    ObservationClass.DISCRETE_EVENTS: "compound_discrete_event",
}
RESOLUTION_NAMES = ("1 s", "100 ms", "1 ms", "100 us")
OPERATOR_NAMES = (
    "null",
    "all",
    "less_or_equal",
    "greater_or_equal",
    "within_range",
    "first",
    "last",
)


def number_fields(number: Number, unit: str | None) -> Fields:
    """Return value, unit and exact text, or the special value."""
    if number.decimal is None:
        return {"value": None, "unit": unit, "special": str(number.special)}
    exponent = number.decimal.as_tuple().exponent
    whole = isinstance(exponent, int) and 0 <= exponent < 100
    value = int(number.decimal) if whole else float(number.decimal)
    return {"value": value, "unit": unit, "decimal": number.text}


def code_fields(code: int) -> Fields:
    """Return the parts of an MDC code."""
    partition, term = code >> 16, code & 0xFFFF
    return {"mdc": code, "partition": partition, "term": term, "name": NAMES.get(code)}


def time_fields(stamp: ElapsedTime) -> Fields:
    """Return the fields of a stamp; 2BF2's own only where it has them."""
    fields: Fields = {
        "tick_counter": stamp.tick_counter,
        "utc": stamp.is_utc,
        "resolution": RESOLUTION_NAMES[stamp.resolution],
        "tz_dst_used": stamp.offset_used,
        "current_timeline": stamp.current_timeline,
        "time_value": stamp.value,
        "sync_source": SYNC_SOURCES.get(stamp.sync_source, "reserved"),
        "tz_dst_offset": {"value": stamp.offset_quarters * 15, "unit": "min"},
    }
    digits = stamp.resolution.fraction_digits
    if (shown := stamp.utc or stamp.clock) is not None:
        fraction = f".{shown.microsecond:06d}"[: digits + 1] if digits else ""
        text = f"{shown:%Y-%m-%dT%H:%M:%S}{fraction}"
        fields |= {"utc_time": text + "Z"} if stamp.utc else {"local_time": text}
    if stamp.status is not None:
        capabilities = stamp.capabilities or 0
        fields |= {
            "clock_needs_set": stamp.needs_set,
            "clock_applies_dst": bool(capabilities & 1),
            "clock_manages_tz": bool(capabilities & 2),
        }
    return fields


def _heart_rate(payload: bytes, _: Context) -> Fields:
    measured = decode_heart_rate(payload)
    energy, intervals = measured.energy_kilojoules, measured.rr_1024ths
    return {
        "heart_rate": {"value": measured.beats, "unit": "/min"},
        "sensor_contact_supported": measured.contact is not None,
        "sensor_contact": measured.contact,
        "energy_expended": None if energy is None else {"value": energy, "unit": "kJ"},
        "rr_intervals": None
        if intervals is None
        else {
            "value": list(intervals),
            "unit": "1/1024 s",
            "seconds": [interval / 1024 for interval in intervals],
        },
    }


def _record_access(payload: bytes, context: Context) -> Fields:
    if context.get("direction") == "client_to_server":
        return _request(racp.decode_request(payload, context.get("operand_width", 4)))
    answer = racp.decode_answer(payload)
    fields: Fields = {"opcode": answer.opcode.name.lower(), "operator": "null"}
    if answer.count is not None:
        return fields | {"count": answer.count}
    request, code = answer.request or 0, answer.code or 0
    known = [opcode for opcode in racp.Opcode if opcode == request]
    codes = [named for named in racp.ResponseCode if named == code]
    return fields | {
        "request_opcode": request,
        "request": known[0].name.lower() if known else "unknown",
        "response_code": code,
        "response": codes[0].name.lower() if codes else "unknown",
    }


def _request(request: racp.Request) -> Fields:
    bounds = {
        "filter_type": request.filter_type,
        "min": request.minimum,
        "max": request.maximum,
    }
    return {
        "opcode": request.opcode.name.lower(),
        "operator": OPERATOR_NAMES[request.operator],
    } | {name: value for name, value in bounds.items() if value is not None}


def _observation(segments: Sequence[bytes], context: Context) -> Fields:
    assembler = SegmentAssembler()
    messages = [assembler.feed(segment) for segment in segments]
    message = messages[-1] if messages else None
    if message is None:
        raise MalformedRecord("GHS segments", b"".join(segments), "incomplete")
    stored = bool(context.get("stored"))
    observation = decode_stored(message) if stored else decode_observation(message)
    return {"segments": len(segments)} | observation_fields(observation)


def observation_fields(observation: Observation) -> Fields:
    """Return the fields of an observation that are there."""
    fields: Fields = {
        "record_number": observation.record_number,
        "class": CLASS_NAMES[observation.observation_class],
        "length": observation.length,
        "length_convention": "includes_class_and_length"
        if observation.length_counts_head
        else "excludes_class_and_length",
        "type": None if observation.type is None else code_fields(observation.type),
        "time": None if observation.time is None else time_fields(observation.time),
        "duration": None
        if observation.duration is None
        else number_fields(observation.duration, "s"),
        "status": observation.status,
        "object_id": observation.object_id,
        "patient": observation.patient,
        "supplemental": _code_list(observation.supplemental),
        "derived_from": observation.derived_from and list(observation.derived_from),
        "has_member": observation.members and list(observation.members),
        "tlv": None
        if observation.tlvs is None
        else [
            code_fields(tlv.type) | {"format": tlv.format, "value": tlv.octets.hex()}
            for tlv in observation.tlvs
        ],
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return present | _value_fields(observation)


def _code_list(codes: tuple[int, ...] | None) -> list[Fields] | None:
    return None if codes is None else [code_fields(code) for code in codes]


def _value_fields(observation: Observation) -> Fields:
    match observation.value:
        case Quantity(unit, number):
            return {"unit_code": unit, "value": number_fields(number, UCUM.get(unit))}
        case Discrete(code):
            return {"value": code_fields(code)}
        case Events(codes):
            return {"value": _code_list(codes)}
        case str() as text:
            return {"value": text}


def _single(read: Callable[[bytes, Context], Fields]) -> Callable[..., Fields]:
    def reading(values: Sequence[bytes], context: Context) -> Fields:
        if len(values) != 1:
            raise MalformedRecord("value", b"".join(values), "want one value")
        return read(values[0], context)

    return reading


READERS: dict[str, Callable[[Sequence[bytes], Context], Fields]] = {
    "SFLOAT": _single(lambda p, _: {"number": number_fields(decode_sfloat(p), None)}),
    "FLOAT": _single(lambda p, _: {"number": number_fields(decode_float(p), None)}),
    "2A37": _single(_heart_rate),
    "2A19": _single(lambda p, _: {"level": {"value": decode_battery(p), "unit": "%"}}),
    "2A52": _single(_record_access),
    "2BF2": _single(lambda p, _: time_fields(decode_elapsed_time(p))),
    "2B8B": _observation,
    "2BDD": _observation,
    "2BF3": _single(lambda p, _: control.features_fields(p)),
    "2BF4": _single(lambda p, _: control.control_fields(p)),
    "2BF5": _single(lambda p, _: control.security_fields(p)),
}


def read(characteristic: str, values: Sequence[bytes], context: Context) -> Fields:
    """Return the fields of one value (or of several notifications in order).

    `characteristic` is a 16-bit UUID in hexadecimal, FLOAT or SFLOAT. Raises KeyError
    for one that has no reader yet, MalformedRecord for octets that cannot be read.
    """
    return READERS[characteristic.upper()](values, context)
