"""An air on which packets are lost, doubled, swapped, damaged and held up."""

import asyncio
from collections.abc import Callable
from random import Random

from bumble import hci, ll
from bumble.controller import Controller
from bumble.core import PhysicalTransport

from device_bridge.virtual.air import Air
from tests.device_bridge.faults.steps import Reading, Step
from tests.device_bridge.faults.strikes import Fault

STALLED_FOR = 45.0  # seconds, longer than a bridge waits for an answer
SWAPPED_WITHIN = 1.0
LATENCY, APART = 0.004, 0.0005  # seconds
NOT_SENT = (Fault.DROP, Fault.REORDER, Fault.SIGNAL_LOST, Fault.KILLED)
HEAD = 7  # of L2CAP and ATT: length, channel, code, handle
Send = Callable[[], None]


class FaultyAir(Air):
    """`strike` is asked at every step, and says what is to fail there, if anything."""

    def __init__(self, strike: Callable[[Step], Fault | None], draw: Random) -> None:
        super().__init__()
        self.reading: Reading | None = None
        self._strike = strike
        self._draw = draw
        self._free_at: dict[Controller, float] = {}
        self._held: dict[Controller, Send] = {}

    def send_acl_data(
        self,
        sender_controller: Controller,
        destination_address: hci.Address,
        transport: PhysicalTransport,
        data: bytes,
    ) -> None:
        def send(octets: bytes = data) -> None:
            # `super` has no meaning in a call that comes later.
            Air.send_acl_data(
                self, sender_controller, destination_address, transport, octets
            )

        if self.reading is None:
            send()
            return
        fault = self._strike(self.reading.step(data))
        if fault is Fault.CORRUPT:
            damaged = self.damaged(data)
            self._pass(sender_controller, lambda: send(damaged), None)
            return
        self._pass(sender_controller, send, fault)

    def send_advertising_pdu(
        self, sender_controller: Controller, packet: ll.AdvertisingPdu
    ) -> None:
        def send(shown: ll.AdvertisingPdu = packet) -> None:
            Air.send_advertising_pdu(self, sender_controller, shown)

        connects = isinstance(packet, ll.ConnectInd)
        fault = self._strike(Step.CONNECT if connects else Step.SCAN)
        if fault is Fault.CORRUPT and isinstance(packet, ll.AdvInd):
            changed = ll.AdvInd(packet.advertiser_address, packet.data[:-3])
            send(changed)
            return
        self._pass(sender_controller, send, fault)

    def send_ll_control_pdu(
        self,
        sender_address: hci.Address,
        receiver_address: hci.Address,
        packet: ll.ControlPdu,
    ) -> None:
        # Behind the data sent before it, as on a real link.
        sender = self.find_le_controller(sender_address)
        if sender is not None:
            there = Air.send_ll_control_pdu
            args = sender_address, receiver_address, packet
            self._later(sender, lambda: there(self, *args))

    def _pass(self, sender: Controller, send: Send, fault: Fault | None) -> None:
        loop = asyncio.get_running_loop()
        if fault is Fault.STALL:
            self._free_at[sender] = loop.time() + STALLED_FOR
        elif fault is Fault.REORDER:
            self._held[sender] = send
            loop.call_later(SWAPPED_WITHIN, self._release, sender, send)
        if fault in NOT_SENT:
            return
        self._later(sender, send)
        if fault is Fault.DUPLICATE:
            self._later(sender, send)
        if held := self._held.pop(sender, None):
            self._later(sender, held)

    def _later(self, sender: Controller, send: Send) -> None:
        """Send behind what this sender has sent before."""
        loop = asyncio.get_running_loop()
        at = max(self._free_at.get(sender, 0.0), loop.time() + LATENCY) + APART
        self._free_at[sender] = at
        loop.call_at(at, send)

    def _release(self, sender: Controller, send: Send) -> None:
        if self._held.get(sender) is send:
            del self._held[sender]
            self._later(sender, send)

    def damaged(self, packet: bytes) -> bytes:
        """Return a packet cut short, too long, or with another first octet."""
        length, channel, rest = packet[:2], packet[2:4], packet[4:]
        match self._draw.randrange(3):
            case 0 if len(rest) > 1:
                rest = rest[:-1]
            case 1:
                rest += bytes([self._draw.randrange(256)])
            case _:
                at = min(HEAD - 4, len(rest) - 1)  # a value's first octet
                other = rest[at] ^ (1 << self._draw.randrange(8))
                rest = rest[:at] + bytes([other]) + rest[at + 1 :]
        length = len(rest).to_bytes(2, "little")
        return length + channel + rest
