"""Members of parsed FHIR JSON, read strictly: what is there, of what type."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import cast

from backend.regimens.timing import BadTiming

Members = Mapping[str, object]
ELEMENT = frozenset({"id", "extension"})  # what every element may carry
MOST = 1_000_000


def members(value: object, what: str) -> Members:
    """Return the members of a JSON object; raises BadTiming for anything else."""
    if not isinstance(value, Mapping):
        raise BadTiming(f"{what} is a JSON object, not {type(value).__name__}")
    return cast(Members, value)


def is_set(of: Members, name: str) -> bool:
    return of.get(name) is not None


def part(of: Members, name: str) -> Members:
    """Return an object inside another, an empty one where it is absent."""
    return members(of[name], name) if is_set(of, name) else {}


def several(of: Members, name: str) -> list[object]:
    """Return a list of at least one."""
    value = of[name]
    if not isinstance(value, list) or not value:
        raise BadTiming(f"{name} is a list of at least one")
    return cast(list[object], value)


def refuse_unknown(of: Members, what: str, known: Collection[str]) -> None:
    """Raise BadTiming for a member that R4 does not have, or that may change all.

    A name that begins with `_` carries extensions of the member it names.
    """
    if is_set(of, "modifierExtension") and "modifierExtension" not in known:
        raise BadTiming("a modifierExtension may change everything and is not known")
    unknown = {name for name in of if not name.startswith("_")} - {*known, *ELEMENT}
    if unknown - {"modifierExtension"}:
        raise BadTiming(f"{what} has no {', '.join(sorted(unknown))}")


def positive(of: Members, name: str) -> int:
    """Return a FHIR positiveInt, 1 where it is absent."""
    value = of.get(name, 1)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise BadTiming(f"{name} is a whole number above 0, not {value!r}")
    return value


def number(of: Members, name: str, *, least: str = "0.001") -> Fraction:
    """Return a FHIR decimal between `least` and a million."""
    value = of.get(name)
    if not isinstance(value, int | float | Decimal) or isinstance(value, bool):
        raise BadTiming(f"{name} is a number, not {value!r}")
    # Bounded before it becomes a fraction: 1e999999 would not fit in memory.
    if not Decimal(least) <= Decimal(str(value)) <= MOST:
        raise BadTiming(f"{name} lies between {least} and {MOST}")
    return Fraction(str(value))


def text(of: Members, name: str) -> str | None:
    """Return a text, None where it is absent."""
    value = of.get(name)
    if value is not None and not isinstance(value, str):
        raise BadTiming(f"{name} is text, not {value!r}")
    return value
