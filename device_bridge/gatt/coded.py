"""Numbers that stand for words: flags and enumerations."""

from collections.abc import Mapping, Sequence

RESERVED = "reserved"


def named_bits(bits: int, names: Mapping[int, str]) -> tuple[str, ...]:
    """Return the names of the bits that are set, lowest first; others are ignored."""
    return tuple(name for bit, name in names.items() if bits >> bit & 1)


def named(code: int, names: Mapping[int, str]) -> str:
    """Return the name of a code, or "reserved" for one without a name."""
    return names.get(code, RESERVED)


def numbered(names: Sequence[str], first: int = 0) -> dict[int, str]:
    """Return names by number, counted from `first`."""
    return dict(enumerate(names, first))
