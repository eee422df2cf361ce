"""Attributes of the objects in IEEE 11073-20601: those that tell a device's story."""

from collections.abc import Callable

from device_bridge.gatt.fields import Fields, code_fields
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

PRODUCTION = {
    1: "serial_number",
    2: "part_number",
    3: "hardware_revision",
    4: "software_revision",
}
TICKS_PER_SECOND = 8000  # relative times in attributes count eighths of a millisecond


def read_attributes(reader: Reader) -> Fields:
    """Return a counted list of attributes; those without a name here are left out."""
    count = reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    found: Fields = {}
    for _ in range(count):
        kind = listed.unsigned(2)
        value = listed.part(listed.unsigned(2))
        if kind in _ATTRIBUTES:
            found |= _ATTRIBUTES[kind](value)
            value.end()
    listed.end()
    return found


def read_type(reader: Reader) -> Fields:
    """Return a type: a partition and a term of it."""
    return code_fields(reader.unsigned(4))


def _text(reader: Reader) -> str:
    return reader.text(reader.unsigned(2))


def _production(reader: Reader) -> Fields:
    count = reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    found: Fields = {}
    for _ in range(count):
        kind, _component = listed.unsigned(2), listed.unsigned(2)
        text = _text(listed)
        if kind in PRODUCTION:
            found[PRODUCTION[kind]] = text
    listed.end()
    return found


def _model(reader: Reader) -> Fields:
    maker, model = _text(reader).rstrip("\0"), _text(reader).rstrip("\0")
    return {"manufacturer": maker, "model": model}


def _specialisations(reader: Reader) -> Fields:
    count = reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    found = [
        {"term": listed.unsigned(2), "version": listed.unsigned(2)}
        for _ in range(count)
    ]
    listed.end()
    return {"specializations": found}


def _segment_map(reader: Reader) -> Fields:
    header, count = reader.unsigned(2), reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    entries = [_map_entry(listed) for _ in range(count)]
    listed.end()
    return {"entry_header": header, "entries": entries}


def _map_entry(reader: Reader) -> Fields:
    entry: Fields = {
        "class": reader.unsigned(2),
        "type": read_type(reader),
        "handle": reader.unsigned(2),
    }
    count = reader.unsigned(2)
    listed = reader.part(reader.unsigned(2))
    attributes = [
        {"id": listed.unsigned(2), "length": listed.unsigned(2)} for _ in range(count)
    ]
    listed.end()
    return entry | {"attributes": attributes}


def _timeout(reader: Reader) -> Fields:
    ticks = reader.unsigned(4)
    shown = {"value": ticks / TICKS_PER_SECOND, "unit": "s", "ticks": ticks}
    return {"transfer_timeout": shown}


def _unsigned(name: str, width: int) -> Callable[[Reader], Fields]:
    return lambda reader: {name: reader.unsigned(width)}


_ATTRIBUTES: dict[int, Callable[[Reader], Fields]] = {
    2344: _model,
    2349: _production,
    2351: lambda reader: {"type": read_type(reader)},
    2369: _unsigned("store_capacity", 4),
    2372: _unsigned("store_usage", 4),
    2385: _unsigned("segments", 2),
    2427: _unsigned("usage_count", 4),
    2436: lambda reader: {"system_id": reader.octets(reader.unsigned(2))},
    # In seconds here, whatever the device's time information says.
    2447: lambda reader: {"device_relative_time": Measured(reader.unsigned(4), "s")},
    2454: _unsigned("unit_code", 2),
    2628: _unsigned("config_id", 2),
    2638: _segment_map,
    2647: lambda reader: {"label": _text(reader)},
    2648: lambda reader: {"label": _text(reader)},
    2650: _specialisations,
    2660: _timeout,
}
