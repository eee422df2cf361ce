"""A measured value with its unit."""

from dataclasses import dataclass
from decimal import Decimal

from device_bridge.gatt.ieee11073 import Number, read_float, read_sfloat
from device_bridge.gatt.reader import Reader


@dataclass(frozen=True, slots=True)
class Measured:
    """A value and its UCUM unit, or the reason why there is no value.

    A Decimal keeps the digits that the device sent, trailing zeros included.
    """

    value: int | float | Decimal | None
    unit: str | None
    special: str | None = None

    @classmethod
    def of(cls, number: Number, unit: str | None) -> "Measured":
        """Return an IEEE 11073 number with a unit."""
        special = None if number.special is None else str(number.special)
        return cls(number.decimal, unit, special)


def sfloat(reader: Reader, unit: str) -> Measured:
    """Return the next SFLOAT."""
    return Measured.of(read_sfloat(reader), unit)


def float32(reader: Reader, unit: str) -> Measured:
    """Return the next FLOAT."""
    return Measured.of(read_float(reader), unit)


def scaled(raw: int, step: str, unit: str) -> Measured:
    """Return `raw` steps, with as many decimals as the step has."""
    return Measured(raw * Decimal(step), unit)
