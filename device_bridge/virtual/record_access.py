"""The record access procedures of a virtual device: one at a time per link."""

import asyncio
from collections.abc import Awaitable, Callable

from bumble import att
from bumble.device import Connection

from device_bridge.errors import MalformedRecord
from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode, Operator, ResponseCode
from device_bridge.gatt.segments import SegmentCutter
from device_bridge.gatt.uuids import RECORD_ACCESS, STORED_OBSERVATIONS
from device_bridge.virtual.memory import HIGHEST, KeptRecord
from device_bridge.virtual.recorder import Recorder
from device_bridge.virtual.server import INDICATING, NOTIFYING, GattDevice, segment_size

BURST = 32  # records handed to the radio before others get their turn
NEEDS_RECORDS_ENABLED = (Opcode.REPORT_STORED, Opcode.COMBINED_REPORT)
ABORT_ANSWER = 0.2  # seconds an aborted procedure gets to stop


class RecordAccess:
    """The server of Record Access Control Point of one device."""

    def __init__(self, gatt: GattDevice, recorder: Recorder) -> None:
        self._gatt = gatt
        self._recorder = recorder
        self._running: dict[Connection, asyncio.Task[None]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._cutters: dict[Connection, SegmentCutter] = {}

    def forget(self, connection: Connection) -> None:
        """Stop what runs for a link that has ended."""
        self._cutters.pop(connection, None)
        if task := self._running.pop(connection, None):
            task.cancel()

    def write(self, connection: Connection, value: bytes) -> None:
        """Take a request; the answer comes as an indication."""
        if not self._gatt.subscribed(connection, RECORD_ACCESS, INDICATING):
            raise att.ATT_Error(att.ErrorCode.CCCD_IMPROPERLY_CONFIGURED)
        busy = self._running.get(connection)
        aborting = bool(value) and value[0] == Opcode.ABORT
        if busy is not None and not busy.done() and not aborting:
            raise att.ATT_Error(att.ErrorCode.PROCEDURE_ALREADY_IN_PROGRESS)
        if not self._may_report(connection, value):
            raise att.ATT_Error(att.ErrorCode.CCCD_IMPROPERLY_CONFIGURED)
        run = (
            self._abort(connection, busy) if aborting else self._run(connection, value)
        )
        self._running[connection] = asyncio.get_running_loop().create_task(run)

    def _may_report(self, connection: Connection, value: bytes) -> bool:
        if not value or value[0] not in NEEDS_RECORDS_ENABLED:
            return True
        how = NOTIFYING | INDICATING
        return self._gatt.subscribed(connection, STORED_OBSERVATIONS, how)

    async def _answer(self, connection: Connection, answer: racp.Answer) -> None:
        # With its answer a procedure is over: the next request may come before the
        # confirmation has been seen here.
        if task := self._running.pop(connection, None):
            self._answering.add(task)
            task.add_done_callback(self._answering.discard)
        await self._gatt.indicate(connection, RECORD_ACCESS, answer.encode())

    async def _code(self, connection: Connection, request: int, code: int) -> None:
        answer = racp.Answer(Opcode.RESPONSE_CODE, request=request, code=code)
        await self._answer(connection, answer)

    async def _abort(
        self, connection: Connection, busy: asyncio.Task[None] | None
    ) -> None:
        if busy is None or busy.done():
            await self._code(connection, Opcode.ABORT, ResponseCode.ABORT_UNSUCCESSFUL)
            return
        busy.cancel()
        await asyncio.wait([busy], timeout=ABORT_ANSWER)
        await self._code(connection, Opcode.ABORT, ResponseCode.SUCCESS)

    async def _run(self, connection: Connection, value: bytes) -> None:
        try:
            request = racp.decode_request(value)
        except MalformedRecord:
            await self._code(connection, value[0] if value else 0, _fault(value))
            return
        if request.filter_type == racp.TIME_STAMP:
            code = ResponseCode.OPERAND_NOT_SUPPORTED
            await self._code(connection, request.opcode, code)
            return
        if (request.minimum or 0) > _or(request.maximum, HIGHEST):
            code = ResponseCode.INVALID_OPERAND
            await self._code(connection, request.opcode, code)
            return
        low, high = self._span(request)
        await self._procedures()[request.opcode](connection, request, low, high)

    def _procedures(
        self,
    ) -> dict[Opcode, Callable[[Connection, racp.Request, int, int], Awaitable[None]]]:
        return {
            Opcode.REPORT_STORED: self._report,
            Opcode.COMBINED_REPORT: self._report,
            Opcode.DELETE_STORED: self._delete,
            Opcode.REPORT_NUMBER: self._count,
            Opcode.ABORT: self._count,
        }

    def _span(self, request: racp.Request) -> tuple[int, int]:
        low, high, count = self._recorder.memory.bounds(self._recorder.plan.serial)
        if not count or request.store not in (None, self._recorder.state.store):
            return 1, 0
        match request.operator:
            case Operator.FIRST:
                return low, low
            case Operator.LAST:
                return high, high
            case _:
                asked = request.minimum or 0, _or(request.maximum, HIGHEST)
                return max(asked[0], low), min(asked[1], high)

    async def _report(
        self, connection: Connection, request: racp.Request, low: int, high: int
    ) -> None:
        serial = self._recorder.plan.serial
        records = self._recorder.memory.records(serial, low, high)
        if not records:
            await self._code(connection, request.opcode, ResponseCode.NO_RECORDS)
            return
        for index, record in enumerate(records):
            await self._send(connection, record)
            if index % BURST == BURST - 1:
                await connection.drain()
                await asyncio.sleep(0)
        if request.opcode is Opcode.COMBINED_REPORT:
            answer = racp.Answer(Opcode.COMBINED_RESPONSE, count=len(records))
            await self._answer(connection, answer)
        else:
            await self._code(connection, request.opcode, ResponseCode.SUCCESS)

    async def _send(self, connection: Connection, record: KeptRecord) -> None:
        cutter = self._cutters.setdefault(connection, SegmentCutter())
        number = record.number.to_bytes(4, "little")
        message = number + self._recorder.message(record)
        for segment in cutter.cut(message, segment_size(connection)):
            await self._gatt.notify(connection, STORED_OBSERVATIONS, segment)

    async def _delete(
        self, connection: Connection, request: racp.Request, low: int, high: int
    ) -> None:
        deleted = self._recorder.memory.delete(self._recorder.plan.serial, low, high)
        code = ResponseCode.SUCCESS if deleted else ResponseCode.NO_RECORDS
        await self._code(connection, request.opcode, code)

    async def _count(
        self, connection: Connection, request: racp.Request, low: int, high: int
    ) -> None:
        del request
        found = self._recorder.memory.records(self._recorder.plan.serial, low, high)
        answer = racp.Answer(Opcode.NUMBER_RESPONSE, count=len(found))
        await self._answer(connection, answer)


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value


def _fault(value: bytes) -> ResponseCode:
    """Return why a request could not be read."""
    known = {1, 2, 3, 4, 7}
    if not value or value[0] not in known:
        return ResponseCode.OPCODE_NOT_SUPPORTED
    if len(value) < 2 or value[1] > Operator.LAST:
        return ResponseCode.OPERATOR_NOT_SUPPORTED
    return ResponseCode.INVALID_OPERAND
