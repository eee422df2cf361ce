"""Reading what a device has stored, until nothing is left that it may still have.

A number is lost only when the device itself says that it has no such record. What was
sent and did not arrive is asked for again; after that the link is given up, never the
record. One that does not arrive over several links, while others do, can never be read:
it is reported as a gap with what came of it, so that the device can be emptied.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from device_bridge import progress, spool
from device_bridge.errors import LostPeripheral, RefusedRequest
from device_bridge.events import Kind
from device_bridge.gatt import racp
from device_bridge.gatt.racp import ResponseCode
from device_bridge.record_reader import RecordReader, Reply
from device_bridge.status import gaps_key
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

ATTEMPTS = 3
BUSY_PAUSE = 1.0  # real seconds
UNREADABLE_LINKS = 3  # over so many links a record must fail before it is given up
Keep = Callable[[Sequence[tuple[int, bytes]]], Awaitable[bool]]


class Backfill:
    """The stored records of one device on one link.

    `keep` puts them on disk, or returns False: then they count as not received.
    """

    def __init__(
        self, reader: RecordReader, device_id: str, around: Surroundings, keep: Keep
    ) -> None:
        self._reader = reader
        self._id = device_id
        self._around = around
        self._keep = keep
        self._failed: set[int] = set()
        self._all_kept = True

    async def fetch(self) -> None:
        """Receive all that is stored and not here yet; report what is lost.

        Raises LostPeripheral unless it is certain that the device has nothing else.
        """
        while not await self._all_came():
            if not await self._fill_holes(proven=False):
                await self._read_behind_highest()
        await self._fill_holes(proven=True)

    async def _all_came(self) -> bool:
        """Ask for all that is not here and return whether as many came as were sent."""
        run = self._around.spool.run
        for _ in range(ATTEMPTS):
            through = await run(progress.received_through, self._id)
            reply = await self._ask(racp.from_number(through + 1))
            if reply.complete and self._all_kept:
                return True
        return False

    async def _ask(self, request: racp.Request) -> Reply:
        for _ in range(ATTEMPTS):
            self._all_kept = True
            try:
                return await self._reader.ask(request, self._sink)
            except RefusedRequest as error:
                if error.code != ResponseCode.SERVER_BUSY:
                    raise
            await asyncio.sleep(BUSY_PAUSE)
        raise LostPeripheral(self._reader.address, "too busy to send its records")

    async def _sink(self, records: Sequence[tuple[int, bytes]]) -> None:
        self._all_kept &= await self._keep(records)

    async def _fill_holes(self, *, proven: bool) -> bool:
        """Read or report the numbers that are missing below others.

        Returns whether there were any; raises LostPeripheral when one is in doubt.
        `proven`: all that the device sent has come, and they were not among it.
        """
        run = self._around.spool.run
        above, found, doubted = 0, False, False
        while (hole := await run(progress.hole_above, self._id, above)) is not None:
            found = True
            low, high = hole
            if await self._read_or_report(low, high, proven=proven):
                continue
            doubted, above = True, low
        if doubted:
            raise LostPeripheral(self._reader.address, "records were sent in vain")
        return found

    async def _read_or_report(self, low: int, high: int, *, proven: bool) -> bool:
        """Return whether fewer of these numbers are missing than before."""
        while True:
            reply = await self._ask_range(low, high, proven=proven)
            if reply is None or reply.nothing:
                await self._report_gap(low, high, {})
                return True
            if reply.received:
                return True
            if low == high:
                return await self._doubt(low, reply)
            high = (low + high) // 2

    async def _ask_range(self, low: int, high: int, *, proven: bool) -> Reply | None:
        """Return the answer; None if ranges are refused and none is needed."""
        request = racp.within(low, high)
        try:
            reply = await self._ask(request)
            for _ in range(ATTEMPTS - 1 if low == high else 0):
                if reply.nothing or reply.received:
                    break
                reply = await self._ask(request)
        except RefusedRequest:
            if proven:
                return None
            raise
        return reply

    async def _doubt(self, number: int, reply: Reply) -> bool:
        """Return True when a record has failed often enough to be given up.

        A link over which nothing else came says nothing about the record.
        """
        run, key = self._around.spool.run, f"unreadable {self._id}"
        known: dict[str, int] = await run(spool.recall, key) or {}
        links = known.get(str(number), 0) + (number not in self._failed)
        self._failed.add(number)
        sent = reply.count == 1 and (self._reader.delivered or reply.scraps)
        if sent and links >= UNREADABLE_LINKS:
            known.pop(str(number), None)
            await run(spool.remember, key, known)
            detail = {"why": "unreadable", "octets": reply.scraps.hex()}
            await self._report_gap(number, number, detail)
            return True
        if sent:
            await run(spool.remember, key, known | {str(number): links})
        return False

    async def _read_behind_highest(self) -> None:
        """Read the record behind the highest here, which was sent and did not come."""
        run = self._around.spool.run
        number = await run(progress.received_through, self._id) + 1
        reply = await self._ask_range(number, number, proven=False)
        if reply is None or reply.nothing:
            why = "sent fewer records than it says"
            raise LostPeripheral(self._reader.address, why)
        if not reply.received and not await self._doubt(number, reply):
            raise LostPeripheral(self._reader.address, "records were sent in vain")

    async def _report_gap(self, low: int, high: int, why: Mapping[str, object]) -> None:
        run = self._around.spool.run
        if await run(spool.keep_unread, self._id, low, high):
            return  # some are here, and only to be dated better
        detail: dict[str, object] = {"from": low, "to": high, **why}
        await self._around.report(self._id, Kind.GAP, detail)
        await run(progress.add_run, self._id, low, high)
        await run(spool.add_up, gaps_key(self._id), high - low + 1)
        log.warning("gap", extra={"device": self._id} | detail)
