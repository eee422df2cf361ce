"""A link to a device that stores records: backfill, acknowledge, listen live."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from bleak import BleakClient

from device_bridge import progress, spool
from device_bridge.backend import RegisteredDevice
from device_bridge.backfill import Backfill
from device_bridge.clock import ClockReading, compare_clocks
from device_bridge.errors import LostPeripheral, MalformedRecord, RefusedRequest
from device_bridge.events import Kind
from device_bridge.gatt import racp
from device_bridge.gatt.battery import decode_battery
from device_bridge.gatt.control import Control
from device_bridge.gatt.elapsed_time import EPOCH, SYNC_NTP, decode_elapsed_time
from device_bridge.gatt.racp import ResponseCode
from device_bridge.gatt.segments import SegmentAssembler
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    CURRENT_ELAPSED_TIME,
    GHS_CONTROL,
    LIVE_OBSERVATIONS,
)
from device_bridge.profiles import Profile
from device_bridge.record_reader import RecordReader
from device_bridge.spool import RawRecord
from device_bridge.surroundings import Surroundings, seconds_between_beats
from device_bridge.upload import Heard

log = logging.getLogger(__name__)

ATTEMPTS = 3


class RecordLink:
    """One connected, bonded device with stored records."""

    def __init__(
        self,
        client: BleakClient,
        profile: Profile,
        device: RegisteredDevice,
        around: Surroundings,
    ) -> None:
        self._client = client
        self._profile = profile
        self._device = device
        self._around = around
        self._reader = RecordReader(client)
        self._backfill = Backfill(
            self._reader, device.device_id, around, self._keep_stored
        )
        self._live = SegmentAssembler()
        self._reading: ClockReading | None = None
        self._clock_moved = False
        self._unchecked: str | None = None
        self._clock_told = False
        self._received: list[RawRecord] = []
        self._poke = asyncio.Event()
        self._battery: int | None = None

    @property
    def _id(self) -> str:
        return self._device.device_id

    async def run(self) -> None:
        """Read what is stored, then listen until the slot is wanted by others."""
        around = self._around
        begin = (self._id, self._device.epoch, self._device.sequence)
        await around.spool.run(progress.begin, *begin)
        around.uploader.receiving.add(self._id)
        try:
            await self._reader.enable()
            await self._client.start_notify(CURRENT_ELAPSED_TIME, self._on_clock)
            await self._read_clock()
            await self._check_numbering()
            await self._backfill.fetch()
            await self._flush()
            await around.spool.run(progress.complete, self._id)
        finally:
            await self._flush()
            around.uploader.receiving.discard(self._id)
            around.uploader.wake()
        await self._start_live()
        await self._listen()

    async def _listen(self) -> None:
        beat = seconds_between_beats(self._around.clock.speed)
        next_beat = 0.0
        while True:
            now = asyncio.get_running_loop().time()
            if now >= next_beat:
                await self._beat()
                next_beat = now + beat
                if self._around.slots.contested and await self._all_committed():
                    return
            self._poke.clear()
            await self._take_live()
            try:
                async with asyncio.timeout_at(next_beat):
                    await self._poke.wait()
            except TimeoutError:
                continue

    async def _beat(self) -> None:
        asked = await self._read_clock()
        await self._take_live()
        await self._backfill.fetch()  # a live notification may have been lost
        await self._read_battery()
        await self._acknowledge()
        if self._unchecked is not None:
            return  # by a clock that may be wrong nothing is set and nobody was heard
        await self._report_clock()
        if (
            self._reading
            and self._reading.wants_setting
            and await self._all_committed()
        ):
            await self._set_clock()
        await self._note_heard(asked)

    async def _note_heard(self, at: datetime) -> None:
        through = await self._around.spool.run(progress.received_through, self._id)
        self._around.uploader.note_heard(self._id, Heard(None, through, at))

    # Clock

    def _on_clock(self, _: Any, _value: bytearray) -> None:  # noqa: ANN401  unused
        # What is stamped from now on belongs to another offset: measure before dating.
        self._clock_moved = True
        self._poke.set()

    async def _read_clock(self) -> datetime:
        """Measure the device's clock and return when that was asked for."""
        self._clock_moved = False
        self._unchecked = self._around.clock.unchecked
        before = self._around.clock.now
        value = await self._client.read_gatt_char(CURRENT_ELAPSED_TIME)
        after = self._around.clock.now
        try:
            stamp = decode_elapsed_time(bytes(value))
        except MalformedRecord as error:
            raise LostPeripheral(self._client.address, error.why) from error
        if self._unchecked != self._around.clock.unchecked:
            return await self._read_clock()  # our own clock was put right meanwhile
        self._reading = compare_clocks(stamp, before, after)
        return before

    async def _report_clock(self) -> None:
        reading, told = self._reading, self._clock_told
        self._clock_told = True
        if reading is not None and reading.wants_setting and not told:
            detail: dict[str, object] = {"offset_s": reading.offset_s}
            await self._around.report(self._id, Kind.CLOCK_WRONG, detail)

    async def _set_clock(self) -> None:
        """Set the clock; the device opens a new timeline and records the change."""
        if self._reading is None or not self._reading.stamp.is_utc:
            return
        own = self._reading.stamp
        units = (self._around.clock.now - EPOCH).total_seconds() * 1e6
        value = round(units / own.resolution.microseconds)
        stamp = replace(own, value=value, sync_source=SYNC_NTP, status=None)
        await self._client.write_gatt_char(
            CURRENT_ELAPSED_TIME, stamp.encode(), response=True
        )
        log.info("clock set", extra={"device": self._id, "was": self._reading.offset_s})
        await self._read_clock()

    # Stored records

    async def _check_numbering(self) -> None:
        """Open a new generation if the device numbers anew after a factory reset."""
        epoch, committed, deleted = await self._around.spool.run(
            progress.committed_through, self._id
        )
        if not committed:
            return
        if not await self._begins_by(deleted) and not await self._ends_below(committed):
            return
        opened = await self._around.backend.open_epoch(
            self._id, (epoch, committed), "reset"
        )
        await self._around.spool.run(progress.open_generation, self._id, opened)
        log.warning("numbering began anew", extra={"device": self._id, "epoch": opened})
        await self._around.report(self._id, Kind.RESET, {"epoch": opened})

    async def _begins_by(self, number: int) -> bool:
        """Return whether a record of that number or a lower one is stored."""
        try:
            first = await self._number_of(racp.REPORT_FIRST)
        except LostPeripheral:
            below = await self._reader.ask(racp.count_through(number))
            return bool(below.count)
        return first is not None and first <= number

    async def _ends_below(self, committed: int) -> bool:
        """Return whether all that is stored is numbered below what was committed."""
        try:
            last = await self._number_of(racp.REPORT_LAST)
        except LostPeripheral:
            above = await self._reader.ask(racp.count_from(committed))
            return not above.count
        return last is not None and last < committed

    async def _keep_stored(self, records: Sequence[tuple[int, bytes]]) -> None:
        for number, message in records:
            self._take(number, message, live=False)
        await self._flush()

    def _take(self, number: int, message: bytes, *, live: bool) -> None:
        reading = self._checked_reading()
        self._received.append(
            RawRecord(
                number=number,
                message=message,
                canonical=self._profile.canonical(message),
                live=live,
                heard_at=self._around.clock.now,
                offset_s=reading.offset_s if reading else None,
                uncertainty_s=reading.uncertainty_s if reading else 0.0,
                unchecked=self._unchecked,
            )
        )

    def _checked_reading(self) -> ClockReading | None:
        """Return the device's clock; corrected if ours was checked since."""
        reading, clock = self._reading, self._around.clock
        if self._unchecked is not None and clock.checked:
            self._unchecked = None
            if reading is not None and reading.offset_s is not None:
                offset_s = reading.offset_s - clock.shift_s
                self._reading = replace(reading, offset_s=offset_s)
        return self._reading

    async def _flush(self) -> int:
        taken, self._received = self._received, []
        if not taken:
            return 0
        kept = (self._id, self._profile.name, taken)
        return await self._around.spool.run(spool.append, *kept)

    async def _all_committed(self) -> bool:
        committed = await self._around.spool.run(progress.committed_through, self._id)
        through = await self._around.spool.run(progress.received_through, self._id)
        return committed[1] >= through

    async def _acknowledge(self) -> None:
        """Let the device delete what the backend has committed."""
        _, committed, deleted = await self._around.spool.run(
            progress.committed_through, self._id
        )
        if committed <= deleted:
            return
        try:
            await self._reader.ask(racp.delete_through(committed))
        except RefusedRequest as error:
            if error.code != ResponseCode.OPERATOR_NOT_SUPPORTED:
                raise
            await self._delete_one_by_one(committed)
        await self._around.spool.run(progress.note_deleted, self._id, committed)

    async def _delete_one_by_one(self, through: int) -> None:
        """Delete first records up to a number; never all, a new one may have come."""
        while await self._begins_by(through):
            await self._reader.ask(racp.DELETE_FIRST)

    async def _number_of(self, request: racp.Request) -> int | None:
        """Return the number of the one record asked for, None if there is none.

        Raises LostPeripheral when there is one that does not come: taken for none, it
        would look like a device that numbers anew.
        """
        numbers: list[int] = []

        async def note(records: Sequence[tuple[int, bytes]]) -> None:
            numbers.extend(number for number, _ in records)

        for _ in range(ATTEMPTS):
            reply = await self._reader.ask(request, note)
            if numbers or reply.nothing:
                return next(iter(numbers), None)
        raise LostPeripheral(self._client.address, "a record was sent in vain")

    # Live

    async def _start_live(self) -> None:
        await self._client.start_notify(LIVE_OBSERVATIONS, self._on_live)
        await self._client.start_notify(GHS_CONTROL, _ignore)
        start = bytes([Control.START_LIVE])
        await self._client.write_gatt_char(GHS_CONTROL, start, response=True)
        await self._client.start_notify(BATTERY_LEVEL, self._on_battery)
        # What was recorded between the transfer and this moment is only stored.
        await self._backfill.fetch()
        self._around.uploader.wake()

    def _on_live(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        try:
            message = self._live.feed(bytes(value))
            if message is not None:
                self._take_message(message)
        except MalformedRecord:
            self._live.lost += 1
        self._poke.set()

    def _take_message(self, message: bytes) -> None:
        record = self._profile.decoders[LIVE_OBSERVATIONS](message)
        if record.number is None:
            self._live.lost += 1  # the stored copy has a number
        else:
            self._take(record.number, message, live=True)

    async def _take_live(self) -> None:
        if self._clock_moved:
            await self._read_clock()
            self._received = _dated(self._received, self._reading, self._unchecked)
        if await self._flush():
            self._around.uploader.wake()
        hole = await self._around.spool.run(progress.hole_above, self._id, 0)
        if self._live.lost or hole is not None:
            self._live.lost = 0
            await self._backfill.fetch()
            self._around.uploader.wake()

    # Battery

    def _on_battery(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        self._note_battery(bytes(value))

    def _note_battery(self, value: bytes) -> None:
        try:
            self._battery = decode_battery(value)
        except MalformedRecord as error:
            log.warning("battery unreadable", extra={"why": error.why})

    async def _read_battery(self) -> None:
        if self._battery is None:
            self._note_battery(bytes(await self._client.read_gatt_char(BATTERY_LEVEL)))
        key = f"battery {self._id}"
        known = await self._around.spool.run(spool.recall, key)
        if self._battery is None or self._battery == known:
            return
        detail: dict[str, object] = {"percent": self._battery}
        await self._around.report(self._id, Kind.BATTERY, detail)
        await self._around.spool.run(spool.remember, key, self._battery)


def _ignore(_: Any, _value: bytearray) -> None:  # noqa: ANN401  unused
    """Take the control point's answers: a refusal shows as the write's error."""


def _dated(
    records: Sequence[RawRecord], reading: ClockReading | None, unchecked: str | None
) -> list[RawRecord]:
    """Return live records with the offset measured after the clock had moved."""
    if reading is None:
        return list(records)
    measured = {"offset_s": reading.offset_s, "uncertainty_s": reading.uncertainty_s}
    return [replace(record, **measured, unchecked=unchecked) for record in records]
