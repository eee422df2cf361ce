"""Amounts from one UCUM unit to another, where that is arithmetic and no more."""

from decimal import Decimal

# What an international unit weighs depends on the drug, and how much drug a millilitre
# holds on the product: neither is converted.
UNITS = {
    "g": ("mass", Decimal(1)),
    "mg": ("mass", Decimal("1e-3")),
    "ug": ("mass", Decimal("1e-6")),
    "L": ("volume", Decimal(1)),
    "mL": ("volume", Decimal("1e-3")),
    "uL": ("volume", Decimal("1e-6")),
}


def convert(amount: Decimal, unit: str | None, to: str) -> Decimal | None:
    """Return the amount in unit `to`, None where nobody can say."""
    if unit == to:
        return amount
    kind, size = UNITS.get(unit or "", ("", Decimal(1)))
    other_kind, other_size = UNITS.get(to, ("", Decimal(1)))
    if not kind or kind != other_kind:
        return None
    return (amount * size / other_size).normalize()
