"""Decoded values as plain fields, ready for JSON, under the names of the test vectors.

A value is shown field by field, under the names of its dataclass.
"""

from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from device_bridge.gatt.ieee11073 import Number
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.nomenclature import NAMES

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Fields = dict[str, Any]
SHOWN_WHOLE = 100  # powers of ten below which a number without decimals is an int


@runtime_checkable
class Shown(Protocol):
    """A value whose fields are not simply those of its dataclass."""

    def fields(self) -> Fields:
        """Return the fields to show; their values are shown in turn."""
        ...


def as_fields(value: object) -> Any:  # noqa: ANN401  as JSON has it
    """Return dataclasses as dicts, sequences as lists, octets in hexadecimal."""
    if isinstance(value, Shown):
        return as_fields(value.fields())
    if isinstance(value, Measured):
        return _measured(value)
    if is_dataclass(value) and not isinstance(value, type):
        return as_fields(own_fields(value))
    if isinstance(value, dict):
        known = cast("Fields", value)
        return {name: as_fields(inner) for name, inner in known.items()}
    if isinstance(value, (tuple, list)):
        return [as_fields(inner) for inner in cast("Sequence[object]", value)]
    return value.hex() if isinstance(value, bytes) else value


def own_fields(value: "DataclassInstance") -> Fields:
    """Return the fields of a dataclass as they are, to be shown among others."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _measured(measured: Measured) -> Fields:
    value, unit = measured.value, measured.unit
    if value is None:
        return {"value": None, "unit": unit, "special": measured.special}
    if not isinstance(value, Decimal):
        return {"value": value, "unit": unit}
    exponent = value.as_tuple().exponent
    whole = isinstance(exponent, int) and 0 <= exponent < SHOWN_WHOLE
    shown = int(value) if whole else float(value)
    return {"value": shown, "unit": unit, "decimal": Number(value).text}


def code_fields(code: int) -> Fields:
    """Return the parts of an MDC code."""
    partition, term = code >> 16, code & 0xFFFF
    return {"mdc": code, "partition": partition, "term": term, "name": NAMES.get(code)}
