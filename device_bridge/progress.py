"""How far each device has been read: numbers and generations.

Part of the spool's database. `committed` is the highest number with no gap below it
that the backend has; `done` holds runs of committed numbers above it, and gaps that are
known to be lost. Epochs on the wire are the device's own, shifted after a factory reset
by what the backend opened.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from device_bridge.unchecked import UNCHECKED

SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (
    device_id TEXT PRIMARY KEY, generation INTEGER NOT NULL, committed INTEGER NOT NULL,
    deleted INTEGER NOT NULL, epoch INTEGER NOT NULL,
    complete INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS done (
    device_id TEXT NOT NULL, low INTEGER NOT NULL, high INTEGER NOT NULL,
    PRIMARY KEY (device_id, low)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS generation (
    device_id TEXT NOT NULL, generation INTEGER NOT NULL, epoch INTEGER NOT NULL,
    stated INTEGER, PRIMARY KEY (device_id, generation)
) WITHOUT ROWID;
"""
UNDATED = "a later record may date it"


@dataclass(frozen=True, slots=True)
class Progress:
    """`deleted` is the highest number the device has confirmed to have deleted."""

    generation: int
    committed: int
    deleted: int
    epoch: int


def begin(
    db: sqlite3.Connection, device_id: str, epoch: int, sequence: int
) -> Progress:
    """Return how far a device is, at least as far as the backend says.

    From here until `complete` a transfer is under way.
    """
    db.execute("UPDATE progress SET complete = 0 WHERE device_id = ?", (device_id,))
    known = db.execute(
        "SELECT generation, committed, deleted, epoch FROM progress"
        " WHERE device_id = ?",
        (device_id,),
    ).fetchone()
    if known is None:
        # Which epoch the device states for the backend's is learned from a record.
        stated = None if epoch else 0
        db.execute(
            "INSERT INTO progress VALUES (?, 0, ?, 0, ?, 0)",
            (device_id, sequence, epoch),
        )
        db.execute(
            "INSERT OR REPLACE INTO generation VALUES (?, 0, ?, ?)",
            (device_id, epoch, stated),
        )
        return Progress(0, sequence, 0, epoch)
    found = Progress(*known)
    if epoch >= found.epoch and sequence > found.committed:
        # Another bridge has read the device meanwhile.
        add_run(db, device_id, found.committed + 1, sequence)
        return begin(db, device_id, epoch, 0)
    return found


def complete(db: sqlite3.Connection, device_id: str) -> None:
    """Note that all a device had stored is here: what is undated now stays so."""
    db.execute("UPDATE progress SET complete = 1 WHERE device_id = ?", (device_id,))
    db.execute(
        "UPDATE record SET held_until = 0 WHERE device_id = ? AND why = ?",
        (device_id, UNDATED),
    )


def is_complete(db: sqlite3.Connection, device_id: str) -> bool:
    """Return whether the last transfer from a device came to its end."""
    row = db.execute(
        "SELECT complete FROM progress WHERE device_id = ?", (device_id,)
    ).fetchone()
    return bool(row and row[0])


def generation(db: sqlite3.Connection, device_id: str) -> int:
    """Return the present generation of a device, 0 for one that was never read."""
    row = db.execute(
        "SELECT generation FROM progress WHERE device_id = ?", (device_id,)
    ).fetchone()
    return row[0] if row else 0


def open_generation(db: sqlite3.Connection, device_id: str, epoch: int) -> None:
    """Start numbering anew after a factory reset, in the epoch the backend opened."""
    now = generation(db, device_id) + 1
    db.execute("DELETE FROM done WHERE device_id = ?", (device_id,))
    db.execute(
        "INSERT OR REPLACE INTO progress VALUES (?, ?, 0, 0, ?, 0)",
        (device_id, now, epoch),
    )
    db.execute(
        "INSERT OR REPLACE INTO generation VALUES (?, ?, ?, NULL)",
        (device_id, now, epoch),
    )


def add_committed(
    db: sqlite3.Connection, device_id: str, numbers: Iterable[int]
) -> None:
    """Note that the backend has these records."""
    for low, high in runs(sorted(numbers)):
        add_run(db, device_id, low, high)


def add_run(db: sqlite3.Connection, device_id: str, low: int, high: int) -> None:
    """Note that the numbers low to high are committed, or lost for good."""
    db.execute(
        "INSERT INTO done VALUES (?, ?, ?)"
        " ON CONFLICT DO UPDATE SET high = max(high, excluded.high)",
        (device_id, low, high),
    )
    (committed,) = db.execute(
        "SELECT committed FROM progress WHERE device_id = ?", (device_id,)
    ).fetchone()
    above = db.execute(
        "SELECT low, high FROM done WHERE device_id = ? ORDER BY low", (device_id,)
    )
    committed = _joined(committed, above.fetchall())
    db.execute(
        "UPDATE progress SET committed = ? WHERE device_id = ?", (committed, device_id)
    )
    db.execute(
        "DELETE FROM done WHERE device_id = ? AND high <= ?", (device_id, committed)
    )


def runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Return the runs without gaps in ascending numbers."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(number, found[-1][1]))
        else:
            found.append((number, number))
    return found


def _joined(through: int, ascending: Iterable[tuple[int, int]]) -> int:
    for low, high in ascending:
        if low > through + 1:
            break
        through = max(through, high)
    return through


def received_through(db: sqlite3.Connection, device_id: str) -> int:
    """Return the highest number up to which all is here, spooled or committed."""
    row = db.execute(
        "SELECT committed FROM progress WHERE device_id = ?", (device_id,)
    ).fetchone()
    return _joined(row[0] if row else 0, _here(db, device_id))


def hole_above(
    db: sqlite3.Connection, device_id: str, above: int
) -> tuple[int, int] | None:
    """Return the first run of numbers that are missing below others, or None.

    Numbers up to `above` are passed over.
    """
    row = db.execute(
        "SELECT committed FROM progress WHERE device_id = ?", (device_id,)
    ).fetchone()
    through = max(above, row[0] if row else 0)
    for low, high in _here(db, device_id):
        if low > through + 1:
            return through + 1, low - 1
        through = max(through, high)
    return None


def _here(db: sqlite3.Connection, device_id: str) -> list[tuple[int, int]]:
    """Return the runs of numbers that are here, ascending; they may overlap."""
    return db.execute(
        "SELECT low, high FROM done WHERE device_id = ?1"
        " UNION ALL SELECT min(number), max(number) FROM ("
        "  SELECT number, number - dense_rank() OVER (ORDER BY number) AS run"
        "  FROM record WHERE device_id = ?1 AND generation = ?2 AND why IS NOT ?3)"
        " GROUP BY run ORDER BY 1",
        (device_id, generation(db, device_id), UNCHECKED),
    ).fetchall()


def committed_through(db: sqlite3.Connection, device_id: str) -> tuple[int, int, int]:
    """Return (epoch, committed, deleted) of a device."""
    row = db.execute(
        "SELECT epoch, committed, deleted FROM progress WHERE device_id = ?",
        (device_id,),
    ).fetchone()
    return row or (0, 0, 0)


def note_deleted(db: sqlite3.Connection, device_id: str, number: int) -> None:
    """Note that the device has deleted its records up to a number."""
    db.execute(
        "UPDATE progress SET deleted = max(deleted, ?) WHERE device_id = ?",
        (number, device_id),
    )


def wire_epoch(
    db: sqlite3.Connection, device_id: str, of: int, stated: int | None
) -> int:
    """Return the epoch on the wire for what a record of generation `of` states."""
    row = db.execute(
        "SELECT epoch, stated FROM generation WHERE device_id = ? AND generation = ?",
        (device_id, of),
    ).fetchone()
    base, base_stated = row or (0, 0)
    if stated is None:
        return base
    if base_stated is None:
        # The first record read in a generation ties the two countings together.
        base, base_stated = max(base, stated), stated
        db.execute(
            "UPDATE generation SET epoch = ?, stated = ?"
            " WHERE device_id = ? AND generation = ?",
            (base, base_stated, device_id, of),
        )
    epoch = max(0, base + stated - base_stated)
    db.execute(
        "UPDATE progress SET epoch = max(epoch, ?)"
        " WHERE device_id = ? AND generation = ?",
        (epoch, device_id, of),
    )
    return epoch
