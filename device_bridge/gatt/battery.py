"""Battery Level 2A19."""

from device_bridge.gatt.reader import Reader


def decode_battery(payload: bytes) -> int:
    """Return the charge, 0 to 100 percent; more is malformed."""
    reader = Reader("battery level", payload)
    percent = reader.unsigned(1)
    reader.end()
    if percent > 100:
        raise reader.malformed(f"{percent} percent")
    return percent
