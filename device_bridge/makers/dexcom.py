"""Dexcom G5 and G6: the messages with a glucose value and with the transmitter's time.

Sixteen octets, little-endian, the last two a CRC-16/XMODEM over those before it.
Layout: LoopKit/CGMBLEKit, GlucoseRxMessage and TransmitterTimeRxMessage.
"""

from dataclasses import dataclass

from device_bridge.gatt.checksums import xmodem
from device_bridge.gatt.measured import Measured
from device_bridge.gatt.reader import Reader

SIZE, CRC_SIZE = 16, 2
GLUCOSE, TIME = 0x31, 0x25
GLUCOSE_BITS = 0x0FFF  # those above say that the value is for display only
NO_SESSION = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class GlucoseMessage:
    """A value; `timestamp` is seconds since the transmitter was activated.

    `state` is the sensor's calibration state as sent.
    """

    opcode: int
    status: int
    sequence: int
    timestamp: Measured
    glucose: Measured
    display_only: bool
    state: int
    trend: Measured


@dataclass(frozen=True, slots=True)
class TimeMessage:
    """The transmitter's clock; `session_start` is None while no sensor session runs."""

    opcode: int
    status: int
    current_time: Measured
    session_start: Measured | None


def _checked(what: str, payload: bytes, opcode: int) -> Reader:
    reader = Reader(what, payload)
    if len(payload) != SIZE:
        raise reader.malformed(f"want {SIZE} octets")
    body, said = reader.payload[:-CRC_SIZE], reader.payload[-CRC_SIZE:]
    if xmodem(body) != int.from_bytes(said, "little"):
        raise reader.malformed(f"CRC {said.hex()}")
    if reader.unsigned(1) != opcode:
        raise reader.malformed(f"opcode is not {opcode:#04x}")
    return reader


def decode_glucose_message(payload: bytes) -> GlucoseMessage:
    """Return the message 0x31."""
    reader = _checked("Dexcom glucose message", payload, GLUCOSE)
    status, sequence = reader.unsigned(1), reader.unsigned(4)
    timestamp, value = reader.unsigned(4), reader.unsigned(2)
    return GlucoseMessage(
        GLUCOSE,
        status,
        sequence,
        Measured(timestamp, "s"),
        Measured(value & GLUCOSE_BITS, "mg/dL"),
        bool(value & ~GLUCOSE_BITS),
        reader.unsigned(1),
        Measured(reader.signed(1), "0.1 mg/dL/min"),
    )


def decode_time_message(payload: bytes) -> TimeMessage:
    """Return the message 0x25; its four octets before the CRC are not understood."""
    reader = _checked("Dexcom time message", payload, TIME)
    status, now, started = reader.unsigned(1), reader.unsigned(4), reader.unsigned(4)
    session = None if started == NO_SESSION else Measured(started, "s")
    return TimeMessage(TIME, status, Measured(now, "s"), session)
