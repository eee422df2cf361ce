"""A link to a device that stores records: backfill, acknowledge, listen live."""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from typing import Any

from bleak import BleakClient

from device_bridge import progress, spool
from device_bridge.backend import RegisteredDevice
from device_bridge.backfill import Backfill
from device_bridge.device_clock import DeviceClock, happened_now
from device_bridge.errors import (
    LostPeripheral,
    MalformedRecord,
    QueueUnavailable,
    RefusedRequest,
)
from device_bridge.events import Kind
from device_bridge.gatt import racp
from device_bridge.gatt.battery import decode_battery
from device_bridge.gatt.control import Control
from device_bridge.gatt.racp import ResponseCode
from device_bridge.gatt.segments import SegmentAssembler
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    GHS_CONTROL,
    LIVE_OBSERVATIONS,
    STORED_OBSERVATIONS,
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
        self._reader = RecordReader(client, profile.decoders[STORED_OBSERVATIONS])
        self._clock = DeviceClock(client, device.device_id, around)
        self._backfill = Backfill(
            self._reader, device.device_id, around, self._keep_stored
        )
        self._live = SegmentAssembler()
        self._received: list[RawRecord] = []
        self._fetched: set[int] = set()
        self._poke = asyncio.Event()
        self._battery: int | None = None

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
        await self._reader.enable()
        await self._clock.watch()
        await self._clock.read()
        await self._check_numbering()
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
        await self._check_numbering()
        await self._fetch()  # a live notification may have been lost
        await self._read_battery()
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
                await self._flush()
                if not self._fetched or await self._clock.ran_on_since(reading):
                    return
                if attempt < ATTEMPTS - 1:
                    await around.spool.run(spool.unread, self._id, self._fetched)
            await self._clock.report("unsteady")
        finally:
            around.uploader.receiving.discard(self._id)
            around.uploader.wake()

    async def _check_numbering(self) -> None:
        """Open a new generation if the device numbers anew after a factory reset."""
        run = self._around.spool.run
        _, _, deleted = await run(progress.committed_through, self._id)
        through = await run(progress.received_through, self._id)
        if through and await self._numbers_anew(through, deleted):
            await self._begin_anew(through)

    async def _numbers_anew(self, through: int, deleted: int) -> bool:
        if deleted and await self._begins_by(deleted):
            return True
        return through > deleted and await self._ends_below(through)

    async def _begin_anew(self, through: int) -> None:
        run = self._around.spool.run
        epoch, _, _ = await run(progress.committed_through, self._id)
        opened = await self._around.backend.open_epoch(
            self._id, (epoch, through), "reset"
        )
        self._around.uploader.forget_heard(self._id)
        await run(progress.open_generation, self._id, opened)
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

    async def _ends_below(self, number: int) -> bool:
        """Return whether all that is stored is numbered below a number."""
        try:
            last = await self._number_of(racp.REPORT_LAST)
        except LostPeripheral:
            above = await self._reader.ask(racp.count_from(number))
            return not above.count
        return last is not None and last < number

    async def _keep_stored(self, records: Sequence[tuple[int, bytes]]) -> bool:
        """Return whether they are on disk; not if the clock was set meanwhile."""
        if self._clock.moved.is_set():
            await self._clock.read()
            return False
        for number, message in records:
            self._take(number, message, live=False)
            self._fetched.add(number)
        await self._flush()
        return True

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
            )
        )

    async def _flush(self) -> int:
        taken, self._received = self._received, []
        if not taken:
            return 0
        kept = (self._id, self._profile.name, taken)
        return await self._around.spool.keep(spool.append, *kept)

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
        others = await self._has_others(committed)
        if others is None:
            return
        if others:
            # It was reset, and has counted as far again: nothing of that is committed.
            through = await self._around.spool.run(progress.received_through, self._id)
            await self._begin_anew(through)
            self._live.lost += 1
            return
        try:
            await self._reader.ask(racp.delete_through(committed))
        except RefusedRequest as error:
            if error.code != ResponseCode.OPERATOR_NOT_SUPPORTED:
                raise
            await self._delete_one_by_one(committed)
        await self._around.spool.run(progress.note_deleted, self._id, committed)

    async def _has_others(self, committed: int) -> bool | None:
        """Return whether the device has another record where the last committed was.

        None if it has nothing there: then there is nothing to delete either.
        """
        known = await self._around.spool.run(spool.last_committed, self._id)
        if known is None or known[0] > committed:
            return False
        hashes: list[str] = []

        async def note(records: Sequence[tuple[int, bytes]]) -> None:
            hashes.extend(
                sha256(self._profile.canonical(message)).hexdigest()
                for _, message in records
            )

        with suppress(RefusedRequest):  # a device need not know ranges
            reply = await self._reader.ask(racp.within(known[0], known[0]), note)
            if reply.nothing:
                return None
        return bool(hashes) and known[1] not in hashes

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
            through = await run(progress.received_through, self._id)
            await self._begin_anew(through)
            self._live.lost += 1
        if await self._flush():
            self._around.uploader.wake()
        hole = await self._around.spool.run(progress.hole_above, self._id, 0)
        if self._live.lost or hole is not None:
            self._live.lost = 0
            await self._clock.read()
            await self._check_numbering()
            await self._fetch()

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
