"""Raw records become reports: decoded, dated by true time, put on a timeline."""

import logging
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import cache, partial

from device_bridge import progress, spool
from device_bridge.clock import TOLERANCE, true_time
from device_bridge.errors import MalformedRecord
from device_bridge.events import DeviceEvent, Kind, Record
from device_bridge.gatt.elapsed_time import CURRENT_TIMELINE
from device_bridge.gatt.uuids import STORED_OBSERVATIONS
from device_bridge.profiles import profile_named
from device_bridge.profiles.medication_monitor_ghs import StoredRecord
from device_bridge.spool import SpooledRecord

log = logging.getLogger(__name__)

FRESH = timedelta(minutes=15)
LONGEST_WAIT = timedelta(days=1)  # for a device that does not come back
LOOK_AGAIN = 60.0  # real seconds
UNREADABLE = StoredRecord(number=None, time=None, epoch=None, what=None)
Offset = tuple[float, float]
Keep = Callable[[str, int, int, Offset], None]
EpochOf = Callable[[str, int, int | None], int]


def interpret(
    db: sqlite3.Connection,
    spooled: Sequence[SpooledRecord],
    now: datetime,
    real: float,
) -> list[tuple[SpooledRecord, Record]]:
    """Return records and their reports, in order.

    `now` is the domain time, `real` the real one (epoch seconds).

    A record of the device's present timeline is dated by the offset measured on the
    link it came over. One of an older timeline by the offset last known for that, or by
    the change that a later "clock set" record states. If that may still come, because
    the transfer broke off, the record is left in the spool; else it stays undated.
    """
    # What is the same for a whole transfer is asked and noted once.
    keep: Keep = cache(partial(progress.keep_offset, db))
    epoch_of: EpochOf = cache(partial(progress.wire_epoch, db))
    decoded = [(record, _decode(record)) for record in spooled]
    for record, content in reversed([*decoded, *_ahead(db, decoded)]):
        with _alone(record):
            _learn_offsets(db, record, content, keep)
    reports = [
        (record, _read_or_raw(db, record, content, now, epoch_of))
        for record, content in decoded
    ]
    waiting = {
        record.id for record, report in reports if _waits(db, record, report, now)
    }
    held = [(id_, progress.UNDATED) for id_ in waiting]
    spool.hold(db, held, real + LOOK_AGAIN)
    return [(record, report) for record, report in reports if record.id not in waiting]


def _waits(
    db: sqlite3.Connection, record: SpooledRecord, report: Record, now: datetime
) -> bool:
    if report.device_time is None or report.occurred_at is not None:
        return False
    if report.device_time[0] & CURRENT_TIMELINE or now - record.heard_at > LONGEST_WAIT:
        return False
    return not progress.is_complete(db, record.device_id)


def _ahead(
    db: sqlite3.Connection, decoded: Sequence[tuple[SpooledRecord, StoredRecord]]
) -> list[tuple[SpooledRecord, StoredRecord]]:
    """Return later records of devices whose earlier ones cannot be dated yet."""
    undated: set[tuple[str, int]] = set()
    for record, content in decoded:
        stamp = content.time
        where = (record.device_id, record.generation)
        old = stamp is not None and not stamp.current_timeline
        if old and progress.known_offset(db, *where, content.epoch or 0) is None:
            undated.add(where)
    last = {(r.device_id, r.generation): r.number for r, _ in decoded}
    return [
        (record, _decode(record))
        for where in undated
        for record in spool.of_device(db, *where, above=last[where])
    ]


def _decode(record: SpooledRecord) -> StoredRecord:
    with _alone(record), suppress(MalformedRecord):
        decode = profile_named(record.profile).decoders[STORED_OBSERVATIONS]
        return decode(record.message)
    return UNREADABLE


@contextmanager
def _alone(record: SpooledRecord) -> Generator[None]:
    """Go on behind the block when one record turns out to be more than we can read.

    It is still uploaded, raw; a fault of ours in one record must not stop the others.
    """
    try:
        yield
    except Exception as error:
        where = {"device": record.device_id, "number": record.number}
        log.exception("record not read", extra=where | {"why": type(error).__name__})


def _learn_offsets(
    db: sqlite3.Connection, record: SpooledRecord, content: StoredRecord, keep: Keep
) -> None:
    """Note what a record tells about its timeline and the one before."""
    epoch, stamp = content.epoch or 0, content.time
    where = (record.device_id, record.generation)
    if stamp is not None and stamp.current_timeline and record.offset_s is not None:
        measured = (record.offset_s, record.uncertainty_s)
        keep(*where, epoch, measured)
    moved = _moved(content)
    known = progress.known_offset(db, *where, epoch)
    if moved is None or known is None or epoch == 0:
        return
    if progress.known_offset(db, *where, epoch - 1) is None:
        before = (known[0] - moved[0], known[1] + moved[1])
        progress.keep_offset(db, *where, epoch - 1, before)


def _moved(content: StoredRecord) -> Offset | None:
    """Return by how many seconds a clock was moved, new minus old, and how exactly."""
    what = content.what
    if not isinstance(what, DeviceEvent) or what.kind is not Kind.CLOCK_SET:
        return None
    back: float | None = what.detail.get("old_minus_new_s")
    return None if back is None else (-back, what.detail.get("uncertainty_s", 0.0))


def _offset(
    db: sqlite3.Connection, record: SpooledRecord, content: StoredRecord
) -> Offset | None:
    stamp = content.time
    if stamp is None:
        return None
    if stamp.current_timeline:
        if record.offset_s is None:
            return None
        return record.offset_s, record.uncertainty_s
    return progress.known_offset(
        db, record.device_id, record.generation, content.epoch or 0
    )


def _read_or_raw(
    db: sqlite3.Connection,
    record: SpooledRecord,
    content: StoredRecord,
    now: datetime,
    epoch_of: EpochOf,
) -> Record:
    with _alone(record):
        return _report(db, record, content, now, epoch_of)
    return _report(db, record, UNREADABLE, now, epoch_of)


def _report(
    db: sqlite3.Connection,
    record: SpooledRecord,
    content: StoredRecord,
    now: datetime,
    epoch_of: EpochOf,
) -> Record:
    offset = _offset(db, record, content)
    occurred = None
    if content.time is not None and offset is not None:
        occurred = true_time(content.time, offset[0])
    fresh = occurred is not None and abs(now - occurred) <= FRESH
    return Record(
        device_id=record.device_id,
        epoch=epoch_of(record.device_id, record.generation, content.epoch),
        sequence=record.number,
        raw=profile_named(record.profile).canonical(record.message),
        occurred_at=occurred,
        uncertainty_s=_uncertainty(record, offset, occurred),
        device_time=content.time.encode() if content.time else None,
        offset_s=offset[0] if offset else None,
        what=content.what,
        claimed_live=fresh and (record.live or now - record.heard_at <= FRESH),
    )


def _uncertainty(
    record: SpooledRecord, offset: Offset | None, occurred: datetime | None
) -> float:
    """Return how far a time may be off, seconds: a clock drifts since it was right."""
    if offset is None or occurred is None:
        return record.uncertainty_s
    age_s = abs((record.heard_at - occurred).total_seconds())
    return offset[1] + TOLERANCE * age_s
