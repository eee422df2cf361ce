"""How the clock of a device runs from day to day: its rate, drift and jumps, told once.

Part of the spool's database. Readings are compared while nothing of the device waits:
whatever its records tell of the clock is known by then.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from device_bridge import progress, record_times, spool, timelines
from device_bridge.dating import Anchor, Run, how_it_ran, rate_between
from device_bridge.events import Item, Kind, plain_event
from device_bridge.timelines import Reading

WINDOW_S = 86_400.0  # over less, a rate drowns in what a reading takes
PPM = 1e6


@dataclass(frozen=True, slots=True)
class Watched:
    """How a clock has run; the rate is None until a day has passed undisturbed."""

    run: Run
    rate_ppm: float | None
    rate_uncertainty_ppm: float | None


def note(
    db: sqlite3.Connection,
    device_id: str,
    through: int,
    read: Anchor,
    now: datetime,
) -> None:
    """Go on from a reading before which all records up to `through` were made.

    A clock that has been moved since the one before, and nobody said so, is reported;
    so is one that drifts, once a day.
    """
    if spool.count_of(db, device_id):
        return  # they are dated by the reading before
    of = progress.generation(db, device_id)
    last = _comparable(db, device_id, of)
    timelines.keep_reading(db, device_id, Reading(of, through, read, told=False))
    if last is None:
        _begin(db, device_id, Run.STEADY, read)
    elif how_it_ran(last, read) is Run.MOVED:
        record_times.tell_of_jump(db, device_id, last, read, now)
        _begin(db, device_id, Run.MOVED, read)
    else:
        _watch_rate(db, device_id, read, now)


def note_setting(
    db: sqlite3.Connection, device_id: str, read: Anchor | None, now: datetime
) -> None:
    """Note that the bridge sets the clock, which read so: it may have jumped before."""
    last = _comparable(db, device_id, progress.generation(db, device_id))
    if last is not None and read is not None and how_it_ran(last, read) is Run.MOVED:
        record_times.tell_of_jump(db, device_id, last, read, now)
    timelines.note_told(db, device_id)


def _comparable(db: sqlite3.Connection, device_id: str, of: int) -> Anchor | None:
    """Return the reading before, if the clock has not been set since, as is known."""
    last = timelines.last_reading(db, device_id, of)
    if last is None or last.told:
        return None
    is_over = timelines.began_after(db, device_id, of, last.through)
    return None if is_over else last.anchor


def watched(db: sqlite3.Connection, device_id: str) -> Watched | None:
    """Return how a clock has run, None before it was read twice."""
    kept: dict[str, Any] | None = spool.recall(db, _key(device_id))
    if kept is None:
        return None
    return Watched(Run(kept["run"]), kept["rate_ppm"], kept["rate_uncertainty_ppm"])


def _key(device_id: str) -> str:
    return f"clock {device_id}"


def _begin(
    db: sqlite3.Connection,
    device_id: str,
    run: Run,
    since: Anchor,
    rate: tuple[float, float] | None = None,
) -> None:
    ppm = None if rate is None else [round(part * PPM, 1) for part in rate]
    kept = {
        "run": run.value,
        "since": [since.at, since.offset_s, since.uncertainty_s],
        "rate_ppm": ppm and ppm[0],
        "rate_uncertainty_ppm": ppm and ppm[1],
    }
    spool.remember(db, _key(device_id), kept)


def _watch_rate(
    db: sqlite3.Connection, device_id: str, read: Anchor, now: datetime
) -> None:
    kept: dict[str, Any] | None = spool.recall(db, _key(device_id))
    since = Anchor(*kept["since"]) if kept else read
    if kept and read.at - since.at < WINDOW_S:
        return
    rate = rate_between(since, read) if kept else None
    drifts = how_it_ran(since, read) is not Run.STEADY
    _begin(db, device_id, Run.DRIFTING if drifts else Run.STEADY, read, rate)
    if rate is None or not drifts:
        return
    detail: Item = {
        "rate_ppm": round(rate[0] * PPM, 1),
        "uncertainty_ppm": round(rate[1] * PPM, 1),
        "gained_s": round(read.offset_s - since.offset_s, 3),
        "since": datetime.fromtimestamp(since.at, UTC).isoformat(),
        "until": datetime.fromtimestamp(read.at, UTC).isoformat(),
    }
    spool.keep_event(db, plain_event(device_id, Kind.CLOCK_DRIFT, now, detail))
