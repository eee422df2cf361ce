"""A link to a device that stores records: backfill, acknowledge, listen live."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bleak import BleakClient

from device_bridge import progress, spool
from device_bridge.backend import RegisteredDevice
from device_bridge.backfill import Backfill
from device_bridge.device_clock import DeviceClock, happened_now
from device_bridge.errors import (
    MalformedRecord,
    QueueUnavailable,
)
from device_bridge.gatt.control import Control
from device_bridge.gatt.segments import SegmentAssembler
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    GHS_CONTROL,
    LIVE_OBSERVATIONS,
    STORED_OBSERVATIONS,
)
from device_bridge.numbering import Numbering
from device_bridge.profiles import Profile
from device_bridge.record_reader import RecordReader
from device_bridge.spool import RawRecord
from device_bridge.surroundings import Surroundings, seconds_between_beats
from device_bridge.unchecked import READ_AGAIN_WITHIN
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
        self._reader = RecordReader(client, profile.decoders[STORED_OBSERVATIONS])
        self._numbering = Numbering(self._reader, profile, device.device_id, around)
        self._clock = DeviceClock(client, device.device_id, around)
        self._backfill = Backfill(
            self._reader, device.device_id, around, self._keep_stored
        )
        self._live = SegmentAssembler()
        self._received: list[RawRecord] = []
        self._fetched: set[int] = set()
        self._poke = asyncio.Event()
        self._battery: bytes | None = None

    @property
    def _id(self) -> str:
        return self._device.device_id

    async def run(self) -> None:
        """Read what is stored, then listen until the slot is wanted by others."""
        try:
            await self._run()
        except QueueUnavailable as error:
            self._around.uploader.note_trouble(self._id, error.why)
            raise

    async def _run(self) -> None:
        around = self._around
        begin = (self._id, self._device.epoch, self._device.sequence)
        await around.spool.run(progress.begin, *begin)
        await self._numbering.recall()
        await self._reader.enable()
        await self._clock.watch()
        await self._clock.read()
        await self._numbering.check()
        await self._fetch()
        await around.spool.run(progress.complete, self._id)
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
        asked = await self._clock.look()
        await self._take_live()
        await self._numbering.check()
        await self._fetch()  # a live notification may have been lost
        await self._note_battery()
        await self._acknowledge()
        if self._clock.unchecked is not None:
            return  # by a clock that may be wrong nothing is set and nobody was heard
        await self._clock.report_if_wrong()
        reading = self._clock.reading
        if reading and reading.wants_setting and await self._all_committed():
            await self._set_clock()
        await self._note_heard(asked)
        shown = self._clock.shown
        await self._around.note_link(self._id, self._client.address, shown)

    async def _set_clock(self) -> None:
        await self._clock.set()
        await self._clock.read()
        self._live.lost += 1  # what came meanwhile could not be dated
        self._poke.set()

    async def _note_heard(self, at: datetime) -> None:
        through = await self._around.spool.run(progress.received_through, self._id)
        await self._clock.note(through)
        told = Heard(None, through, at, self._clock.measured)
        self._around.uploader.note_heard(self._id, told)

    # Stored records

    async def _fetch(self) -> None:
        """Read what is stored and not here, by a clock that ran evenly meanwhile.

        What was read by another is read again; in the end without a time, for a device
        with a broken clock must be emptied too. Nothing of it is uploaded before.
        """
        around = self._around
        around.uploader.receiving.add(self._id)
        try:
            for attempt in range(ATTEMPTS):
                self._fetched.clear()
                if attempt == ATTEMPTS - 1:
                    self._clock.distrust()
                reading = self._clock.reading
                await self._backfill.fetch()
                if not await self._flush():
                    self._live.lost += 1
                if not self._fetched or await self._clock.ran_on_since(reading):
                    return
                if attempt < ATTEMPTS - 1:
                    await self._unread()
            await self._clock.report("unsteady")
        finally:
            around.uploader.receiving.discard(self._id)
            around.uploader.wake()

    async def _unread(self) -> None:
        """Have the device asked again for what was just fetched."""
        until = self._around.clock.real.timestamp() + READ_AGAIN_WITHIN
        what = (self._id, self._fetched, self._profile.canonical)
        await self._around.spool.run(spool.unread, *what, until)

    async def _keep_stored(self, records: Sequence[tuple[int, bytes]]) -> bool:
        """Return whether they are on disk.

        Not if the clock was set, or the device was reset, meanwhile.
        """
        if self._clock.moved.is_set():
            await self._clock.read()
            return False
        for number, message in records:
            self._take(number, message, live=False)
            self._fetched.add(number)
        return await self._flush()

    def _take(self, number: int, message: bytes, *, live: bool) -> None:
        reading = self._clock.reading
        self._received.append(
            RawRecord(
                number=number,
                message=message,
                canonical=self._profile.canonical(message),
                live=live,
                heard_at=self._around.clock.now,
                offset_s=reading.offset_s if reading else None,
                uncertainty_s=reading.uncertainty_s if reading else 0.0,
                read_at=reading.at if reading else None,
                unchecked=self._clock.unchecked,
                store=self._numbering.store_in(message),
            )
        )

    async def _flush(self) -> bool:
        """Return whether all that has come is on disk.

        What is of another store is not: the device was reset. It begins a generation,
        and has to be asked for again.
        """
        taken, self._received = self._received, []
        if not taken:
            return True
        known = await self._numbering.known(taken)
        kept = (self._id, self._profile.name, taken[:known])
        if await self._around.spool.keep(spool.append, *kept):
            self._around.uploader.wake()
        if known == len(taken):
            return True
        await self._numbering.begin_anew()
        return False

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
        others = await self._numbering.has_others(committed)
        if others is None:
            return
        if others:
            # It was reset, and has counted as far again: nothing of that is committed.
            await self._numbering.begin_anew()
            self._live.lost += 1
            return
        await self._numbering.delete_through(committed)
        await self._around.spool.run(progress.note_deleted, self._id, committed)

    # Live

    async def _start_live(self) -> None:
        await self._client.start_notify(LIVE_OBSERVATIONS, self._on_live)
        await self._client.start_notify(GHS_CONTROL, _ignore)
        start = bytes([Control.START_LIVE])
        await self._client.write_gatt_char(GHS_CONTROL, start, response=True)
        await self._client.start_notify(BATTERY_LEVEL, self._on_battery)
        # What was recorded between the transfer and this moment is only stored.
        await self._fetch()

    def _on_live(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        try:
            message = self._live.feed(bytes(value))
            if message is not None and not self._take_message(message):
                self._live.lost += 1  # the stored copy will do
        except MalformedRecord:
            self._live.lost += 1
        self._poke.set()

    def _take_message(self, message: bytes) -> bool:
        """Return whether a live record is sure to be what it seems to be."""
        record = self._profile.decoders[LIVE_OBSERVATIONS](message)
        if record.number is None or self._clock.moved.is_set():
            return False
        if not happened_now(record.time, self._clock.reading, self._around.clock):
            return False
        self._take(record.number, message, live=True)
        return True

    async def _take_live(self) -> None:
        if self._clock.moved.is_set():
            await self._clock.read()
            self._live.lost += 1
        run = self._around.spool.run
        if await run(spool.contradicted, self._id, self._received):
            # The device has another record of that number than it had: it was reset.
            self._received.clear()
            await self._numbering.begin_anew()
            self._live.lost += 1
        if not await self._flush():
            self._live.lost += 1
        hole = await self._around.spool.run(progress.hole_above, self._id, 0)
        if self._live.lost or hole is not None:
            self._live.lost = 0
            await self._clock.read()
            await self._numbering.check()
            await self._fetch()

    # Battery

    def _on_battery(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        self._battery = bytes(value)

    async def _note_battery(self) -> None:
        if self._battery is None:
            self._battery = bytes(await self._client.read_gatt_char(BATTERY_LEVEL))
        await self._around.note_battery(self._id, self._battery)


def _ignore(_: Any, _value: bytearray) -> None:  # noqa: ANN401  unused
    """Take the control point's answers: a refusal shows as the write's error."""
