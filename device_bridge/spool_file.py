"""The file of the durable queue: its tables, how they came about, its transactions.

The file says its version (`PRAGMA user_version`); what changes it goes into UPGRADES.
"""

import sqlite3
from pathlib import Path

from device_bridge import progress, samples, timelines
from device_bridge.errors import BadSpool
from device_bridge.private import private_file

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, profile TEXT NOT NULL,
    generation INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
    message BLOB NOT NULL, live INTEGER NOT NULL, heard_at TEXT NOT NULL, offset_s REAL,
    uncertainty_s REAL NOT NULL, held_until REAL NOT NULL DEFAULT 0, why TEXT,
    unchecked TEXT, read_at REAL NOT NULL DEFAULT 0,
    UNIQUE (device_id, generation, number, hash)
);
CREATE VIEW IF NOT EXISTS spooled AS
    SELECT id, device_id, profile, generation, number, message, live, heard_at,
    offset_s, uncertainty_s, held_until, unchecked, read_at FROM record;
CREATE INDEX IF NOT EXISTS record_unchecked ON record (id) WHERE unchecked IS NOT NULL;
CREATE TABLE IF NOT EXISTS event (
    id TEXT PRIMARY KEY, item TEXT NOT NULL, held_until REAL NOT NULL DEFAULT 0,
    unchecked TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)
    WITHOUT ROWID;
"""
# What leads from each version of the file to the next; the first had no number.
UPGRADES = (
    """
    ALTER TABLE record ADD COLUMN unchecked TEXT;
    ALTER TABLE event ADD COLUMN unchecked TEXT;
    ALTER TABLE segment ADD COLUMN unchecked TEXT;
    CREATE INDEX record_unchecked ON record (id) WHERE unchecked IS NOT NULL;
    DROP VIEW spooled;
    CREATE VIEW spooled AS
        SELECT id, device_id, profile, generation, number, message, live, heard_at,
        offset_s, uncertainty_s, held_until, unchecked FROM record;
    """,
    """
    ALTER TABLE record ADD COLUMN read_at REAL NOT NULL DEFAULT 0;
    UPDATE record SET read_at = (julianday(heard_at) - 2440587.5) * 86400.0;
    DROP VIEW spooled;
    CREATE VIEW spooled AS
        SELECT id, device_id, profile, generation, number, message, live, heard_at,
        offset_s, uncertainty_s, held_until, unchecked, read_at FROM record;
    """,
    timelines.UPGRADE,
    timelines.BEGUN,
)
VERSION = len(UPGRADES)


class Transaction:
    """BEGIN on entry; COMMIT on leaving well, ROLLBACK otherwise."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def __enter__(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:  # a full disk may have ended it already
                self._db.execute("ROLLBACK")


def open_file(path: Path) -> sqlite3.Connection:
    """Return the file at a path, made or brought up to date; raises BadSpool."""
    kept = private_file(path)
    db = sqlite3.connect(kept, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        _bring_up_to_date(db, path)
    except BadSpool:
        db.close()
        raise
    except sqlite3.DatabaseError as error:
        db.close()
        raise BadSpool(path, str(error)) from error
    return db


def _bring_up_to_date(db: sqlite3.Connection, path: Path) -> None:
    """Make or change the tables to this version's; raises BadSpool for a later one."""
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > VERSION:
        raise BadSpool(path, f"made by a newer bridge (version {version})")
    made = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'record')"
    is_new = not db.execute(made).fetchone()[0]
    if version == VERSION and not is_new:
        return  # a full disk does not keep what is queued from being uploaded
    present = SCHEMA + progress.SCHEMA + timelines.SCHEMA + samples.SCHEMA
    changes = [present] if is_new else UPGRADES[version:]
    script = "".join(changes) + f"PRAGMA user_version = {VERSION};"
    db.executescript(f"BEGIN IMMEDIATE; {script} COMMIT;")
