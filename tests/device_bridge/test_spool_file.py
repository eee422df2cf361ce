"""A queue's file is brought up to date, or refused and left as it is."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from device_bridge import progress, samples, spool, timelines
from device_bridge.errors import BadSpool
from device_bridge.spool import Spool

# The tables that there were before the file had a version.
FIRST = """
CREATE TABLE record (
    id INTEGER PRIMARY KEY, device_id TEXT NOT NULL, profile TEXT NOT NULL,
    generation INTEGER NOT NULL, number INTEGER NOT NULL, hash BLOB NOT NULL,
    message BLOB NOT NULL, live INTEGER NOT NULL, heard_at TEXT NOT NULL, offset_s REAL,
    uncertainty_s REAL NOT NULL, held_until REAL NOT NULL DEFAULT 0, why TEXT,
    UNIQUE (device_id, generation, number, hash)
);
CREATE VIEW spooled AS
    SELECT id, device_id, profile, generation, number, message, live, heard_at,
    offset_s, uncertainty_s, held_until FROM record;
CREATE TABLE event (
    id TEXT PRIMARY KEY, item TEXT NOT NULL, held_until REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE timeline (
    device_id TEXT NOT NULL, generation INTEGER NOT NULL, stated INTEGER NOT NULL,
    offset_s REAL NOT NULL, uncertainty_s REAL NOT NULL,
    PRIMARY KEY (device_id, generation, stated)
) WITHOUT ROWID;
INSERT INTO timeline VALUES ('d', 0, 3, 0.5, 0.1);
CREATE TABLE segment (
    device_id TEXT NOT NULL, sequence INTEGER NOT NULL, code TEXT NOT NULL,
    unit TEXT NOT NULL, start TEXT NOT NULL, samples TEXT NOT NULL,
    sealed INTEGER NOT NULL, held_until REAL NOT NULL DEFAULT 0,
    PRIMARY KEY (device_id, sequence)
) WITHOUT ROWID;
INSERT INTO record VALUES (1, 'd', 'p', 0, 1, x'00', x'01', 0,
    '2030-01-01T00:00:00+00:00', 0.5, 0.1, 0, NULL);
"""


def picked_from(path: Path) -> list[spool.SpooledRecord]:
    async def pick() -> list[spool.SpooledRecord]:
        opened = Spool(path)
        found = await opened.run(spool.pick, 10, 0.0)
        await opened.run(spool.keep_event, {"id": "e"}, None)
        opened.close()
        return found

    return asyncio.run(pick())


def test_a_queue_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"
    with sqlite3.connect(path) as first:
        tables = (progress.SCHEMA, samples.SCHEMA.partition(";")[2])
        first.executescript(FIRST + "".join(tables) + META)
    first.close()
    for _ in range(2):
        (record,) = picked_from(path)
        assert (record.number, record.message, record.offset_s) == (1, b"\1", 0.5)
        assert record.read_at == pytest.approx(record.heard_at.timestamp())
    with sqlite3.connect(path) as made:
        known = timelines.timeline(made, "d", 0, 3)
    made.close()
    assert known is not None
    assert known.measured is not None
    assert (known.measured.offset_s, known.begin, known.end) == (0.5, None, None)


META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"


def test_a_queue_of_a_later_version_is_refused_and_left_as_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "spool.sqlite"
    with sqlite3.connect(path) as later:
        later.execute("PRAGMA user_version = 99")
    later.close()
    with pytest.raises(BadSpool, match="newer bridge"):
        Spool(path)
    path.write_bytes(b"no queue at all" * 100)
    with pytest.raises(BadSpool, match="not a database"):
        Spool(path)
