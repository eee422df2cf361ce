"""The device under examination: its advertisement, its link, its answers as octets."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from bleak import BleakClient
from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakGATTProtocolError

from device_bridge.errors import LostPeripheral, MalformedRecord
from device_bridge.gatt import racp
from device_bridge.gatt.ghs import Observation, decode_observation, split_stored
from device_bridge.gatt.segments import SegmentAssembler
from device_bridge.gatt.uuids import RECORD_ACCESS, STORED_OBSERVATIONS
from device_bridge.radio.adapter import Radio

CONNECT_WITHIN = 10.0
ANSWER_WITHIN = 10.0  # seconds after the last octet that came
AFTERWARDS = 0.3  # seconds in which nothing may follow an answer


@dataclass(slots=True)
class Procedure:
    """What came after one request: answers, and the segments of records."""

    answers: list[bytes] = field(default_factory=list[bytes])
    segments: list[bytes] = field(default_factory=list[bytes])
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def answer(self) -> racp.Answer:
        """Return the first answer; raises MalformedRecord."""
        return racp.decode_answer(self.answers[0])

    def messages(self) -> tuple[list[bytes], int]:
        """Return the records, number in front, and how many segments fit none."""
        assembler, whole = SegmentAssembler(), list[bytes]()
        for segment in self.segments:
            message = assembler.feed(segment)
            if message is not None:
                whole.append(message)
        return whole, assembler.lost + assembler.open

    def numbers(self) -> list[int]:
        """Return the numbers of the records in the order in which they came."""
        return [split_stored(message)[0] for message in self.messages()[0]]


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as it was sent, and what it says; None where it cannot be read."""

    number: int
    message: bytes
    observation: Observation | None


def stored(message: bytes) -> Stored:
    """Return the record in a stored message; raises MalformedRecord without number."""
    number, rest = split_stored(message)
    try:
        return Stored(number, rest, decode_observation(rest))
    except MalformedRecord:
        return Stored(number, rest, None)


@dataclass
class Jump:
    """What came of setting the clock ahead: records told live, indications of 2BF2."""

    live: list[bytes] = field(default_factory=list[bytes])
    indicated: int = 0
    took: float = 0.0  # seconds
    record: Stored | None = None
    came: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class Box:
    """A device and what has been learned of it.

    `changes`: its records may be deleted and its clock set. `radio` is the bridge's own
    one, None for the system's. `fresh`: it has no bond with us yet.
    """

    found: BLEDevice
    advertised: AdvertisementData
    backend: type[BaseBleakClient] | None
    radio: Radio | None
    changes: bool
    fresh: bool = True
    paired: bool = False
    records: list[Stored] = field(default_factory=list[Stored])
    jump: Jump | None = None
    deleted: int | None = None
    _client: BleakClient | None = None
    _procedure: Procedure | None = None

    @property
    def client(self) -> BleakClient:
        """Return the link; raises LostPeripheral when there is none."""
        if self._client is None or not self._client.is_connected:
            raise LostPeripheral(self.found.address, "link ended")
        return self._client

    @property
    def is_linked(self) -> bool:
        """Return whether there is a link."""
        return self._client is not None and self._client.is_connected

    @asynccontextmanager
    async def linked(self) -> AsyncGenerator[None]:
        """Hold a link while inside; raises BleakError when there can be none."""
        client = BleakClient(self.found, timeout=CONNECT_WITHIN, backend=self.backend)
        await client.connect()
        self._client = client
        try:
            yield
        finally:
            self._client = None
            if client.is_connected:
                await client.disconnect()

    async def forget(self) -> None:
        """Drop the bond on this side."""
        await BleakClient(self.found, backend=self.backend).unpair()

    async def read(self, where: str) -> bytes:
        """Return a value, read now."""
        return bytes(await self.client.read_gatt_char(where))

    async def write(self, where: str, value: bytes) -> int:
        """Write a value; return the ATT error code, 0 when it was taken."""
        try:
            await self.client.write_gatt_char(where, value, response=True)
        except BleakGATTProtocolError as error:
            return int(error.code)
        return 0

    async def enable_records(self) -> None:
        """Enable the answers of the control point, and records."""
        await self.client.start_notify(RECORD_ACCESS, self._on_answer)
        await self.client.start_notify(STORED_OBSERVATIONS, self._on_segment)

    async def ask(self, request: racp.Request | bytes) -> Procedure:
        """Return what the device does after a request, when it has answered.

        Raises LostPeripheral when no answer comes, or the request is not taken.
        """
        begun = await self.begin(request)
        return await self.finish(begun)

    async def begin(self, request: racp.Request | bytes) -> Procedure:
        """Write a request; raises LostPeripheral when it is not taken."""
        octets = request if isinstance(request, bytes) else request.encode()
        self._procedure = begun = Procedure()
        if code := await self.write(RECORD_ACCESS, octets):
            why = f"request {octets.hex()} refused with ATT error {code:#04x}"
            raise LostPeripheral(self.found.address, why)
        return begun

    async def finish(self, begun: Procedure) -> Procedure:
        """Wait for the answer, and for what should not follow it."""
        while not begun.answers:
            begun.came.clear()
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    await begun.came.wait()
            except TimeoutError:
                why = f"no answer within {ANSWER_WITHIN:g} s"
                raise LostPeripheral(self.found.address, why) from None
        await asyncio.sleep(AFTERWARDS)
        return begun

    def _on_answer(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        if self._procedure is not None:
            self._procedure.answers.append(bytes(value))
            self._procedure.came.set()

    def _on_segment(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        if self._procedure is not None:
            self._procedure.segments.append(bytes(value))
            self._procedure.came.set()
