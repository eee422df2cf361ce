"""A virtual pill box or injector on the air: Medication Monitor over GHS."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bumble import att
from bumble.device import Connection

from device_bridge.errors import MalformedRecord
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt import uuids
from device_bridge.gatt.control import Control, Features, decode_control
from device_bridge.gatt.elapsed_time import ElapsedTime, decode_elapsed_time
from device_bridge.gatt.segments import SegmentCutter
from device_bridge.virtual.memory import KeptRecord
from device_bridge.virtual.record_access import RecordAccess
from device_bridge.virtual.recorder import Recorder
from device_bridge.virtual.server import (
    INDICATE,
    NOTIFY,
    READ,
    SERVICE_DATA_FORMAT,
    WRITE,
    GattDevice,
    advertisement,
    segment_size,
)

log = logging.getLogger(__name__)

UNAUTHENTICATED_SECURE = bytes([0x01, 0x02])  # mode 1 level 2: encrypted, Just Works
SOURCE_TOO_POOR, WRONG_FORMAT, OUT_OF_RANGE = 0x80, 0x81, 0xFF
MANUAL = 4
CONFIRMED_WITHIN = 2.0  # seconds


class Monitor:
    """One box or injector: its services, its links, its records as they happen."""

    def __init__(self, gatt: GattDevice, recorder: Recorder) -> None:
        self.gatt = gatt
        self.recorder = recorder
        self._access = RecordAccess(gatt, recorder)
        self._live: dict[Connection, SegmentCutter] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._battery = recorder.battery()
        self._offer()

    @property
    def advertising_data(self) -> bytes:
        """Return the advertisement, with a hint that a newer record exists."""
        newest = self.recorder.state.next_number - 1
        hint = bytes([SERVICE_DATA_FORMAT]) + newest.to_bytes(4, "little")
        hint += bytes([self.recorder.battery()])
        service = uuids.GENERIC_HEALTH_SENSOR
        return advertisement([service], (service, hint))

    def linked(self, connection: Connection) -> None:
        """Note a new link."""
        del connection  # nothing is kept for a link until it asks for something

    def unlinked(self, connection: Connection) -> None:
        """Forget a link."""
        self._live.pop(connection, None)
        self._access.forget(connection)

    def next_due(self) -> float | None:
        """Return the real seconds until the plan wants this device, or None."""
        due = self.recorder.next_due()
        if due is None:
            return None
        wait = (due - self.recorder.now) / self.recorder.clock.speed
        return max(0.0, wait.total_seconds())

    async def act(self) -> None:
        """Record what has become due, and tell those who listen live."""
        epoch = self.recorder.state.epoch
        records = self.recorder.play(self.recorder.now)
        if self.recorder.state.epoch != epoch:
            await self._tell_time()
        for record in records:
            await self._tell(record)
        await self._tell_battery()

    def _offer(self) -> None:
        plan, gatt = self.recorder.plan, self.gatt
        live_type = (
            mdc.AI_MED_DISPENSED_FIXED
            if plan.kind == "box"
            else mdc.AI_MED_DISPENSED_VARIABLE
        )
        types = (
            live_type,
            mdc.AI_MED_STATUS,
            mdc.CONTAINER,
            mdc.PRIME_SHOT,
            mdc.CLOCK_SET,
        )
        features = Features(types, ((mdc.MEDICATION_MINDER, 1),)).encode()
        make = gatt.characteristic
        gatt.add(
            uuids.GENERIC_HEALTH_SENSOR,
            [
                make(
                    uuids.HEALTH_FEATURES, READ, read=lambda _: features, encrypted=True
                ),
                make(uuids.LIVE_OBSERVATIONS, NOTIFY, encrypted=True),
                make(uuids.STORED_OBSERVATIONS, NOTIFY, encrypted=True),
                make(
                    uuids.GHS_CONTROL,
                    WRITE | INDICATE,
                    write=self._control,
                    encrypted=True,
                ),
                make(
                    uuids.RECORD_ACCESS,
                    WRITE | INDICATE,
                    write=self._access.write,
                    encrypted=True,
                ),
                make(
                    uuids.SECURITY_LEVELS, READ, read=lambda _: UNAUTHENTICATED_SECURE
                ),
            ],
        )
        gatt.add(
            uuids.ELAPSED_TIME_SERVICE,
            [
                make(
                    uuids.CURRENT_ELAPSED_TIME,
                    READ | WRITE | INDICATE,
                    read=lambda _: self.recorder.time().encode(),
                    write=self._set_time,
                    encrypted=True,
                )
            ],
        )

    def _control(self, connection: Connection, value: bytes) -> None:
        try:
            code = decode_control(value)
        except MalformedRecord:
            raise att.ATT_Error(att.ErrorCode.VALUE_NOT_ALLOWED) from None
        if code is Control.START_LIVE:
            self._live.setdefault(connection, SegmentCutter())
        elif code is Control.STOP_LIVE:
            self._live.pop(connection, None)
        answer = bytes([Control.SUCCESS])
        self._spawn(self.gatt.indicate(connection, uuids.GHS_CONTROL, answer))

    def _set_time(self, connection: Connection, value: bytes) -> None:
        del connection
        try:
            stamp = decode_elapsed_time(value)
        except MalformedRecord:
            raise att.ATT_Error(att.ErrorCode.INVALID_ATTRIBUTE_LENGTH) from None
        if fault := self._fault(stamp):
            raise att.ATT_Error(fault)
        face = stamp.utc
        if face is None:
            raise att.ATT_Error(OUT_OF_RANGE)
        epoch = self.recorder.state.epoch
        record = self.recorder.set_clock(face)
        log.info("clock set", extra={"new_timeline": record is not None})
        self._spawn(self._after_setting(record, changed=epoch))

    def _fault(self, stamp: ElapsedTime) -> int:
        own = self.recorder.time()
        if stamp.sync_source == MANUAL:
            return SOURCE_TOO_POOR
        ours, theirs = own.flags & 0x1F, stamp.flags & 0x1F
        return WRONG_FORMAT if ours != theirs else 0

    async def _after_setting(self, record: KeptRecord | None, changed: int) -> None:
        await self._tell_time()
        if record is not None and changed != self.recorder.state.epoch:
            await self._tell(record)

    async def _tell_time(self) -> None:
        value, where = self.recorder.time().encode(), uuids.CURRENT_ELAPSED_TIME
        links = self.gatt.connections
        told = [self._spawn(self.gatt.indicate(c, where, value)) for c in links]
        if told:
            # A central that does not confirm must not hold up the device.
            await asyncio.wait(told, timeout=CONFIRMED_WITHIN)

    async def _tell(self, record: KeptRecord) -> None:
        message = self.recorder.message(record)
        for connection, cutter in list(self._live.items()):
            for segment in cutter.cut(message, segment_size(connection)):
                await self.gatt.notify(connection, uuids.LIVE_OBSERVATIONS, segment)

    async def _tell_battery(self) -> None:
        level = self.recorder.battery()
        if level == self._battery:
            return
        self._battery = level
        for connection in self.gatt.connections:
            await self.gatt.notify(connection, uuids.BATTERY_LEVEL, bytes([level]))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("indication not confirmed", extra={"why": str(error)})
