"""What the bridge on this machine knows of its devices, read from its queue."""

import sqlite3
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from device_bridge import clock_watch, progress, spool
from device_bridge.errors import BadSettings

EVERY = 1.0  # seconds between looks
SILENT_AFTER = 60.0  # seconds without a sign of life


@dataclass(frozen=True, slots=True)
class ClockStatus:
    """How far a clock was ahead when it was last read, and how it runs.

    `state`: steady, drifting or moved, or what is wrong with it; empty: not known yet.
    The rate is what it gains.
    """

    offset_s: float | None = None
    uncertainty_s: float | None = None
    rate_ppm: float | None = None
    rate_uncertainty_ppm: float | None = None
    state: str = ""

    def __str__(self) -> str:
        shown = [self.state] if self.state else []
        if self.rate_ppm is not None:
            about = f" ±{self.rate_uncertainty_ppm:.0f}"
            shown.insert(0, f"{self.rate_ppm:+.0f}{about} ppm")
        if self.offset_s is not None:
            shown.insert(0, f"{self.offset_s:+.1f} ±{self.uncertainty_s:.1f} s")
        return ", ".join(shown)


@dataclass(frozen=True, slots=True)
class DeviceStatus:
    """One device; None is what nobody knows yet.

    `waiting` are its records in the queue, `missing` the numbers below others that are
    neither here nor committed, `gaps` those that were reported lost. Times are real.
    """

    name: str
    heard_at: datetime | None
    signal_dbm: int | None
    battery: int | None
    last_record: int
    waiting: int
    missing: int
    gaps: int
    clock: ClockStatus


def link_key(device_id: str) -> str:
    """Return where the last sign of life of a device is noted."""
    return f"link {device_id}"


def gaps_key(device_id: str) -> str:
    """Return where the count of the records that a device lost is noted."""
    return f"gaps {device_id}"


def read_status(queue: Path) -> list[DeviceStatus]:
    """Return the devices of a queue's bridge, by name; raises BadSettings without one.

    The bridge may be running: nothing is written.
    """
    where = f"{queue.resolve().as_uri()}?mode=ro"
    try:
        with closing(sqlite3.connect(where, uri=True)) as db:
            devices: list[dict[str, Any]] = spool.recall(db, "devices") or []
            return sorted((_status(db, d) for d in devices), key=lambda s: s.name)
    except sqlite3.Error as error:
        why = f"no queue of a bridge ({error}): set DOSELOOP_BRIDGE_SPOOL"
        raise BadSettings(f"{queue}: {why}") from error


def _status(db: sqlite3.Connection, device: dict[str, Any]) -> DeviceStatus:
    id_: str = device["device_id"]
    link: dict[str, Any] = spool.recall(db, link_key(id_)) or {}
    heard = link.get("at")
    return DeviceStatus(
        name=f"{device['maker']} {device['model']} {device['serial']}",
        heard_at=datetime.fromisoformat(heard) if heard else None,
        signal_dbm=link.get("signal_dbm"),
        battery=spool.recall(db, f"battery {id_}"),
        last_record=progress.received_through(db, id_),
        waiting=spool.count_of(db, id_),
        missing=_missing(db, id_),
        gaps=spool.recall(db, gaps_key(id_)) or 0,
        clock=_clock(db, id_, link.get("clock") or {}),
    )


def _clock(db: sqlite3.Connection, device_id: str, read: dict[str, Any]) -> ClockStatus:
    ran = clock_watch.watched(db, device_id)
    state = "" if ran is None else ran.run.value
    return ClockStatus(
        offset_s=read.get("offset_s"),
        uncertainty_s=read.get("uncertainty_s"),
        rate_ppm=ran and ran.rate_ppm,
        rate_uncertainty_ppm=ran and ran.rate_uncertainty_ppm,
        state=read.get("trouble") or state,
    )


def _missing(db: sqlite3.Connection, device_id: str) -> int:
    missing, above = 0, 0
    while (hole := progress.hole_above(db, device_id, above)) is not None:
        missing += hole[1] - hole[0] + 1
        above = hole[1]
    return missing


def table(found: list[DeviceStatus], now: datetime) -> Table:
    """Return the devices as rows; `now` is the machine's time, UTC."""
    made = Table(title=f"{sum(s.waiting for s in found)} records wait for the backend")
    for name in ("device", "heard", "signal", "battery", "last record"):
        made.add_column(name)
    for name in ("queue", "missing", "lost", "clock"):
        made.add_column(name, justify="right")
    for status in found:
        made.add_row(
            status.name,
            _ago(status.heard_at, now),
            "" if status.signal_dbm is None else f"{status.signal_dbm} dBm",
            "" if status.battery is None else f"{status.battery} %",
            str(status.last_record or ""),
            *(str(count or "") for count in (status.waiting, status.missing)),
            str(status.gaps or ""),
            str(status.clock),
        )
    return made


def _ago(heard: datetime | None, now: datetime) -> str:
    if heard is None:
        return "never"
    seconds = (now - heard).total_seconds()
    if seconds < SILENT_AFTER:
        return "now"
    units = ((86_400, "d"), (3_600, "h"), (60, "min"))
    size, unit = next(u for u in units if seconds >= u[0])
    return f"{seconds / size:.0f} {unit} ago"


def show(queue: Path, now: datetime, *, once: bool) -> None:
    """Print the devices; on a terminal again every second until interrupted."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    if once or not console.is_terminal:
        console.print(table(read_status(queue), now))
        return
    began = time.monotonic()
    with Live(console=console, auto_refresh=False) as live:
        while True:
            later = now.timestamp() + time.monotonic() - began
            at = datetime.fromtimestamp(later, now.tzinfo)
            live.update(table(read_status(queue), at), refresh=True)
            time.sleep(EVERY)
