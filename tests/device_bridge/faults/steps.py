"""Which step of the protocol a packet on the air belongs to."""

from enum import StrEnum

from bumble import att

from device_bridge.gatt import uuids
from device_bridge.gatt.racp import Opcode
from device_bridge.virtual.server import GattDevice

ATT_CHANNEL, PAIRING_CHANNEL = 4, 6


class Step(StrEnum):
    SCAN = "scan"
    CONNECT = "connect"
    DISCOVER = "discover"
    IDENTIFY = "identify"
    BOND = "bond"
    SUBSCRIBE = "subscribe"
    READ_CLOCK = "read clock"
    SET_CLOCK = "set clock"
    READ_BATTERY = "read battery"
    START_LIVE = "start live"
    REQUEST = "request"
    RECORD = "record"
    LIVE = "live record"
    ANSWER = "answer"
    DELETE = "delete"
    DELETED = "deleted"
    SPOOL = "spool"
    UPLOAD = "upload"
    TELL = "tell"


BY_VALUE = {
    uuids.RECORD_ACCESS: Step.REQUEST,
    uuids.STORED_OBSERVATIONS: Step.RECORD,
    uuids.LIVE_OBSERVATIONS: Step.LIVE,
    uuids.CURRENT_ELAPSED_TIME: Step.READ_CLOCK,
    uuids.BATTERY_LEVEL: Step.READ_BATTERY,
    uuids.GHS_CONTROL: Step.START_LIVE,
    uuids.MAKER: Step.IDENTIFY,
    uuids.MODEL: Step.IDENTIFY,
    uuids.SERIAL: Step.IDENTIFY,
}
ASKED = (att.Opcode.ATT_READ_REQUEST, att.Opcode.ATT_WRITE_REQUEST)
TOLD = (
    att.Opcode.ATT_HANDLE_VALUE_NOTIFICATION,
    att.Opcode.ATT_HANDLE_VALUE_INDICATION,
    att.Opcode.ATT_HANDLE_VALUE_CONFIRMATION,
)


class Reading:
    """Names the packets of one box's link. A response belongs to its request's step."""

    def __init__(self, box: GattDevice) -> None:
        self._by_handle: dict[int, Step] = {}
        self._last = Step.DISCOVER
        for text, characteristic in box.characteristics.items():
            step = BY_VALUE.get(text, Step.DISCOVER)
            self._by_handle[characteristic.handle] = step
            for descriptor in characteristic.descriptors:
                self._by_handle[descriptor.handle] = Step.SUBSCRIBE

    def step(self, packet: bytes) -> Step:
        """Return the step of one L2CAP packet, of either side."""
        channel = int.from_bytes(packet[2:4], "little")
        if channel == PAIRING_CHANNEL:
            return Step.BOND
        if channel != ATT_CHANNEL:
            return Step.DISCOVER
        code, handle = packet[4], int.from_bytes(packet[5:7], "little")
        if code in ASKED:
            self._last = self._asked(code, handle, packet[7:])
        elif code in TOLD:
            return self._told(handle, packet[7:])
        elif code % 2 == 0:
            self._last = Step.DISCOVER
        return self._last

    def _asked(self, code: int, handle: int, value: bytes) -> Step:
        step = self._by_handle.get(handle, Step.DISCOVER)
        if code == att.Opcode.ATT_READ_REQUEST:
            return step
        if step is Step.READ_CLOCK:
            return Step.SET_CLOCK
        if step is Step.REQUEST and value[:1] == bytes([Opcode.DELETE_STORED]):
            return Step.DELETE
        return step

    def _told(self, handle: int, value: bytes) -> Step:
        step = self._by_handle.get(handle, Step.ANSWER)
        if step is not Step.REQUEST:
            return step
        head = bytes([Opcode.RESPONSE_CODE, 0, Opcode.DELETE_STORED])
        return Step.DELETED if value.startswith(head) else Step.ANSWER
