"""A virtual glucose sensor: a reading every five minutes, kept for its session."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

from bumble import att
from bumble.device import Connection

from device_bridge.errors import MalformedRecord
from device_bridge.gatt import racp, uuids
from device_bridge.gatt.cgm import E2E_CRC
from device_bridge.gatt.checksums import mcrf4xx
from device_bridge.gatt.racp import Opcode, Operator, ResponseCode
from device_bridge.virtual.plan import GlucosePlan
from device_bridge.virtual.recorder import Recorder, battery_at
from device_bridge.virtual.server import (
    INDICATE,
    INDICATING,
    NOTIFY,
    READ,
    WRITE,
    GattDevice,
    advertisement,
    segment_size,
)

EVERY = 5  # minutes
MINUTE = timedelta(minutes=1)
LOWEST, HIGHEST = 40, 400  # mg/dL, what such a sensor can measure
INTERSTITIAL_SUBCUTANEOUS = 0x59
HAS_STATUS, BATTERY_LOW = 0x80, 0x02
WEAK = 10  # percent
RUNS_FOR = 240  # hours
UTC_ZONE, NO_SUMMER_TIME = 0, 0


def glucose_at(plan: GlucosePlan, serial: str, at: datetime) -> int:
    """Return mg/dL at a domain instant, the same whenever it is asked."""
    level = plan.base + sum(delta for since, delta in plan.steps if since <= at)
    noise = Random(f"{serial} {at:%Y%m%d%H%M}").gauss(0, plan.noise)  # noqa: S311
    return round(min(HIGHEST, max(LOWEST, level + noise)))


def checked(octets: bytes) -> bytes:
    """Return octets with their E2E-CRC."""
    return octets + mcrf4xx(octets).to_bytes(2, "little")


class GlucoseSensor:
    """One sensor. Its session began at the plan's start, or its last reset."""

    def __init__(
        self, gatt: GattDevice, recorder: Recorder, glucose: GlucosePlan
    ) -> None:
        self.gatt = gatt
        self.recorder = recorder
        self._glucose = glucose
        self._told = self._begun, self._minutes
        self._running: dict[Connection, asyncio.Task[None]] = {}
        make = gatt.characteristic
        values = {
            uuids.CGM_FEATURE: self._feature,
            uuids.CGM_STATUS: self._status,
            uuids.CGM_SESSION_START: self._start,
            uuids.short(0x2AAB): self._run_time,
        }
        read = [make(u, READ, read=v, encrypted=True) for u, v in values.items()]
        ask = WRITE | INDICATE
        gatt.add(
            uuids.CGM,
            [
                make(uuids.CGM_MEASUREMENT, NOTIFY, encrypted=True),
                *read,
                make(uuids.RECORD_ACCESS, ask, write=self._write, encrypted=True),
            ],
        )

    @property
    def advertising_data(self) -> bytes:
        return advertisement([uuids.CGM], None)

    def linked(self, connection: Connection) -> None:
        """Note a new link."""
        del connection  # nothing is kept for a link until it asks for something

    def unlinked(self, connection: Connection) -> None:
        """Stop what runs for a link that has ended."""
        if task := self._running.pop(connection, None):
            task.cancel()

    def next_due(self) -> float | None:
        """Return the real seconds until the next reading."""
        gone = self.recorder.now - self._begun
        left = timedelta(minutes=EVERY) - gone % timedelta(minutes=EVERY)
        return left.total_seconds() / self.recorder.clock.speed

    async def act(self) -> None:
        """Tell whoever listens what has been measured since it was told before."""
        now = self._begun, self._minutes
        if now == self._told:
            return
        (begun, told), self._told = self._told, now
        since = told + 1 if begun == self._begun else 0
        for connection in self.gatt.connections:
            await self._tell(connection, self._records(since, self._minutes))

    @property
    def _begun(self) -> datetime:
        resets = [at for at in self.recorder.plan.reset if at <= self.recorder.now]
        return max(resets, default=self.recorder.clock.anchor_domain)

    @property
    def _minutes(self) -> int:
        return (self.recorder.now - self._begun) // MINUTE

    @property
    def _state(self) -> int:
        weak = battery_at(self.recorder.plan, self.recorder.now) <= WEAK
        return BATTERY_LOW if weak else 0

    def _records(self, low: int, high: int) -> list[bytes]:
        """Return the records of the minutes low to high that there are."""
        first = -(-max(0, low) // EVERY) * EVERY
        return [
            self._record(minute)
            for minute in range(first, min(high, self._minutes) + 1, EVERY)
        ]

    def _record(self, minute: int) -> bytes:
        serial, at = self.recorder.plan.serial, self._begun + minute * MINUTE
        mass = glucose_at(self._glucose, serial, at).to_bytes(2, "little")
        size = bytes([9, HAS_STATUS])
        return checked(size + mass + minute.to_bytes(2, "little") + bytes([0]))

    async def _tell(self, connection: Connection, records: Sequence[bytes]) -> None:
        """Send records, as many in a value as fit."""
        room = max(1, segment_size(connection) // 9)
        for at in range(0, len(records), room):
            value = b"".join(records[at : at + room])
            await self.gatt.notify(connection, uuids.CGM_MEASUREMENT, value)

    def _feature(self, _: Connection) -> bytes:
        bits = E2E_CRC.to_bytes(3, "little")
        return checked(bits + bytes([INTERSTITIAL_SUBCUTANEOUS]))

    def _status(self, _: Connection) -> bytes:
        state = self._state.to_bytes(3, "little")
        return checked(self._minutes.to_bytes(2, "little") + state)

    def _start(self, _: Connection) -> bytes:
        """Return what somebody wrote whose clock was wrong as the plan has it."""
        off = timedelta(seconds=self.recorder.plan.clock_offset_s)
        face = self._begun + off
        rest = (face.month, face.day, face.hour, face.minute, face.second)
        year = face.year.to_bytes(2, "little")
        return checked(year + bytes((*rest, UTC_ZONE, NO_SUMMER_TIME)))

    def _run_time(self, _: Connection) -> bytes:
        return checked(RUNS_FOR.to_bytes(2, "little"))

    def _write(self, connection: Connection, value: bytes) -> None:
        """Take a request; the answer comes as an indication."""
        if not self.gatt.subscribed(connection, uuids.RECORD_ACCESS, INDICATING):
            raise att.ATT_Error(att.ErrorCode.CCCD_IMPROPERLY_CONFIGURED)
        busy = self._running.pop(connection, None)
        aborting = value[:1] == bytes([Opcode.ABORT])
        if busy is not None and not busy.done():
            if not aborting:
                self._running[connection] = busy
                raise att.ATT_Error(att.ErrorCode.PROCEDURE_ALREADY_IN_PROGRESS)
            busy.cancel()
        work = asyncio.get_running_loop().create_task(self._run(connection, value))
        self._running[connection] = work

    async def _run(self, connection: Connection, value: bytes) -> None:
        try:
            request = racp.decode_request(value, 2)
        except MalformedRecord:
            code = ResponseCode.INVALID_OPERAND
            await self._answer(connection, _code(value[0] if value else 0, code))
            return
        found = self._meant(request)
        if request.opcode is Opcode.REPORT_NUMBER:
            count = len(found).to_bytes(2, "little")
            answer = bytes([Opcode.NUMBER_RESPONSE, Operator.NULL]) + count
        elif request.opcode is Opcode.REPORT_STORED:
            await self._tell(connection, found)
            code = ResponseCode.SUCCESS if found else ResponseCode.NO_RECORDS
            answer = _code(request.opcode, code)
        elif request.opcode is Opcode.ABORT:
            answer = _code(request.opcode, ResponseCode.SUCCESS)
        else:
            answer = _code(request.opcode, ResponseCode.OPCODE_NOT_SUPPORTED)
        await self._answer(connection, answer)

    def _meant(self, request: racp.Request) -> list[bytes]:
        last = self._minutes
        high = last if request.maximum is None else request.maximum
        found = self._records(request.minimum or 0, high)
        match request.operator:
            case Operator.FIRST:
                return found[:1]
            case Operator.LAST:
                return found[-1:]
            case _:
                return found

    async def _answer(self, connection: Connection, answer: bytes) -> None:
        # With its answer a procedure is over: the next request may come before the
        # confirmation has been seen here.
        self._running.pop(connection, None)
        await self.gatt.indicate(connection, uuids.RECORD_ACCESS, answer)


def _code(request: int, code: ResponseCode) -> bytes:
    return bytes([Opcode.RESPONSE_CODE, Operator.NULL, request, code])
