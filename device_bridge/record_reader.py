"""The client of Record Access Control Point: asks, collects, waits for the answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from bleak import BleakClient
from bleak.exc import BleakGATTProtocolError
from bleak.exc import BleakGATTProtocolErrorCode as Code

from device_bridge.errors import LostPeripheral, MalformedRecord, RefusedRequest
from device_bridge.gatt import racp
from device_bridge.gatt.ghs import split_stored
from device_bridge.gatt.racp import Opcode, ResponseCode
from device_bridge.gatt.segments import SegmentAssembler
from device_bridge.gatt.uuids import RECORD_ACCESS, STORED_OBSERVATIONS
from device_bridge.profiles.medication_monitor_ghs import StoredRecord

log = logging.getLogger(__name__)

ATTEMPTS, BUSY_PAUSE = 5, 0.2
BURST = 256  # records that are synced together during a transfer
MOST_RECORDS = 65_536  # in one transfer; the next link goes on behind them
MOST_SCRAPS = 256  # octets kept of what never became a record
STALLED = 30.0  # seconds without a record or an answer
COUNTED = {
    Opcode.COMBINED_REPORT: Opcode.COMBINED_RESPONSE,
    Opcode.REPORT_NUMBER: Opcode.NUMBER_RESPONSE,
}
Sink = Callable[[Sequence[tuple[int, bytes]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Reply:
    """How a device answered, and how many of the records it sent were received.

    `scraps` is the beginning of what came and did not become a record.
    """

    code: int | None
    count: int | None
    received: int
    scraps: bytes

    @property
    def nothing(self) -> bool:
        """Return whether the device says that it has no such record."""
        return self.code == ResponseCode.NO_RECORDS and not self.received

    @property
    def complete(self) -> bool:
        """Return whether all that was sent is here."""
        return self.nothing or self.count == self.received


class RecordReader:
    """One link's stored records. One request at a time."""

    def __init__(
        self, client: BleakClient, decode: Callable[[bytes], StoredRecord]
    ) -> None:
        self._client = client
        self._decode = decode
        self._odd: dict[int, bytes] = {}
        # None among the answers: a burst waits, or too much has come.
        self._answers: asyncio.Queue[racp.Answer | None] = asyncio.Queue()
        self._assembler = SegmentAssembler()
        self._transfer: _Transfer | None = None
        self._scraps = b""
        self._time = asyncio.get_running_loop().time
        self._heard_at = 0.0
        self.delivered = 0

    @property
    def address(self) -> str:
        return self._client.address

    async def enable(self) -> None:
        """Enable answers and records, without which a device refuses requests."""
        await self._client.start_notify(RECORD_ACCESS, self._on_answer)
        await self._client.start_notify(STORED_OBSERVATIONS, self._on_segment)

    async def ask(self, request: racp.Request, sink: Sink | None = None) -> Reply:
        """Return the answer; records go to `sink` as (number, message) before it.

        They go there in bursts while they come. "No records" is an answer, other codes
        raise RefusedRequest. The request is aborted, and LostPeripheral raised, when
        nothing comes for 30 s, or what was not asked for: another number, one twice,
        more than any device keeps.
        """
        while not self._answers.empty():
            self._answers.get_nowait()  # some devices answer twice
        transfer = _Transfer(request, sink)
        self._transfer, self._scraps, self._heard_at = transfer, b"", self._time()
        try:
            await self._write(request)
            answer = await self._answer_to(transfer)
        finally:
            self._transfer = None
            await transfer.hand_over()
        if transfer.wrong is not None:
            raise LostPeripheral(self._client.address, transfer.wrong)
        return Reply(answer.code, answer.count, transfer.received, self._scraps)

    async def _write(self, request: racp.Request) -> None:
        for attempt in range(ATTEMPTS):
            try:
                await self._client.write_gatt_char(
                    RECORD_ACCESS, request.encode(), response=True
                )
            except BleakGATTProtocolError as error:
                # The device may be slower to end a procedure than to answer it.
                in_progress = error.code == Code.PROCEDURE_ALREADY_IN_PROGRESS
                if not in_progress or attempt == ATTEMPTS - 1:
                    raise
                await asyncio.sleep(BUSY_PAUSE)
            else:
                return

    async def _answer_to(self, transfer: "_Transfer") -> racp.Answer:
        request = transfer.request
        while True:
            rest = self._heard_at + STALLED - self._time()
            why = transfer.wrong or ("record transfer stalled" if rest <= 0 else None)
            if why is not None:
                await self._client.write_gatt_char(
                    RECORD_ACCESS, racp.ABORT.encode(), response=True
                )
                raise LostPeripheral(self._client.address, why)
            try:
                async with asyncio.timeout(rest):
                    answer = await self._answers.get()
            except TimeoutError:
                continue
            if answer is None:
                await transfer.hand_over()
                continue
            if answer.opcode is COUNTED.get(request.opcode):
                return answer
            if answer.request == request.opcode:
                return _judged(answer)

    def _on_answer(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        try:
            self._answers.put_nowait(racp.decode_answer(bytes(value)))
        except MalformedRecord as error:
            log.warning("answer unreadable", extra={"why": error.why})

    def _on_segment(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        self._heard_at = self._time()
        transfer = self._transfer
        if transfer is None or transfer.wrong is not None:
            return
        self._scraps = (self._scraps + bytes(value))[:MOST_SCRAPS]
        try:
            whole = self._assembler.feed(bytes(value))
            if whole is not None:
                self._on_record(transfer, *split_stored(whole))
        except MalformedRecord as error:
            # It has no number; it is missed by the count, and asked for by number.
            log.warning("record unreadable", extra={"why": error.why})

    def _on_record(self, transfer: "_Transfer", number: int, message: bytes) -> None:
        if not self._is_what_it_has(number, message):
            return
        if transfer.take(number, message):
            self._answers.put_nowait(None)
        self.delivered += 1
        self._scraps = b""

    def _is_what_it_has(self, number: int, message: bytes) -> bool:
        """Return whether this is a record as the device has it.

        One that cannot be read, or states another number, may have been damaged on its
        way: it counts when it comes a second time with the same octets.
        """
        try:
            stated = self._decode(message).number
            sound = stated is None or stated == number
        except MalformedRecord:
            sound = False
        except Exception:
            # A decoder's bug must not keep all other records of the box in it: this
            # one goes on raw and is quarantined, as octets that cannot be read are.
            log.exception("record not read", extra={"number": number})
            sound = False
        if sound:
            return True
        seen = sha256(message).digest()
        if self._odd.get(number) == seen:
            return True
        if len(self._odd) < MOST_RECORDS:
            self._odd[number] = seen
        return False


class _Transfer:
    """One request's records on their way; `wrong` is why it has to be ended."""

    def __init__(self, request: racp.Request, sink: Sink | None) -> None:
        self.request = request
        self.wrong: str | None = None
        self._sink = sink
        self._numbers: set[int] = set()
        self._burst: list[tuple[int, bytes]] = []

    @property
    def received(self) -> int:
        return len(self._numbers)

    def take(self, number: int, message: bytes) -> bool:
        """Keep a record; return whether somebody has to look at what has come."""
        low, high = self.request.minimum, self.request.maximum
        asked = (low is None or number >= low) and (high is None or number <= high)
        if not asked or number in self._numbers:
            self.wrong = "sent a record that was not asked for"
        elif self.received >= MOST_RECORDS:
            self.wrong = "sent more records than a device keeps"
        else:
            self._numbers.add(number)
            self._burst.append((number, message))
        return self.wrong is not None or len(self._burst) == BURST

    async def hand_over(self) -> None:
        """Give the sink what has come since it was given something."""
        burst, self._burst = self._burst, []
        if burst and self._sink is not None:
            await self._sink(burst)


def _judged(answer: racp.Answer) -> racp.Answer:
    if answer.code in (ResponseCode.SUCCESS, ResponseCode.NO_RECORDS):
        return answer
    raise RefusedRequest(answer.request or 0, answer.code or 0)
