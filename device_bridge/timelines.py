"""What is known of the timelines of each device's clock: anchors, breaks, one reading.

Part of the spool's database. A timeline is a device's epoch within a generation. For
each is kept the last anchor that was measured, and those that "clock set" records give
for its beginning (`begun`) and its end. `reading` is the last of each device of which
it is certain that all records up to `through` were made before it, and all others after
it. `judged` says what the order of the records of one transfer tells of the clock; it
is kept while they wait.
Instants are epoch seconds.
"""

import sqlite3
from dataclasses import dataclass

from device_bridge.dating import Anchor, Break

BEGUN = """
CREATE TABLE IF NOT EXISTS begun (
    device_id TEXT NOT NULL, generation INTEGER NOT NULL, stated INTEGER NOT NULL,
    at REAL NOT NULL, offset_s REAL NOT NULL, uncertainty_s REAL NOT NULL,
    PRIMARY KEY (device_id, generation, stated)
) WITHOUT ROWID;
"""
SCHEMA = f"""
{BEGUN}
CREATE TABLE IF NOT EXISTS timeline (
    device_id TEXT NOT NULL, generation INTEGER NOT NULL, stated INTEGER NOT NULL,
    first INTEGER NOT NULL, at REAL, offset_s REAL, uncertainty_s REAL,
    end_at REAL, end_offset_s REAL, end_uncertainty_s REAL,
    PRIMARY KEY (device_id, generation, stated)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reading (
    device_id TEXT PRIMARY KEY, generation INTEGER NOT NULL, through INTEGER NOT NULL,
    at REAL NOT NULL, offset_s REAL NOT NULL, uncertainty_s REAL NOT NULL,
    told INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS judged (
    device_id TEXT NOT NULL, generation INTEGER NOT NULL, stated INTEGER NOT NULL,
    read_at REAL NOT NULL, through INTEGER NOT NULL, why TEXT, old_through INTEGER,
    new_from INTEGER, PRIMARY KEY (device_id, generation, stated, read_at)
) WITHOUT ROWID;
"""
# What leads to this from the versions of the file in which an anchor had no instant.
UPGRADE = f"""
ALTER TABLE timeline RENAME TO timeline_1;
{SCHEMA}
INSERT INTO timeline SELECT device_id, generation, stated, 1 << 53, unixepoch(),
    offset_s, uncertainty_s, NULL, NULL, NULL FROM timeline_1;
DROP TABLE timeline_1;
"""  # noqa: S608  all of it is ours


@dataclass(frozen=True, slots=True)
class Timeline:
    """It had begun when record `first` was made; `end` is known once it is over.

    `begin` is a reading of before it began, as it would have been by its clock.
    """

    first: int
    measured: Anchor | None = None
    end: Anchor | None = None
    begin: Anchor | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """The device was read through this number when its clock was.

    `told`: that the clock was moved since is known.
    """

    generation: int
    through: int
    anchor: Anchor
    told: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What the order of records up to `through` says; no `found`: nothing is wrong."""

    through: int
    found: Break | None


def timeline(
    db: sqlite3.Connection, device_id: str, of: int, stated: int
) -> Timeline | None:
    """Return what is known of a timeline, None before its first record."""
    row = db.execute(
        "SELECT first, timeline.at, timeline.offset_s, timeline.uncertainty_s,"
        " end_at, end_offset_s, end_uncertainty_s,"
        " begun.at, begun.offset_s, begun.uncertainty_s"
        " FROM timeline LEFT JOIN begun USING (device_id, generation, stated)"
        " WHERE device_id = ? AND generation = ? AND stated = ?",
        (device_id, of, stated),
    ).fetchone()
    if row is None:
        return None
    return Timeline(row[0], _anchor(row[1:4]), _anchor(row[4:7]), _anchor(row[7:10]))


def _anchor(row: tuple[float | None, ...]) -> Anchor | None:
    at, offset_s, uncertainty_s = row
    if at is None or offset_s is None or uncertainty_s is None:
        return None
    return Anchor(at, offset_s, uncertainty_s)


def keep_timeline(
    db: sqlite3.Connection, device_id: str, of: int, stated: int, known: Timeline
) -> None:
    """Remember a timeline: when it had begun, and what is said of its anchors."""
    db.execute(
        "INSERT INTO timeline VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT"
        " DO UPDATE SET first = min(first, excluded.first),"
        " at = coalesce(excluded.at, at),"
        " offset_s = coalesce(excluded.offset_s, offset_s),"
        " uncertainty_s = coalesce(excluded.uncertainty_s, uncertainty_s),"
        " end_at = coalesce(excluded.end_at, end_at),"
        " end_offset_s = coalesce(excluded.end_offset_s, end_offset_s),"
        " end_uncertainty_s = coalesce(excluded.end_uncertainty_s, end_uncertainty_s)",
        (
            *(device_id, of, stated, known.first),
            *_columns(known.measured),
            *_columns(known.end),
        ),
    )


def keep_begin(
    db: sqlite3.Connection, device_id: str, of: int, stated: int, begin: Anchor
) -> None:
    """Remember how the clock of a timeline was set when that began."""
    db.execute(
        "INSERT OR REPLACE INTO begun VALUES (?, ?, ?, ?, ?, ?)",
        (device_id, of, stated, *_columns(begin)),
    )


def _columns(anchor: Anchor | None) -> tuple[float | None, ...]:
    if anchor is None:
        return (None, None, None)
    return anchor.at, anchor.offset_s, anchor.uncertainty_s


def began_after(db: sqlite3.Connection, device_id: str, of: int, number: int) -> bool:
    """Return whether a timeline of a generation began behind a record."""
    row = db.execute(
        "SELECT EXISTS (SELECT 1 FROM timeline"
        " WHERE device_id = ? AND generation = ? AND first > ?)",
        (device_id, of, number),
    ).fetchone()
    return bool(row[0])


def last_reading(db: sqlite3.Connection, device_id: str, of: int) -> Reading | None:
    """Return the reading of a device in a generation, if there is one."""
    row = db.execute(
        "SELECT generation, through, at, offset_s, uncertainty_s, told FROM reading"
        " WHERE device_id = ? AND generation = ?",
        (device_id, of),
    ).fetchone()
    return row and Reading(row[0], row[1], Anchor(*row[2:5]), bool(row[5]))


def keep_reading(db: sqlite3.Connection, device_id: str, reading: Reading) -> None:
    """Go on from a reading; nothing waits that was judged by the one before."""
    db.execute(
        "INSERT OR REPLACE INTO reading VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            *(device_id, reading.generation, reading.through),
            *_columns(reading.anchor),
            reading.told,
        ),
    )
    db.execute("DELETE FROM judged WHERE device_id = ?", (device_id,))


def note_told(db: sqlite3.Connection, device_id: str) -> None:
    """Note that somebody knows that the clock was set since the last reading."""
    db.execute("UPDATE reading SET told = 1 WHERE device_id = ?", (device_id,))


def judged(
    db: sqlite3.Connection, device_id: str, of: int, stated: int, read_at: float
) -> Judged | None:
    """Return what was found of the records of one timeline that came in a transfer."""
    row = db.execute(
        "SELECT through, why, old_through, new_from FROM judged WHERE device_id = ?"
        " AND generation = ? AND stated = ? AND read_at = ?",
        (device_id, of, stated, read_at),
    ).fetchone()
    if row is None:
        return None
    return Judged(row[0], None if row[1] is None else Break(*row[1:4]))


def keep_judged(
    db: sqlite3.Connection,
    device_id: str,
    of: int,
    stated: int,
    read_at: float,
    said: Judged,
) -> None:
    """Remember it for those that are not dated yet."""
    found = said.found
    told = (found.why, found.old_through, found.new_from) if found else (None,) * 3
    db.execute(
        "INSERT OR REPLACE INTO judged VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (device_id, of, stated, read_at, said.through, *told),
    )
