"""What `python -m device_bridge decode` shows: one value, a file of them, vectors."""

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

from device_bridge.characteristics import (
    CHARACTERISTICS,
    TO_SERVER,
    Context,
    decode,
    named,
)
from device_bridge.errors import BadInput, BridgeError, MalformedRecord


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what can be said after `decode`."""
    parser.description = "Characteristics: " + ", ".join(
        f"{characteristic.key} ({characteristic.name})"
        for characteristic in CHARACTERISTICS
    )
    parser.add_argument(
        "values",
        nargs="*",
        metavar="CHARACTERISTIC HEX",
        help="2A37 0055: one value, or notifications in order",
    )
    parser.add_argument("--characteristic", help="then HEX alone follows")
    parser.add_argument(
        "--context",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="direction, service, operand_width, stored, read_at; or a JSON object",
    )
    parser.add_argument("--stored", action="store_true", help="a record number leads")
    parser.add_argument("--request", action="store_true", help="written by the client")
    parser.add_argument("--file", type=Path, help="a file with one value a line")
    parser.add_argument("--vectors", type=Path, help="a JSON file of test vectors")


def takes(options: argparse.Namespace, behind: Sequence[str]) -> bool:
    """Add octets that stand behind an option, where argparse looks for none."""
    if "vectors" not in options or any(word.startswith("-") for word in behind):
        return False
    options.values += behind
    return True


def lines(options: argparse.Namespace) -> Iterator[str]:
    """Return the lines to print; raises BridgeError for what cannot be read at all."""
    if options.vectors is not None:
        return _vector_lines(options.vectors)
    values: list[str] = list(options.values)
    if options.characteristic is None and not values:
        raise BadInput("say which characteristic: decode 2A37 0055")
    name = values.pop(0) if options.characteristic is None else options.characteristic
    named(name)
    context = _context(options)
    if options.file is not None:
        return _file_lines(name, options.file, context)
    if not values:
        raise BadInput(f'say which octets: decode {name} 0055, or "" for none')
    fields = decode(name, [_octets(value) for value in values], context)
    return iter((json.dumps(fields, indent=1),))


def _octets(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadInput(f"octets {text!r}: want pairs of hexadecimal digits") from None


def _context(options: argparse.Namespace) -> Context:
    context: dict[str, Any] = {}
    if options.stored:
        context["stored"] = True
    if options.request:
        context["direction"] = TO_SERVER
    for text in options.context:
        context |= _pairs(text)
    return context


def _pairs(text: str) -> dict[str, Any]:
    """Return the object in JSON text, or the pair in KEY=VALUE."""
    key, equals, value = text.partition("=")
    if text.lstrip().startswith("{"):
        found = _json(text)
        if isinstance(found, dict):
            return cast("dict[str, Any]", found)
    elif equals:
        plain = _json(value)
        return {key: value if plain is None else plain}
    raise BadInput(f"context {text!r}: want KEY=VALUE or a JSON object")


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not a text file") from error


def _file_lines(name: str, path: Path, context: Context) -> Iterator[str]:
    """Return a line of JSON for each line that is neither empty nor a comment."""
    for number, line in enumerate(_text_of(path).splitlines(), start=1):
        if line.strip() and not line.lstrip().startswith("#"):
            shown = _outcome(name, [line], context)
            yield json.dumps({"line": number} | shown)


def _vector_lines(path: Path) -> Iterator[str]:
    """Return a line of JSON for each vector; raises BadInput for another file."""
    items = _json(_text_of(path))
    if not isinstance(items, list):
        raise BadInput(f"{path}: not a JSON list of test vectors")
    vectors = cast("list[object]", items)
    if vectors and not any(_is_vector(vector) for vector in vectors):
        raise BadInput(f"{path}: nothing in it is a test vector with an id")
    return (json.dumps(_vector(vector)) for vector in vectors)


def _is_vector(item: object) -> bool:
    return isinstance(item, dict) and "id" in item


def _vector(item: object) -> dict[str, Any]:
    if not isinstance(item, dict):
        return {"id": None, "error": "not an object"}
    vector = cast("dict[str, Any]", item)
    identity = {"id": vector.get("id")}
    name: object = vector.get("characteristic")
    context: object = vector.get("context") or {}
    stated: object = vector.get("hex")
    values = cast("object", [stated] if isinstance(stated, str) else stated)
    if not isinstance(name, str):
        return identity | {"error": "names no characteristic"}
    if not isinstance(values, list) or not isinstance(context, dict):
        return identity | {"error": "hex is no text or list, or context no object"}
    told = cast("tuple[list[object], dict[str, Any]]", (values, context))
    return identity | _outcome(name, *told)


def _outcome(name: str, values: Sequence[object], context: Context) -> dict[str, Any]:
    try:
        octets = [_octets(str(value)) for value in values]
        return {"decoded": decode(name, octets, context)}
    except MalformedRecord as error:
        return {"error": error.why}
    except BridgeError as error:
        return {"error": str(error)}
