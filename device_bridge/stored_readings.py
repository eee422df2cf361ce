"""The stored readings of a meter or sensor: asked for by number, never deleted.

Record access as the services of glucose have it: 16-bit numbers (minutes of a session
in CGM), plain reports. A meter's memory is its owner's; that all came is known by their
count.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from bleak import BleakClient
from bleak.backends.characteristic import BleakGATTCharacteristic

from device_bridge.bonding import bonded
from device_bridge.errors import LostPeripheral, MalformedRecord, RefusedRequest
from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode, Operator, Request, ResponseCode

log = logging.getLogger(__name__)

ATTEMPTS = 3
STALLED = 30.0  # seconds without a record or an answer
MOST_RECORDS = 65_536  # as many as there are numbers
NOT_SUPPORTED = (
    ResponseCode.OPCODE_NOT_SUPPORTED,
    ResponseCode.OPERATOR_NOT_SUPPORTED,
    ResponseCode.OPERAND_NOT_SUPPORTED,
)
Split = Callable[[bytes], Iterable[bytes]]


class StoredReadings:
    """What one meter has stored, on one link. One request at a time.

    `split` gives the records in a value, or raises MalformedRecord. `told` is called
    when a value comes that was not asked for.
    """

    def __init__(
        self,
        client: BleakClient,
        access: BleakGATTCharacteristic,
        values: BleakGATTCharacteristic,
        split: Split,
        told: Callable[[], None],
    ) -> None:
        self._client = client
        self._access = access
        self._values = values
        self._split = split
        self._told = told
        self._answers: asyncio.Queue[racp.Answer] = asyncio.Queue()
        self._received: list[bytes] | None = None  # None: nothing is asked for
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
        """Return all records from a number on; None: all that there are.

        A meter that knows no lower bound sends all of them. Raises LostPeripheral when
        fewer came than it has, or nothing does for 30 s.
        """
        bounded = _report(Operator.GREATER_OR_EQUAL, minimum=number)
        found = None if number is None else await self._known(bounded)
        if found is None:
            found = await self._known(Request(Opcode.REPORT_STORED, Operator.ALL))
        if found is None:
            raise LostPeripheral(self._client.address, "does not report its records")
        return found

    async def through(self, number: int) -> Sequence[bytes] | None:
        """Return all records up to a number; None from a meter that cannot tell."""
        return await self._known(_report(Operator.LESS_OR_EQUAL, maximum=number))

    async def _known(self, report: Request) -> Sequence[bytes] | None:
        """Return what is asked for, None from a meter that cannot be asked so."""
        try:
            return await self._all(report)
        except RefusedRequest as error:
            if error.code in NOT_SUPPORTED:
                return None
            raise LostPeripheral(self._client.address, str(error)) from error

    async def _all(self, report: Request) -> Sequence[bytes]:
        """Return the records; those that cannot be read when they come so twice."""
        before = None
        for _ in range(ATTEMPTS):
            _, values = await self._ask(report)
            came = sound, broken = self._sorted(values)
            # Counted afterwards: what was measured meanwhile has come unasked.
            count = await self._count(report)
            if count is not None and len(sound) >= count:
                return [*sound]
            if count is None or (broken and came == before):
                return [*sound, *broken]
            before = came
        raise LostPeripheral(self._client.address, "records were sent in vain")

    def _sorted(self, values: Sequence[bytes]) -> tuple[list[bytes], list[bytes]]:
        """Return the records in values, each once, and the values that have none."""
        sound, broken = dict[bytes, None](), dict[bytes, None]()
        for value in values:
            try:
                sound.update(dict.fromkeys(self._split(value)))
            except MalformedRecord:
                broken[value] = None
        return [*sound], [*broken]

    async def _count(self, report: Request) -> int | None:
        """Return how many records there are, None from a meter that does not count."""
        try:
            answer, _ = await self._ask(replace(report, opcode=Opcode.REPORT_NUMBER))
        except RefusedRequest as error:
            if error.code != ResponseCode.OPCODE_NOT_SUPPORTED:
                raise
            return None
        return answer.count or 0

    async def _ask(self, request: Request) -> tuple[racp.Answer, Sequence[bytes]]:
        """Return the answer, and the values that came before it."""
        while not self._answers.empty():
            self._answers.get_nowait()
        values: list[bytes] = []
        self._received, self._heard_at = values, _time()
        write = partial(
            self._client.write_gatt_char,
            self._access,
            request.encode(2),
            response=True,
        )
        try:
            await bonded(self._client, write)
            return await self._answer_to(request, values), values
        finally:
            self._received = None

    async def _answer_to(
        self, request: Request, values: Sequence[bytes]
    ) -> racp.Answer:
        while True:
            answer = await self._next_answer(values)
            if answer.count is not None and request.opcode is Opcode.REPORT_NUMBER:
                return answer
            if answer.request == request.opcode:
                return _judged(answer)

    async def _next_answer(self, values: Sequence[bytes]) -> racp.Answer:
        while (rest := self._heard_at + STALLED - _time()) > 0:
            if len(values) > MOST_RECORDS:
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
        self._heard_at = _time()
        if self._received is None:
            self._told()
        elif len(self._received) <= MOST_RECORDS:
            self._received.append(bytes(value))


def _report(
    operator: Operator, minimum: int | None = None, maximum: int | None = None
) -> Request:
    number = racp.RECORD_NUMBER
    return Request(Opcode.REPORT_STORED, operator, number, minimum, maximum)


def _judged(answer: racp.Answer) -> racp.Answer:
    if answer.code in (ResponseCode.SUCCESS, ResponseCode.NO_RECORDS):
        return answer
    raise RefusedRequest(answer.request or 0, answer.code or 0)


def _time() -> float:
    return asyncio.get_running_loop().time()
