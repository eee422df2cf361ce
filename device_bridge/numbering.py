"""Whether a device still has the records whose numbers we know, and their deletion.

A device that is reset numbers anew. One that names its store in each record shows it by
that; of others the numbers show it, as long as they have not grown as far again.
"""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from hashlib import sha256

from device_bridge import progress, spool
from device_bridge.errors import LostPeripheral, MalformedRecord, RefusedRequest
from device_bridge.events import Kind
from device_bridge.gatt import racp
from device_bridge.gatt.racp import ResponseCode
from device_bridge.gatt.uuids import STORED_OBSERVATIONS
from device_bridge.profiles import Profile
from device_bridge.record_reader import RecordReader
from device_bridge.spool import RawRecord
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

ATTEMPTS = 3
HIGHEST = 2**32 - 1
NOT_KNOWN = (
    ResponseCode.OPERATOR_NOT_SUPPORTED,
    ResponseCode.OPERAND_NOT_SUPPORTED,
    ResponseCode.INVALID_OPERAND,
)
Numbered = tuple[int, bytes]


class Numbering:
    """The numbers of one device on one link."""

    def __init__(
        self,
        reader: RecordReader,
        profile: Profile,
        device_id: str,
        around: Surroundings,
    ) -> None:
        self._reader = reader
        self._profile = profile
        self._id = device_id
        self._around = around
        self._store: int | None = None

    async def recall(self) -> None:
        """Learn which store is known."""
        self._store = await self._around.spool.run(known_store, self._id)

    async def check(self) -> None:
        """Open a new generation if the device numbers anew after a reset."""
        run = self._around.spool.run
        _, _, deleted = await run(progress.committed_through, self._id)
        through = await run(progress.received_through, self._id)
        if through and await self._is_anew(through, deleted):
            await self.begin_anew()

    async def begin_anew(self) -> None:
        """Open a new generation in the epoch that the backend gives it."""
        run = self._around.spool.run
        epoch, _, _ = await run(progress.committed_through, self._id)
        through = await run(progress.received_through, self._id)
        opened = await self._around.backend.open_epoch(
            self._id, (epoch, through), "reset"
        )
        self._around.uploader.forget_heard(self._id)
        await run(spool.keep_unread, self._id, 0, HIGHEST)
        await run(progress.open_generation, self._id, opened)
        self._store = None
        log.warning("numbering began anew", extra={"device": self._id, "epoch": opened})
        await self._around.report(self._id, Kind.RESET, {"epoch": opened})

    async def known(self, records: Sequence[RawRecord]) -> int:
        """Return how many of these records come before the first of another store.

        The first record of a generation that names its store names it for all.
        """
        for index, record in enumerate(records):
            if record.store is None:
                continue
            if self._store is None:
                self._store = record.store
                await self._around.spool.run(know_store, self._id, record.store)
            elif record.store != self._store:
                return index
        return len(records)

    async def has_others(self, committed: int) -> bool | None:
        """Return whether the device has another record where the last committed was.

        None if it has nothing there: then there is nothing to delete either.
        """
        last = await self._around.spool.run(spool.last_committed, self._id)
        if last is None or last[0] > committed:
            return False
        hashes: list[str] = []

        async def note(records: Sequence[Numbered]) -> None:
            hashes.extend(
                sha256(self._profile.canonical(message)).hexdigest()
                for _, message in records
            )

        with suppress(RefusedRequest):  # a device need not know ranges
            reply = await self._reader.ask(racp.within(last[0], last[0]), note)
            if reply.nothing:
                return None
        return bool(hashes) and last[1] not in hashes

    async def delete_through(self, number: int) -> None:
        """Let the device delete up to a number, of the store that we know alone.

        Reset since then it deletes nothing. A device without stores may have been reset
        since the look before; it is told as it can be, at worst record by record.
        """
        request = racp.delete_through(number)
        requests = [request]
        if self._store is not None:
            requests.insert(0, request.of_store(self._store))
        for each in requests:
            try:
                await self._reader.ask(each)
            except RefusedRequest as error:
                if error.code not in NOT_KNOWN:
                    raise
            else:
                return
        while await self._begins_by(number):
            await self._reader.ask(racp.DELETE_FIRST)  # never all, a new one may come

    def store_in(self, message: bytes) -> int | None:
        """Return the store that a record names, None if none can be read."""
        try:
            return self._profile.decoders[STORED_OBSERVATIONS](message).store
        except MalformedRecord:
            return None
        except Exception:
            # A decoder's bug keeps no record from being kept: see RecordReader.
            log.exception("store not read", extra={"device": self._id})
            return None

    async def _is_anew(self, through: int, deleted: int) -> bool:
        if deleted and await self._begins_by(deleted):
            return True
        return through > deleted and await self._ends_below(through)

    async def _begins_by(self, number: int) -> bool:
        """Return whether a record that low is stored, or one of another store."""
        try:
            first = await self._one(racp.REPORT_FIRST)
        except LostPeripheral:
            below = await self._reader.ask(racp.count_through(number))
            return bool(below.count)
        return first is not None and (first[0] <= number or self._is_foreign(first[1]))

    async def _ends_below(self, number: int) -> bool:
        """Return whether all that is stored is numbered lower, or of another store."""
        try:
            last = await self._one(racp.REPORT_LAST)
        except LostPeripheral:
            above = await self._reader.ask(racp.count_from(number))
            return not above.count
        return last is not None and (last[0] < number or self._is_foreign(last[1]))

    def _is_foreign(self, message: bytes) -> bool:
        return self._store is not None and self.store_in(message) not in (
            None,
            self._store,
        )

    async def _one(self, request: racp.Request) -> Numbered | None:
        """Return the one record asked for, None if there is none.

        Raises LostPeripheral when there is one that does not come: taken for none, it
        would look like a device that numbers anew.
        """
        found: list[Numbered] = []

        async def note(records: Sequence[Numbered]) -> None:
            found.extend(records)

        for _ in range(ATTEMPTS):
            reply = await self._reader.ask(request, note)
            if found or reply.nothing:
                return next(iter(found), None)
        raise LostPeripheral(self._reader.address, "a record was sent in vain")


def know_store(db: sqlite3.Connection, device_id: str, store: int) -> None:
    """Remember which store the records of a device's present generation are of."""
    known = {"generation": progress.generation(db, device_id), "store": store}
    spool.remember(db, f"store {device_id}", known)


def known_store(db: sqlite3.Connection, device_id: str) -> int | None:
    """Return the store of a device's present generation, None if it named none yet."""
    known = spool.recall(db, f"store {device_id}")
    if known is None or known["generation"] != progress.generation(db, device_id):
        return None
    return known["store"]
