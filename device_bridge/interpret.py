"""Raw records become reports: decoded, dated by true time, put on a timeline."""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache, partial

from device_bridge import progress, record_times, spool
from device_bridge.clock import true_time
from device_bridge.dating import Undated
from device_bridge.errors import MalformedRecord
from device_bridge.events import Record
from device_bridge.gatt.elapsed_time import CURRENT_TIMELINE
from device_bridge.gatt.uuids import STORED_OBSERVATIONS
from device_bridge.profiles import profile_named
from device_bridge.profiles.medication_monitor_ghs import StoredRecord
from device_bridge.record_times import Known, Offset, Told
from device_bridge.spool import SpooledRecord

log = logging.getLogger(__name__)

FRESH = timedelta(minutes=15)
LONGEST_WAIT = timedelta(days=1)  # for a device that does not come back
LOOK_AGAIN = 60.0  # real seconds
UNREADABLE = StoredRecord(number=None, time=None, epoch=None, what=None)
EpochOf = Callable[[str, int, int | None], int]


def interpret(
    db: sqlite3.Connection,
    spooled: Sequence[SpooledRecord],
    now: datetime,
    real: float,
) -> list[tuple[SpooledRecord, Record]]:
    """Return records and their reports, in order.

    `now` is the domain time, `real` the real one (epoch seconds).

    A record of the device's present timeline is dated by readings of its clock; one of
    an older timeline also by the change that a later "clock set" record states. If that
    may still come, because the transfer broke off, the record is left in the spool;
    else it stays undated.
    """
    # What is the same for a whole transfer is asked and noted once.
    epoch_of: EpochOf = cache(partial(progress.wire_epoch, db))
    decoded = [(record, _decode(record)) for record in spooled]
    _learn(db, decoded, now)
    known = Known(db)
    reports = [
        (record, _read_or_raw(known, record, content, now, epoch_of))
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


def _learn(db: sqlite3.Connection, decoded: Sequence[Told], now: datetime) -> None:
    """Learn once from each transfer: what came last in it may date what came first."""
    known, lowest = Known(db), dict[tuple[str, int], int]()
    for record, content in decoded:
        where = (record.device_id, record.generation)
        if not record_times.is_learned(known, record, content.epoch or 0):
            lowest[where] = min(record.number, lowest.get(where, record.number))
    for where, number in lowest.items():
        told = spool.of_device(db, *where, above=number - 1)
        try:
            record_times.learn(db, [(one, _decode(one)) for one in told], now)
        except Exception as error:  # noqa: BLE001  see _not_read
            _not_read(told[0], error)


def _decode(record: SpooledRecord) -> StoredRecord:
    try:
        decode = profile_named(record.profile).decoders[STORED_OBSERVATIONS]
        return decode(record.message)
    except MalformedRecord:
        return UNREADABLE
    except Exception as error:  # noqa: BLE001  see _not_read
        _not_read(record, error)
        return UNREADABLE


def _not_read(record: SpooledRecord, error: Exception) -> None:
    """Say that one record turned out to be more than we can read, and go on.

    It is still uploaded, raw; a fault of ours in one record must not stop the others.
    """
    where = {"device": record.device_id, "number": record.number}
    why = where | {"why": type(error).__name__}
    log.error("record not read", extra=why, exc_info=error)


def _read_or_raw(
    known: Known,
    record: SpooledRecord,
    content: StoredRecord,
    now: datetime,
    epoch_of: EpochOf,
) -> Record:
    try:
        return _report(known, record, content, now, epoch_of)
    except Exception as error:  # noqa: BLE001  see _not_read
        _not_read(record, error)
        return _report(known, record, UNREADABLE, now, epoch_of)


def _report(
    known: Known,
    record: SpooledRecord,
    content: StoredRecord,
    now: datetime,
    epoch_of: EpochOf,
) -> Record:
    found = record_times.offset_at(known, record, content)
    if found is Undated.FUTURE:
        record_times.tell_of_future(known.db, record, content, now)
    offset = None if isinstance(found, Undated) else found
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
        uncertainty_s=_uncertainty(record, content, offset),
        device_time=content.time.encode() if content.time else None,
        offset_s=offset[0] if offset else None,
        what=content.what,
        claimed_live=fresh and (record.live or now - record.heard_at <= FRESH),
    )


def _uncertainty(
    record: SpooledRecord, content: StoredRecord, offset: Offset | None
) -> float:
    """Return how far a time may be off, seconds: by the clock and by the stamp."""
    if content.time is None or offset is None:
        return record.uncertainty_s
    return offset[1] + content.time.resolution.microseconds / 2e6
