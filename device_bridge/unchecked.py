"""What was dated before this machine's clock was compared with the backend's.

Part of the spool's database. A gateway without a battery for its clock starts at any
time. What it reads until it reaches the backend is marked with the boot it was read in,
stays here, and is shifted by the error that the first comparison finds. The error of an
earlier boot is found no more: a record of one is read again from its device.
"""

import json
import sqlite3
from datetime import datetime, timedelta

UNCHECKED = "read again: the clock it was dated by was never checked"
READ_AGAIN_WITHIN = 86_400.0  # real seconds; then it goes without a time
KEY = "clock base"


def base_of(db: sqlite3.Connection, boot: str, base: datetime) -> datetime:
    """Return what this machine's clock showed when it started, as was noted first.

    A bridge that is started again goes on with the clock it had, whatever was set
    meanwhile: so one error explains all that was read since the machine started.
    """
    known = _noted(db, boot)
    if known is not None:
        return known
    _note(db, boot, base)
    return base


def move_base(db: sqlite3.Connection, boot: str, by: timedelta) -> None:
    """Note what the clock should have shown at the start, by the backend."""
    known = _noted(db, boot)
    if known is not None:
        _note(db, boot, known + by)


def _noted(db: sqlite3.Connection, boot: str) -> datetime | None:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    known: dict[str, str] = json.loads(row[0]) if row else {}
    return datetime.fromisoformat(known["base"]) if known.get("boot") == boot else None


def _note(db: sqlite3.Connection, boot: str, base: datetime) -> None:
    value = json.dumps({"boot": boot, "base": base.isoformat()})
    db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (KEY, value))


def correct(db: sqlite3.Connection, boot: str, shift_s: float, now: float) -> None:
    """Shift what was read since this boot, and lose the times of what was before.

    `now` is the real time (epoch seconds).
    """
    shift = timedelta(seconds=shift_s)
    for id_, heard_at in db.execute(
        "SELECT id, heard_at FROM record WHERE unchecked = ?", (boot,)
    ).fetchall():
        db.execute(
            "UPDATE record SET heard_at = ?, offset_s = offset_s - ?,"
            " read_at = read_at + ?, unchecked = NULL WHERE id = ?",
            (_moved(heard_at, shift), shift_s, shift_s, id_),
        )
    for device_id, sequence, start in db.execute(
        "SELECT device_id, sequence, start FROM segment WHERE unchecked = ?", (boot,)
    ).fetchall():
        db.execute(
            "UPDATE segment SET start = ?, unchecked = NULL"
            " WHERE device_id = ? AND sequence = ?",
            (_moved(start, shift), device_id, sequence),
        )
    for id_, text in db.execute(
        "SELECT id, item FROM event WHERE unchecked = ?", (boot,)
    ).fetchall():
        item = json.loads(text)
        item["occurred_at"] = _moved(item["occurred_at"], shift)
        _put_event(db, id_, item)
    _lose_times(db, now)


def _moved(at: str, shift: timedelta) -> str:
    return (datetime.fromisoformat(at) + shift).isoformat()


def _put_event(db: sqlite3.Connection, id_: str, item: dict[str, object]) -> None:
    db.execute(
        "UPDATE event SET item = ?, unchecked = NULL WHERE id = ?",
        (json.dumps(item), id_),
    )


def _lose_times(db: sqlite3.Connection, now: float) -> None:
    db.execute(
        "UPDATE record SET offset_s = NULL, unchecked = NULL, why = ?, held_until = ?"
        " WHERE unchecked IS NOT NULL",
        (UNCHECKED, now + READ_AGAIN_WITHIN),
    )
    # Vitals without a time say nothing; a wrong time would say something false.
    db.execute("DELETE FROM segment WHERE unchecked IS NOT NULL")
    for id_, text in db.execute(
        "SELECT id, item FROM event WHERE unchecked IS NOT NULL"
    ).fetchall():
        _put_event(db, id_, json.loads(text) | {"occurred_at": None})
