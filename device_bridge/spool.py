"""The durable queue: what devices said, on disk before anything is done with it.

SQLite with WAL and synchronous=FULL, used from one thread. A record is identified by
device, generation (the numbering from one factory reset to the next), number and hash:
appending it again does nothing. A record leaves when the backend has committed it.
"""

import asyncio
import json
import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Concatenate, NamedTuple, ParamSpec, TypeVar

from device_bridge import progress
from device_bridge.errors import QueueUnavailable
from device_bridge.spool_file import Transaction, open_file
from device_bridge.unchecked import UNCHECKED

log = logging.getLogger(__name__)
T = TypeVar("T")
P = ParamSpec("P")

WARN_AT = 0.8  # of the limit


class RawRecord(NamedTuple):
    """One record as it came, with what is needed to date it later.

    `canonical` is the message free of what may change between two readings; `offset_s`
    and `uncertainty_s` are those of the device's clock when that was last read, at
    `read_at` (None: when the record was heard); `unchecked` is the boot in which that
    was, while our own clock may be wrong. `store` is the one that the record
    names, if it does.
    """

    number: int
    message: bytes
    canonical: bytes
    live: bool
    heard_at: datetime
    offset_s: float | None
    uncertainty_s: float
    unchecked: str | None = None
    read_at: datetime | None = None
    store: int | None = None


class SpooledRecord(NamedTuple):
    """A record waiting in the spool; `read_at` in epoch seconds."""

    id: int
    device_id: str
    profile: str
    generation: int
    number: int
    message: bytes
    live: bool
    heard_at: datetime
    offset_s: float | None
    uncertainty_s: float
    read_at: float


class Spool:
    """The file and its thread. A call is one transaction, synced when it returns.

    `limit` bounds what may be in it, in octets. It is never kept by dropping anything:
    what has no room is refused, and stays where it came from.
    """

    def __init__(self, path: Path, limit: int | None = None) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._db = self._thread.submit(open_file, path).result()
        self._limit = limit
        self._warned = False

    def close(self) -> None:
        """Close the file after what is under way."""
        self._thread.submit(self._db.close).result()
        self._thread.shutdown()

    async def run(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Return what `work` gives, run on the database in one synced transaction.

        Raises QueueUnavailable, and nothing has changed, when the disk is full or does
        not let itself be written.
        """

        def transaction() -> T:
            with Transaction(self._db):
                return work(self._db, *args, **options)

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._thread, transaction)
        except sqlite3.OperationalError as error:
            log.error("queue not written", extra={"why": str(error)})
            raise QueueUnavailable(str(error)) from error

    async def keep(
        self,
        work: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **options: P.kwargs,
    ) -> T:
        """Do as `run` does, if there is room for more."""

        def if_room(db: sqlite3.Connection) -> T:
            self._refuse_if_full(used(db))
            return work(db, *args, **options)

        return await self.run(if_room)

    def _refuse_if_full(self, octets: int) -> None:
        if self._limit is None:
            return
        filled = {"octets": octets, "limit": self._limit}
        if octets >= self._limit:
            log.error("queue full", extra=filled)
            raise QueueUnavailable(f"{octets} octets wait, {self._limit} may")
        nearly = octets >= WARN_AT * self._limit
        if nearly and not self._warned:
            log.warning("queue nearly full", extra=filled)
        self._warned = nearly


def used(db: sqlite3.Connection) -> int:
    """Return how many octets of the file hold something."""
    free = db.execute("PRAGMA freelist_count").fetchone()[0]
    pages = db.execute("PRAGMA page_count").fetchone()[0] - free
    return pages * db.execute("PRAGMA page_size").fetchone()[0]


def append(
    db: sqlite3.Connection, device_id: str, profile: str, records: Sequence[RawRecord]
) -> int:
    """Return how many records were new; those committed before are not kept again."""
    before = db.total_changes
    generation = progress.generation(db, device_id)
    db.executemany(
        "INSERT INTO record (device_id, generation, number, hash, message,"
        " live, heard_at, offset_s, uncertainty_s, profile, unchecked, read_at)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12"
        " WHERE NOT EXISTS (SELECT 1 FROM progress"
        "  WHERE device_id = ?1 AND committed >= ?3)"
        " AND NOT EXISTS (SELECT 1 FROM done WHERE device_id = ?1"
        "  AND ?3 BETWEEN low AND high) ON CONFLICT DO UPDATE SET"
        " message = excluded.message, heard_at = excluded.heard_at,"
        " offset_s = excluded.offset_s,"
        " uncertainty_s = excluded.uncertainty_s, unchecked = excluded.unchecked,"
        " read_at = excluded.read_at, why = NULL, held_until = 0"
        " WHERE record.why = ?13",
        [
            (
                device_id,
                generation,
                record.number,
                sha256(record.canonical).digest(),
                record.message,
                int(record.live),
                record.heard_at.isoformat(),
                record.offset_s,
                record.uncertainty_s,
                profile,
                record.unchecked,
                (record.read_at or record.heard_at).timestamp(),
                UNCHECKED,
            )
            for record in records
        ],
    )
    return db.total_changes - before


def contradicted(
    db: sqlite3.Connection, device_id: str, records: Iterable[RawRecord]
) -> bool:
    """Return whether another record of one of these numbers waits here."""
    generation = progress.generation(db, device_id)
    other = (
        "SELECT EXISTS (SELECT 1 FROM record"
        " WHERE device_id = ? AND generation = ? AND number = ? AND hash <> ?)"
    )
    return any(
        db.execute(
            other,
            (device_id, generation, r.number, sha256(r.canonical).digest()),
        ).fetchone()[0]
        for r in records
    )


def unread(
    db: sqlite3.Connection,
    device_id: str,
    numbers: Iterable[int],
    canonical: Callable[[bytes], bytes],
    until: float,
) -> None:
    """Ask a device again for records that were dated by a clock that did not run on.

    They stay here: it may drop them meanwhile. Nothing of a time is known of them then
    but their timeline, nor after `until` (epoch seconds), when they go all the same.
    """
    of = (device_id, progress.generation(db, device_id))
    for number in numbers:
        rows = db.execute(
            "SELECT message, id FROM record"
            " WHERE device_id = ? AND generation = ? AND number = ?",
            (*of, number),
        ).fetchall()
        db.executemany(
            "UPDATE record SET message = ?, offset_s = NULL, why = ?, held_until = ?"
            " WHERE id = ?",
            [(canonical(message), UNCHECKED, until, id_) for message, id_ in rows],
        )


def keep_unread(db: sqlite3.Connection, device_id: str, low: int, high: int) -> bool:
    """Let records go as they are that a device no longer has; return whether any do."""
    generation = progress.generation(db, device_id)
    kept = db.execute(
        "UPDATE record SET why = NULL, held_until = 0 WHERE device_id = ?"
        " AND generation = ? AND number BETWEEN ? AND ? AND why = ?",
        (device_id, generation, low, high, UNCHECKED),
    )
    return bool(kept.rowcount)


def pick(
    db: sqlite3.Connection, limit: int, now: float, leave: Iterable[str] = ()
) -> list[SpooledRecord]:
    """Return the records to upload next, by device and number.

    Held ones are left, and those of devices in `leave`.
    """
    rows = db.execute(
        "SELECT * FROM spooled WHERE held_until <= ? AND unchecked IS NULL"
        " AND device_id NOT IN (SELECT value FROM json_each(?))"
        " ORDER BY device_id, generation, number, id LIMIT ?",
        (now, json.dumps(list(leave)), limit),
    )
    return [_spooled(row) for row in rows]


def of_device(
    db: sqlite3.Connection, device_id: str, generation: int, above: int
) -> list[SpooledRecord]:
    """Return the records of one device numbered above `above`, in order.

    Not those that were dated by a clock that nobody has checked.
    """
    rows = db.execute(
        "SELECT * FROM spooled WHERE device_id = ? AND generation = ? AND number > ?"
        " AND unchecked IS NULL ORDER BY number",
        (device_id, generation, above),
    )
    return [_spooled(row) for row in rows]


def _spooled(row: tuple[Any, ...]) -> SpooledRecord:
    id_, device_id, profile, generation, number, message, live, heard_at, *_ = row
    return SpooledRecord(
        *(id_, device_id, profile, generation, number, message),
        *(bool(live), datetime.fromisoformat(heard_at), row[8], row[9], row[12]),
    )


def forget(db: sqlite3.Connection, records: Iterable[SpooledRecord]) -> None:
    """Drop records that the backend has committed and note that they are."""
    by_device: dict[tuple[str, int], list[int]] = {}
    ids: list[tuple[int]] = []
    for record in records:
        ids.append((record.id,))
        key = (record.device_id, record.generation)
        by_device.setdefault(key, []).append(record.number)
    for (device_id, generation), numbers in by_device.items():
        if generation == progress.generation(db, device_id):
            _note_last(db, device_id, generation, max(numbers))
            progress.add_committed(db, device_id, numbers)
    db.executemany("DELETE FROM record WHERE id = ?", ids)


def _note_last(
    db: sqlite3.Connection, device_id: str, generation: int, number: int
) -> None:
    """Remember what the last committed record was, to know it again in the device."""
    row = db.execute(
        "SELECT hash FROM record WHERE device_id = ? AND generation = ? AND number = ?",
        (device_id, generation, number),
    ).fetchone()
    if row is not None:
        known = {"generation": generation, "number": number, "hash": row[0].hex()}
        remember(db, f"last {device_id}", known)


def last_committed(db: sqlite3.Connection, device_id: str) -> tuple[int, str] | None:
    """Return number and hash (hex) of the last committed record, if still known."""
    known = recall(db, f"last {device_id}")
    if known is None or known["generation"] != progress.generation(db, device_id):
        return None
    return known["number"], known["hash"]


def hold(
    db: sqlite3.Connection, refused: Iterable[tuple[int, str | None]], until: float
) -> None:
    """Keep refused records, and why, out of the way until a time (epoch seconds)."""
    rows = [(until, why, id_) for id_, why in refused]
    db.executemany("UPDATE record SET held_until = ?, why = ? WHERE id = ?", rows)


def waiting_through(db: sqlite3.Connection, device_id: str, number: int) -> bool:
    """Return whether a record up to that number is still in the spool."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM record WHERE device_id = ? AND number <= ?)",
        (device_id, number),
    ).fetchone()
    return bool(row[0])


def count(db: sqlite3.Connection) -> int:
    """Return how many records wait."""
    return db.execute("SELECT count(*) FROM record").fetchone()[0]


def count_of(db: sqlite3.Connection, device_id: str) -> int:
    """Return how many records of one device wait."""
    counted = "SELECT count(*) FROM record WHERE device_id = ?"
    return db.execute(counted, (device_id,)).fetchone()[0]


def add_up(db: sqlite3.Connection, key: str, more: int) -> None:
    """Add to a number kept by `remember`."""
    remember(db, key, (recall(db, key) or 0) + more)


def keep_event(
    db: sqlite3.Connection, item: dict[str, Any], unchecked: str | None = None
) -> None:
    """Keep an event that is no record of a device."""
    row = (item["id"], json.dumps(item), unchecked)
    db.execute(
        "INSERT OR IGNORE INTO event (id, item, unchecked) VALUES (?, ?, ?)", row
    )


def pick_events(db: sqlite3.Connection, limit: int, now: float) -> list[dict[str, Any]]:
    """Return the events to upload next."""
    rows = db.execute(
        "SELECT item FROM event WHERE held_until <= ? AND unchecked IS NULL LIMIT ?",
        (now, limit),
    )
    return [json.loads(item) for (item,) in rows]


def forget_events(db: sqlite3.Connection, ids: Iterable[str]) -> None:
    """Drop events that the backend has committed."""
    db.executemany("DELETE FROM event WHERE id = ?", [(id_,) for id_ in ids])


def hold_events(db: sqlite3.Connection, ids: Iterable[str], until: float) -> None:
    """Keep refused events out of the way until a time (epoch seconds)."""
    rows = [(until, id_) for id_ in ids]
    db.executemany("UPDATE event SET held_until = ? WHERE id = ?", rows)


def remember(db: sqlite3.Connection, key: str, value: object) -> None:
    """Keep a small value over restarts."""
    row = (key, json.dumps(value))
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)


def recall(db: sqlite3.Connection, key: str) -> Any:  # noqa: ANN401  as JSON gives it
    """Return a value kept by `remember`, or None."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return None if row is None else json.loads(row[0])
