"""Cyclic redundancy checks of 16 bits that devices append to their values."""


def mcrf4xx(octets: bytes) -> int:
    """Return the E2E-CRC of Bluetooth services, CRC-16/MCRF4XX.

    Polynomial 0x1021 reflected, seed 0xFFFF, no final xor; sent little-endian.
    Source: Continuous Glucose Monitoring Service, E2E-CRC.
    """
    return _reflected(octets, polynomial=0x8408, seed=0xFFFF)


def xmodem(octets: bytes) -> int:
    """Return CRC-16/XMODEM: polynomial 0x1021, seed 0. Dexcom's messages have it."""
    return _forward(octets, polynomial=0x1021, seed=0)


def cms(octets: bytes) -> int:
    """Return CRC-16/CMS: polynomial 0x8005, seed 0xFFFF. InPen's records have it."""
    return _forward(octets, polynomial=0x8005, seed=0xFFFF)


def _reflected(octets: bytes, *, polynomial: int, seed: int) -> int:
    crc = seed
    for octet in octets:
        crc ^= octet
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
    return crc


def _forward(octets: bytes, *, polynomial: int, seed: int) -> int:
    crc = seed
    for octet in octets:
        crc ^= octet << 8
        for _ in range(8):
            crc = (crc << 1 ^ (polynomial if crc & 0x8000 else 0)) & 0xFFFF
    return crc
