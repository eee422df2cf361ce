"""The stored readings of a meter: asked for by number, never deleted.

Record access as the Glucose Service has it: 16-bit numbers, plain reports, and values
that are told only when asked for. A meter's memory is its owner's; that all came is
known by their count.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial
from typing import Any

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic

from device_bridge.bonding import bonded
from device_bridge.errors import LostPeripheral, MalformedRecord, RefusedRequest
from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode, Operator, Request, ResponseCode
from device_bridge.gatt.uuids import GLUCOSE, GLUCOSE_MEASUREMENT, RECORD_ACCESS

log = logging.getLogger(__name__)

STALLED = 30.0  # seconds without a record or an answer
MOST_RECORDS = 65_536  # as many as there are numbers
NOT_SUPPORTED = (
    ResponseCode.OPCODE_NOT_SUPPORTED,
    ResponseCode.OPERATOR_NOT_SUPPORTED,
    ResponseCode.OPERAND_NOT_SUPPORTED,
)


class StoredReadings:
    """What one meter has stored, on one link. One request at a time."""

    def __init__(
        self,
        client: BleakClient,
        access: BleakGATTCharacteristic,
        values: BleakGATTCharacteristic,
    ) -> None:
        self._client = client
        self._access = access
        self._values = values
        self._answers: asyncio.Queue[racp.Answer] = asyncio.Queue()
        self._received: list[bytes] = []
        self._heard_at = 0.0

    async def enable(self) -> None:
        """Enable answers and values, without which a meter refuses requests."""
        for characteristic, told in (
            (self._access, self._on_answer),
            (self._values, self._on_value),
        ):
            start = partial(self._client.start_notify, characteristic, told)
            await bonded(self._client, start)

    async def since(self, number: int | None) -> Sequence[bytes]:
        """Return the values of all records from a number on; None: of all there are.

        A meter that knows no lower bound sends all of them. Raises LostPeripheral when
        fewer came than it has, or nothing does for 30 s.
        """
        try:
            return await self._complete(_bounds(number))
        except RefusedRequest as error:
            if number is None or error.code not in NOT_SUPPORTED:
                raise LostPeripheral(self._client.address, str(error)) from error
        return await self.since(None)

    async def _complete(self, bounds: Request) -> Sequence[bytes]:
        count = await self._count(bounds)
        if count == 0:
            return ()
        report = Request(
            Opcode.REPORT_STORED, bounds.operator, bounds.filter_type, bounds.minimum
        )
        await self._ask(report)
        received = set(self._received)
        if len(received) < (count or 0):
            raise LostPeripheral(self._client.address, "records were sent in vain")
        return [*dict.fromkeys(self._received)]

    async def _count(self, bounds: Request) -> int | None:
        """Return how many records there are, None from a meter that does not count."""
        try:
            return (await self._ask(bounds)).count or 0
        except RefusedRequest as error:
            if error.code != ResponseCode.OPCODE_NOT_SUPPORTED:
                raise
            return None

    async def _ask(self, request: Request) -> racp.Answer:
        while not self._answers.empty():
            self._answers.get_nowait()
        self._received, self._heard_at = [], _time()
        write = partial(
            self._client.write_gatt_char,
            self._access,
            request.encode(2),
            response=True,
        )
        await bonded(self._client, write)
        while True:
            answer = await self._next_answer()
            if answer.count is not None and request.opcode is Opcode.REPORT_NUMBER:
                return answer
            if answer.request == request.opcode:
                return _judged(answer)

    async def _next_answer(self) -> racp.Answer:
        while (rest := self._heard_at + STALLED - _time()) > 0:
            if len(self._received) > MOST_RECORDS:
                break
            try:
                async with asyncio.timeout(rest):
                    return await self._answers.get()
            except TimeoutError:
                continue
        await self._client.write_gatt_char(
            self._access, racp.ABORT.encode(2), response=True
        )
        raise LostPeripheral(self._client.address, "record transfer stalled")

    def _on_answer(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        try:
            self._answers.put_nowait(racp.decode_answer(bytes(value)))
        except MalformedRecord as error:
            log.warning("answer unreadable", extra={"why": error.why})

    def _on_value(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        if len(self._received) <= MOST_RECORDS:
            self._heard_at = _time()
            self._received.append(bytes(value))


def stored_readings(client: BleakClient) -> StoredReadings | None:
    """Return the access to a meter's records; None for what is no meter."""
    offered = {
        c.uuid: c
        for c in client.services.characteristics.values()
        if c.service_uuid == GLUCOSE
    }
    access, values = offered.get(RECORD_ACCESS), offered.get(GLUCOSE_MEASUREMENT)
    if access is None or values is None:
        return None
    return StoredReadings(client, access, values)


def _bounds(number: int | None) -> Request:
    if number is None:
        return racp.COUNT_ALL
    return Request(
        Opcode.REPORT_NUMBER, Operator.GREATER_OR_EQUAL, racp.RECORD_NUMBER, number
    )


def _judged(answer: racp.Answer) -> racp.Answer:
    if answer.code in (ResponseCode.SUCCESS, ResponseCode.NO_RECORDS):
        return answer
    raise RefusedRequest(answer.request or 0, answer.code or 0)


def _time() -> float:
    return asyncio.get_running_loop().time()
