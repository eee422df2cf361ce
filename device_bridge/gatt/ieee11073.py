"""IEEE 11073-20601 FLOAT and SFLOAT: decimal mantissa and decimal exponent.

Both are two's complement. The number of digits is precision ("37.60" is not "37.6"),
so values are Decimal and never pass through binary floating point.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from device_bridge.gatt.reader import Reader

PLAIN_DIGITS = 20  # above that many digits a number is written with an exponent
MANTISSA_LIMIT = 2**23 - 3  # the largest FLOAT mantissa that is not a special code


class Special(StrEnum):
    NAN = "NaN"
    NRES = "NRes"
    POSITIVE_INFINITY = "+INF"
    NEGATIVE_INFINITY = "-INF"
    RESERVED = "Reserved"


@dataclass(frozen=True, slots=True)
class Number:
    """A decimal, or the reason why there is none."""

    decimal: Decimal | None
    special: Special | None = None

    @property
    def text(self) -> str | None:
        """Return the exact decimal text with its trailing zeros, or None."""
        if self.decimal is None:
            return None
        exponent = self.decimal.as_tuple().exponent
        plain = isinstance(exponent, int) and abs(exponent) <= PLAIN_DIGITS
        return f"{self.decimal:f}" if plain else str(self.decimal)


NOT_A_NUMBER = Number(None, Special.NAN)

_SFLOAT_SPECIALS = {
    0x07FF: Special.NAN,
    0x0800: Special.NRES,
    0x07FE: Special.POSITIVE_INFINITY,
    0x0802: Special.NEGATIVE_INFINITY,
    0x0801: Special.RESERVED,
}
_FLOAT_SPECIALS = {
    0x007FFFFF: Special.NAN,
    0x00800000: Special.NRES,
    0x007FFFFE: Special.POSITIVE_INFINITY,
    0x00800002: Special.NEGATIVE_INFINITY,
    0x00800001: Special.RESERVED,
}
_FLOAT_CODES = {special: code for code, special in _FLOAT_SPECIALS.items()}


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> (bits - 1) else value


def _number(mantissa: int, exponent: int) -> Number:
    # The sign of a zero mantissa does not exist on the wire.
    digits = tuple(int(digit) for digit in str(abs(mantissa)))
    return Number(Decimal((int(mantissa < 0), digits, exponent)))


def read_sfloat(reader: Reader) -> Number:
    """Return the next 16-bit SFLOAT."""
    raw = reader.unsigned(2)
    if raw in _SFLOAT_SPECIALS:
        return Number(None, _SFLOAT_SPECIALS[raw])
    return _number(_signed(raw & 0xFFF, 12), _signed(raw >> 12, 4))


def read_float(reader: Reader) -> Number:
    """Return the next 32-bit FLOAT."""
    raw = reader.unsigned(4)
    if raw in _FLOAT_SPECIALS:
        return Number(None, _FLOAT_SPECIALS[raw])
    return _number(_signed(raw & 0xFFFFFF, 24), _signed(raw >> 24, 8))


def decode_sfloat(payload: bytes) -> Number:
    """Return the SFLOAT in exactly two octets; raises MalformedRecord."""
    reader = Reader("SFLOAT", payload)
    number = read_sfloat(reader)
    reader.end()
    return number


def decode_float(payload: bytes) -> Number:
    """Return the FLOAT in exactly four octets; raises MalformedRecord."""
    reader = Reader("FLOAT", payload)
    number = read_float(reader)
    reader.end()
    return number


def encode_float(number: Number) -> bytes:
    """Return four octets that keep every digit of the number.

    Raises ValueError when the digits do not fit: a device must not round a dose.
    """
    if number.special is not None:
        return _FLOAT_CODES[number.special].to_bytes(4, "little")
    if number.decimal is None:
        raise ValueError("neither a decimal nor a special value")
    sign, digits, exponent = number.decimal.as_tuple()
    mantissa = int("".join(map(str, digits)))
    if not isinstance(exponent, int) or not -128 <= exponent <= 127:
        raise ValueError(f"exponent of {number.decimal} does not fit")
    if mantissa > MANTISSA_LIMIT:
        raise ValueError(f"{number.decimal} has too many digits for a FLOAT")
    mantissa = -mantissa if sign else mantissa
    return mantissa.to_bytes(3, "little", signed=True) + exponent.to_bytes(
        1, "little", signed=True
    )
