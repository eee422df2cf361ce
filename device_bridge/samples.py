"""Vitals in the spool: samples as they come, joined to segments until one is sent.

Part of the spool's database. The last segment of a device is open: samples are added
to it until it is full or the uploader takes it. Its id is fixed when it is begun, so a
repeated upload is the same segment. It contains the time at which the spool was made:
a bridge that has lost its spool, or a second bridge, does not use an id again.

A sample that its device has named, by a time stamp or a record number, is a segment of
its own, whose number is a digest of that name: whoever reads it again, and however
often, reports the same segment.
"""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from device_bridge.events import VitalSegment

SCHEMA = """
CREATE TABLE IF NOT EXISTS segment (
    device_id TEXT NOT NULL, sequence INTEGER NOT NULL, code TEXT NOT NULL,
    unit TEXT NOT NULL, start TEXT NOT NULL, samples TEXT NOT NULL,
    sealed INTEGER NOT NULL, held_until REAL NOT NULL DEFAULT 0, unchecked TEXT,
    PRIMARY KEY (device_id, sequence)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment_number (
    device_id TEXT PRIMARY KEY, next INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segment_epoch (only INTEGER PRIMARY KEY, epoch INTEGER);
INSERT OR IGNORE INTO segment_epoch VALUES (1, unixepoch());
"""
LARGEST_SEGMENT = 60
LONGEST_SEGMENT = timedelta(seconds=60)
NAMED = 1 << 62  # from here on the numbers are digests


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one device at a domain instant; `unchecked`: see there.

    `name` is what sets it apart from all others of the device's code with its value.
    """

    device_id: str
    code: str
    unit: str
    at: datetime
    value: float
    unchecked: str | None = None
    name: str | None = None


def add_all(db: sqlite3.Connection, taken: Iterable[Sample]) -> None:
    """Keep samples of many devices."""
    for sample in taken:
        if sample.name is None:
            add(db, sample)
        else:
            _add_named(db, sample, sample.name)


def _add_named(db: sqlite3.Connection, sample: Sample, name: str) -> None:
    said = f"{sample.code} {sample.value!r} {name}".encode()
    number = int.from_bytes(sha256(said).digest()[:8], "big") >> 2
    _insert(db, sample, NAMED | number, sealed=True)


def add(db: sqlite3.Connection, sample: Sample) -> None:
    """Keep a sample in the open segment of its device, or begin a new one."""
    row = db.execute(
        "SELECT sequence, start, samples FROM segment"
        " WHERE device_id = ? AND code = ? AND NOT sealed AND unchecked IS ?"
        " ORDER BY sequence DESC",
        (sample.device_id, sample.code, sample.unchecked),
    ).fetchone()
    if row is not None:
        sequence, start, kept = (
            row[0],
            datetime.fromisoformat(row[1]),
            json.loads(row[2]),
        )
        offset = round((sample.at - start).total_seconds(), 3)
        fits = len(kept) < LARGEST_SEGMENT and offset <= LONGEST_SEGMENT.total_seconds()
        if fits and offset > kept[-1][0]:
            kept.append([offset, sample.value])
            db.execute(
                "UPDATE segment SET samples = ? WHERE device_id = ? AND sequence = ?",
                (json.dumps(kept), sample.device_id, sequence),
            )
            return
        seal(db, sample.device_id, sequence)
    _begin(db, sample)


def _begin(db: sqlite3.Connection, sample: Sample) -> None:
    db.execute(
        "INSERT INTO segment_number VALUES (?, 1)"
        " ON CONFLICT (device_id) DO UPDATE SET next = next + 1",
        (sample.device_id,),
    )
    sequence = last_number(db, sample.device_id)
    _insert(db, sample, sequence, sealed=False)


def _insert(
    db: sqlite3.Connection, sample: Sample, sequence: int, *, sealed: bool
) -> None:
    # One that is here and comes again is dated anew: what was read in an earlier boot
    # by an unchecked clock would be dropped.
    db.execute(
        "INSERT INTO segment (device_id, sequence, code, unit, start, samples, sealed,"
        " unchecked) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " start = excluded.start, unchecked = excluded.unchecked",
        (
            sample.device_id,
            sequence,
            sample.code,
            sample.unit,
            sample.at.isoformat(),
            json.dumps([[0.0, sample.value]]),
            sealed,
            sample.unchecked,
        ),
    )


def last_number(db: sqlite3.Connection, device_id: str) -> int:
    """Return the number of the segment begun last, 0 if none was."""
    row = db.execute(
        "SELECT next FROM segment_number WHERE device_id = ?", (device_id,)
    ).fetchone()
    return row[0] if row else 0


def epoch(db: sqlite3.Connection) -> int:
    """Return the number that sets this spool's segments apart from those of others."""
    return db.execute("SELECT epoch FROM segment_epoch").fetchone()[0]


def seal(db: sqlite3.Connection, device_id: str, sequence: int) -> None:
    """Add no more samples to a segment."""
    db.execute(
        "UPDATE segment SET sealed = 1 WHERE device_id = ? AND sequence = ?",
        (device_id, sequence),
    )


def pick(db: sqlite3.Connection, limit: int, now: float) -> list[VitalSegment]:
    """Return the oldest segments, sealed from now on."""
    rows = db.execute(
        "SELECT device_id, sequence, code, unit, start, samples FROM segment"
        " WHERE held_until <= ? AND unchecked IS NULL ORDER BY start LIMIT ?",
        (now, limit),
    ).fetchall()
    picked: list[VitalSegment] = []
    of_spool = epoch(db)
    for device_id, sequence, code, unit, start, kept in rows:
        seal(db, device_id, sequence)
        pairs: list[tuple[float, float]] = json.loads(kept)
        picked.append(
            VitalSegment(
                id=f"{device_id}:{of_spool if sequence < NAMED else 'own'}:{sequence}",
                device_id=device_id,
                code=code,
                unit=unit,
                start=datetime.fromisoformat(start),
                offsets=tuple(offset for offset, _ in pairs),
                values=tuple(value for _, value in pairs),
            )
        )
    return picked


def _key(segment: VitalSegment) -> tuple[str, int]:
    return segment.device_id, int(segment.id.rpartition(":")[2])


def forget(db: sqlite3.Connection, segments: list[VitalSegment]) -> None:
    """Drop segments that the backend has committed."""
    keys = [_key(segment) for segment in segments]
    db.executemany("DELETE FROM segment WHERE device_id = ? AND sequence = ?", keys)


def hold(db: sqlite3.Connection, segments: list[VitalSegment], until: float) -> None:
    """Keep refused segments out of the way until a time (epoch seconds)."""
    rows = [(until, *_key(segment)) for segment in segments]
    db.executemany(
        "UPDATE segment SET held_until = ? WHERE device_id = ? AND sequence = ?", rows
    )
