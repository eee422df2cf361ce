"""What virtual devices keep when their power goes: SQLite, synced at every commit."""

import json
import secrets
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

SCHEMA = """
CREATE TABLE IF NOT EXISTS device (
    serial TEXT PRIMARY KEY, next_number INTEGER NOT NULL, epoch INTEGER NOT NULL,
    offset_s REAL NOT NULL, lost INTEGER NOT NULL, played_until TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS store (
    serial TEXT PRIMARY KEY, generation INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS record (
    serial TEXT NOT NULL, number INTEGER NOT NULL, epoch INTEGER NOT NULL,
    message BLOB NOT NULL, PRIMARY KEY (serial, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bond (
    serial TEXT NOT NULL, peer TEXT NOT NULL, keys TEXT NOT NULL,
    confirmed INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (serial, peer)
) WITHOUT ROWID;
"""
BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
HIGHEST = 2**32 - 1
CAPACITY = 4000  # records a device keeps; the oldest is overwritten


@dataclass(frozen=True, slots=True)
class DeviceState:
    """Numbering and clock of a device; `offset_s` is its clock minus true time.

    `store` tells its numbering from that before a reset: drawn by lot, because a memory
    that is lost whole cannot count.
    """

    next_number: int
    epoch: int
    offset_s: float
    lost: bool
    played_until: datetime
    store: int = field(default_factory=partial(secrets.randbits, 32))


@dataclass(frozen=True, slots=True)
class KeptRecord:
    """One record; the message has the current-timeline flag cleared."""

    number: int
    epoch: int
    message: bytes


class Memory:
    """The memories of all virtual devices of one process."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        self._db.close()

    def state(self, serial: str, *, offset_s: float = 0.0) -> DeviceState:
        """Return what a device remembers, that of a new one if it remembers nothing."""
        row = self._db.execute(
            "SELECT next_number, epoch, offset_s, lost, played_until, generation"
            " FROM device LEFT JOIN store USING (serial) WHERE serial = ?",
            (serial,),
        ).fetchone()
        if row is None:
            return DeviceState(1, 0, offset_s, lost=False, played_until=BEGINNING)
        until = datetime.fromisoformat(row[4])
        known = DeviceState(row[0], row[1], row[2], bool(row[3]), until)
        return known if row[5] is None else replace(known, store=row[5])

    def append(
        self, serial: str, records: Iterable[KeptRecord], state: DeviceState
    ) -> None:
        """Keep records and the state after them, both or neither."""
        rows = [(serial, r.number, r.epoch, r.message) for r in records]
        with self._transaction():
            self._db.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", rows)
            self._put(serial, state)
            if rows:
                self._db.execute(
                    "DELETE FROM record WHERE serial = ? AND number < ?",
                    (serial, state.next_number - self._capacity),
                )

    def forget(self, serial: str, state: DeviceState) -> None:
        """Drop all records of a device: a return to factory settings."""
        with self._transaction():
            self._db.execute("DELETE FROM record WHERE serial = ?", (serial,))
            self._put(serial, state)

    def _put(self, serial: str, state: DeviceState) -> None:
        until = state.played_until.isoformat()
        self._db.execute(
            "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?)",
            (
                serial,
                state.next_number,
                state.epoch,
                state.offset_s,
                int(state.lost),
                until,
            ),
        )
        self._db.execute(
            "INSERT OR REPLACE INTO store VALUES (?, ?)", (serial, state.store)
        )

    def records(
        self, serial: str, low: int = 0, high: int = HIGHEST
    ) -> Sequence[KeptRecord]:
        """Return the records numbered low to high, in order."""
        rows = self._db.execute(
            "SELECT number, epoch, message FROM record"
            " WHERE serial = ? AND number BETWEEN ? AND ? ORDER BY number",
            (serial, low, high),
        )
        return [KeptRecord(*row) for row in rows]

    def bounds(self, serial: str) -> tuple[int, int, int]:
        """Return the lowest and highest number and the count; zeros when empty."""
        low, high, count = self._db.execute(
            "SELECT min(number), max(number), count(*) FROM record WHERE serial = ?",
            (serial,),
        ).fetchone()
        return low or 0, high or 0, count

    def delete(self, serial: str, low: int, high: int) -> int:
        """Delete the records numbered low to high and return how many there were."""
        return self._db.execute(
            "DELETE FROM record WHERE serial = ? AND number BETWEEN ? AND ?",
            (serial, low, high),
        ).rowcount

    def bonds(self, serial: str) -> list[tuple[str, dict[str, Any]]]:
        """Return (peer address, keys) of a device's bonds."""
        rows = self._db.execute(
            "SELECT peer, keys FROM bond WHERE serial = ?", (serial,)
        )
        return [(peer, json.loads(keys)) for peer, keys in rows]

    def keep_bond(self, serial: str, peer: str, keys: dict[str, Any]) -> None:
        """Keep the keys of a peer, unconfirmed until it has come back with them."""
        self._db.execute(
            "INSERT OR REPLACE INTO bond (serial, peer, keys) VALUES (?, ?, ?)",
            (serial, peer, json.dumps(keys)),
        )

    def confirm_bond(self, serial: str, peer: str) -> None:
        """Note that the peer has the keys too."""
        self._db.execute(
            "UPDATE bond SET confirmed = 1"
            " WHERE serial = ? AND peer = ? AND NOT confirmed",
            (serial, peer),
        )

    def bond_confirmed(self, serial: str, peer: str) -> bool:
        """Return whether the peer was seen to have the keys."""
        row = self._db.execute(
            "SELECT confirmed FROM bond WHERE serial = ? AND peer = ?", (serial, peer)
        ).fetchone()
        return bool(row and row[0])

    def drop_bond(self, serial: str, peer: str) -> None:
        """Forget a peer."""
        self._db.execute(
            "DELETE FROM bond WHERE serial = ? AND peer = ?", (serial, peer)
        )

    def _transaction(self) -> "Transaction":
        return Transaction(self._db)


class Transaction:
    """BEGIN on entry; COMMIT on leaving well, ROLLBACK otherwise."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._db.execute("COMMIT" if kind is None else "ROLLBACK")
