"""From the units that devices measure in to those in which vitals are stored.

All factors are exact by definition: the pound (NIST SP 811, B.8), the conventional
millimetre of mercury (ISO 80000-4), and powers of ten.
"""

from collections.abc import Callable, Mapping
from decimal import Decimal

from device_bridge.gatt.measured import Measured

POUND_IN_KILOGRAMS = Decimal("0.45359237")
MILLIMETRE_OF_MERCURY_IN_KILOPASCALS = Decimal("0.133322387415")
CONVERSIONS: Mapping[tuple[str, str], Callable[[Decimal], Decimal]] = {
    ("[degF]", "Cel"): lambda value: (value - 32) * 5 / 9,
    ("[lb_av]", "kg"): lambda value: value * POUND_IN_KILOGRAMS,
    ("kPa", "mm[Hg]"): lambda value: value / MILLIMETRE_OF_MERCURY_IN_KILOPASCALS,
    ("kg/L", "mg/dL"): lambda value: value.scaleb(5),
    ("mol/L", "mmol/L"): lambda value: value.scaleb(3),
}


def converted(measured: Measured, unit: str) -> Decimal | None:
    """Return a measured value in another UCUM unit, None where it has no value.

    Raises KeyError for units between which there is no conversion here.
    """
    if measured.value is None:
        return None
    value = Decimal(measured.value)
    if measured.unit == unit:
        return value
    return CONVERSIONS[measured.unit or "", unit](value)
