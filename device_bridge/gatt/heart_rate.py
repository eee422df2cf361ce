"""Heart Rate Measurement 2A37."""

from dataclasses import dataclass

from device_bridge.gatt.reader import Reader

WIDE, CONTACT, CONTACT_SUPPORTED, ENERGY, INTERVALS = 0x01, 0x02, 0x04, 0x08, 0x10


@dataclass(frozen=True, slots=True)
class HeartRate:
    """`beats` per minute; `contact` is None when the sensor cannot tell.

    `energy_kilojoules` is None when absent; `rr_1024ths` are the intervals between
    beats in 1/1024 s, oldest first, None when absent.
    """

    beats: int
    contact: bool | None
    energy_kilojoules: int | None
    rr_1024ths: tuple[int, ...] | None


def decode_heart_rate(payload: bytes) -> HeartRate:
    """Return one measurement; an odd octet after the intervals is malformed."""
    reader = Reader("heart rate measurement", payload)
    flags = reader.unsigned(1)
    beats = reader.unsigned(2 if flags & WIDE else 1)
    energy = reader.unsigned(2) if flags & ENERGY else None
    intervals = None
    if flags & INTERVALS:
        if not reader.left:
            raise reader.malformed("intervals announced and absent")
        intervals = tuple(reader.unsigned(2) for _ in range((reader.left + 1) // 2))
    contact = bool(flags & CONTACT) if flags & CONTACT_SUPPORTED else None
    return HeartRate(beats, contact, energy, intervals)


def encode_heart_rate(beats: int) -> bytes:
    """Return a measurement with skin contact and nothing else."""
    contact = CONTACT | CONTACT_SUPPORTED
    if beats > 255:
        return bytes([contact | WIDE]) + beats.to_bytes(2, "little")
    return bytes([contact, beats])
