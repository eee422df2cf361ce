"""What a fuzzer's octets mean to a decoder, and where it starts from."""

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from device_bridge.characteristics import CHARACTERISTICS, decode, named
from device_bridge.errors import MalformedRecord
from device_bridge.gatt.ghs import split_stored
from device_bridge.gatt.segments import join
from device_bridge.gatt.uuids import short
from device_bridge.profiles import discovered

SEEDS = Path(__file__).parent / "seeds.txt"
KEYS = tuple(characteristic.key for characteristic in CHARACTERISTICS)
# The first octet of an input chooses among these; only some values are told anything.
CONTEXTS: tuple[dict[str, Any], ...] = (
    {},
    {"stored": True},
    {"direction": "client_to_server"},
    {"direction": "client_to_server", "operand_width": 2},
    {"direction": "client_to_server", "operand_width": 4},
    {"direction": "server_to_client"},
    {"direction": "reader_to_card"},
    {"direction": "card_to_reader"},
)
IN_SEGMENTS = {"2B8B", "2BDD"}
ADOPTED = {key for key in KEYS if key[0] == "2"}


@dataclass(frozen=True)
class Seed:
    """A sound value, and what its decoder must be told."""

    key: str
    context: dict[str, Any]
    values: tuple[bytes, ...]

    def fields(self) -> dict[str, Any]:
        return decode(self.key, self.values, self.context)

    def packed(self) -> bytes:
        """Return the input from which `unpacked` makes this seed."""
        chosen = bytes([CONTEXTS.index(self.context)])
        if self.key not in IN_SEGMENTS:
            return chosen + self.values[0]
        return chosen + b"".join(bytes([len(v)]) + v for v in self.values)


def _plain(value: str) -> object:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _seed(line: str) -> Seed:
    key, *words = line.split()
    context: dict[str, Any] = {}
    if "=" in words[0]:
        pairs = (pair.split("=") for pair in words.pop(0).split(","))
        context = {name: _plain(value) for name, value in pairs}
    return Seed(named(key).key, context, tuple(bytes.fromhex(word) for word in words))


@cache
def seeds() -> tuple[Seed, ...]:
    lines = SEEDS.read_text().splitlines()
    return tuple(_seed(line) for line in lines if not line.startswith("#"))


def unpacked(key: str, octets: bytes) -> Seed:
    """Return the value that any octets stand for."""
    context, rest = CONTEXTS[octets[0] % len(CONTEXTS)] if octets else {}, octets[1:]
    if key not in IN_SEGMENTS:
        return Seed(key, context, (rest,))
    values: list[bytes] = []
    while rest:
        size = rest[0]
        values.append(rest[1 : 1 + size])
        rest = rest[1 + size :]
    return Seed(key, context, tuple(values))


def is_sound(key: str, values: Sequence[bytes], context: dict[str, Any]) -> bool:
    """Return whether octets can be read; whatever they are, this comes back.

    What was read must be plain fields: what JSON can say. What a device family makes
    of them is asked too.
    """
    with suppress(MalformedRecord):
        _as_families_read(key, values, context)
    try:
        json.dumps(decode(key, values, context), allow_nan=False)
    except MalformedRecord:
        return False
    return True


def _as_families_read(
    key: str, values: Sequence[bytes], context: dict[str, Any]
) -> None:
    characteristic = short(int(key, 16)) if key in ADOPTED else ""
    for profile in discovered():
        if (read := profile.decoders.get(characteristic)) is None:
            continue
        message = join(values) if key in IN_SEGMENTS else values[0]
        if context.get("stored"):
            _, message = split_stored(message)
        assert len(profile.canonical(message)) == len(message)
        read(message)
