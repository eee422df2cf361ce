"""When records were made, by all that their device, in one transfer and before, tells.

What the records of a transfer say of the clock together (timelines, "clock set", stamps
that run backwards) is learned once; then each is dated alone.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from itertools import groupby

from device_bridge import spool, timelines
from device_bridge.dating import (
    Anchor,
    Break,
    Run,
    Stamp,
    Undated,
    find_break,
    how_it_ran,
    offset_of,
)
from device_bridge.events import DeviceEvent, Item, Kind, plain_event
from device_bridge.profiles.medication_monitor_ghs import StoredRecord
from device_bridge.spool import SpooledRecord
from device_bridge.timelines import Judged, Timeline

Offset = tuple[float, float]
Told = tuple[SpooledRecord, StoredRecord]
Anchors = tuple[Anchor | None, Anchor | None]


class Known:
    """What is kept of timelines, asked for once."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.timeline = cache(partial(timelines.timeline, db))
        self.reading = cache(partial(timelines.last_reading, db))
        self.judged = cache(partial(timelines.judged, db))


def learn(db: sqlite3.Connection, told: Sequence[Told], now: datetime) -> None:
    """Note what records of one device and generation, by number, tell of its clock.

    How a clock was set leads on from the earliest timeline, then back from the latest.
    """
    stated = {content.epoch or 0 for _, content in told}
    of_epoch = {e: [one for one in told if (one[1].epoch or 0) == e] for e in stated}
    in_order = sorted(stated, key=lambda e: _first(told, e))
    for epoch in in_order:
        _note(db, epoch, of_epoch[epoch])
        _lead_on(db, epoch, of_epoch[epoch])
    for epoch in reversed(in_order):
        mine = of_epoch[epoch]
        by_transfer = sorted(mine, key=lambda one: one[0].read_at)
        for _, group in groupby(by_transfer, key=lambda one: one[0].read_at):
            _judge(db, epoch, list(group), now)
        _lead_back(db, epoch, mine)


def is_learned(known: Known, record: SpooledRecord, epoch: int) -> bool:
    """Return whether the transfer that a record came by has been learned from."""
    said = known.judged(*_where(record), epoch, record.read_at)
    return said is not None and said.through >= record.number


def offset_at(
    known: Known, record: SpooledRecord, content: StoredRecord
) -> Offset | Undated:
    """Return the offset of the clock when a record was made, or why nobody knows."""
    stamp = _stamp(record, content)
    said = known.judged(*_where(record), content.epoch or 0, record.read_at)
    if stamp is None or said is None:
        return Undated.UNKNOWN
    return offset_of(stamp, *_anchors(known, record, content), said.found)


def tell_of_future(
    db: sqlite3.Connection, record: SpooledRecord, content: StoredRecord, now: datetime
) -> None:
    """Report, once a transfer, that a record is stamped later than it was read."""
    stamp = _stamp(record, content)
    if stamp is None:
        return
    detail: Item = {"why": "future", "record": record.number}
    if record.offset_s is not None:
        ahead_s = stamp.face - record.offset_s - stamp.heard_at
        detail["ahead_s"] = round(ahead_s, 3)
    name = f"future:{record.generation}:{record.read_at}"
    _report(db, record.device_id, Kind.CLOCK_WRONG, name, detail, now)


def _first(told: Iterable[Told], epoch: int) -> int:
    return min(r.number for r, content in told if (content.epoch or 0) == epoch)


def _where(record: SpooledRecord) -> tuple[str, int]:
    return record.device_id, record.generation


def _note(db: sqlite3.Connection, epoch: int, mine: Sequence[Told]) -> None:
    """Note where a timeline begins and, if it is the present one, its last anchor."""
    measured = [
        anchor
        for record, content in mine
        if content.time and content.time.current_timeline and (anchor := _read(record))
    ]
    last = max(measured, key=lambda anchor: anchor.at, default=None)
    lowest, content = min(mine, key=lambda one: one[0].number)
    # What begins a timeline is recorded: it had begun before a record of anything else.
    first = lowest.number if _setting(content) else lowest.number - 1
    timelines.keep_timeline(db, *_where(lowest), epoch, Timeline(first, measured=last))


def _judge(
    db: sqlite3.Connection, epoch: int, group: Sequence[Told], now: datetime
) -> None:
    last, last_content = group[-1]
    known = Known(db)
    before, after = _anchors(known, last, last_content)
    reading = known.reading(*_where(last))
    above = reading.through if reading and before else -1
    stamps = [
        stamp
        for record, content in group
        if record.number > above and (stamp := _stamp(record, content)) is not None
    ]
    found = find_break(stamps, before, after)
    said = Judged(last.number, found)
    timelines.keep_judged(db, *_where(last), epoch, last.read_at, said)
    if found is None or (reading and reading.told and found.why == "moved"):
        return
    tell_of_break(db, last, found, (before, after), now)


def tell_of_break(
    db: sqlite3.Connection,
    record: SpooledRecord,
    found: Break,
    anchors: Anchors,
    now: datetime,
) -> None:
    """Report where the order of the records shows that the clock was disturbed."""
    before, after = anchors
    if found.why == "moved" and before and after:
        tell_of_jump(db, record.device_id, before, after, now)
        return
    kind = Kind.CLOCK_WRONG if found.why == "stopped" else Kind.CLOCK_JUMP
    detail: Item = {"why": found.why, "before_record": found.new_from}
    name = f"{record.generation}:{found.new_from}"
    _report(db, record.device_id, kind, name, detail, now)


def tell_of_jump(
    db: sqlite3.Connection,
    device_id: str,
    before: Anchor,
    after: Anchor,
    now: datetime,
) -> None:
    """Report that a clock was moved between two readings, and by how much."""
    detail: Item = {
        "why": "moved",
        "moved_s": round(after.offset_s - before.offset_s, 3),
        "uncertainty_s": round(before.uncertainty_s + after.uncertainty_s, 3),
        "since": datetime.fromtimestamp(before.at, UTC).isoformat(),
        "until": datetime.fromtimestamp(after.at, UTC).isoformat(),
    }
    _report(db, device_id, Kind.CLOCK_JUMP, f"{before.at:.3f}", detail, now)


def _report(
    db: sqlite3.Connection,
    device_id: str,
    kind: Kind,
    name: str,
    detail: Item,
    now: datetime,
) -> None:
    item = plain_event(device_id, kind, now, detail)
    spool.keep_event(db, item | {"id": f"{device_id}:{kind.value}:{name}"})


def _lead_on(db: sqlite3.Connection, epoch: int, mine: Sequence[Told]) -> None:
    """Anchor a timeline's beginning by the reading before it and how the clock was set.

    Not if the bridge has set it since: what the clock was then was read last by that.
    """
    known = Known(db)
    for record, content in mine:
        where, moved = _where(record), _moved(content)
        if moved is None:
            continue
        reading = known.reading(*where)
        line = known.timeline(*where, epoch - 1)
        if line is None or reading is None or reading.told:
            continue
        was_present = line.first <= reading.through
        old = reading.anchor if was_present else line.begin
        if old is not None and reading.through < record.number:
            uncertainty_s = old.uncertainty_s + moved[1]
            begin = Anchor(old.at, old.offset_s + moved[0], uncertainty_s)
            timelines.keep_begin(db, *where, epoch, begin)


def _lead_back(db: sqlite3.Connection, epoch: int, mine: Sequence[Told]) -> None:
    """Anchor the end of the timeline before by how the clock was set at its end."""
    for record, content in mine:
        moved = _moved(content)
        if moved is None or epoch == 0:
            continue
        stamp = _stamp(record, content)
        known = offset_at(Known(db), record, content)
        if stamp is None or isinstance(known, Undated):
            continue
        at = stamp.face - known[0]
        end = Anchor(at, known[0] - moved[0], known[1] + moved[1])
        earlier = Timeline(record.number - 1, end=end)
        timelines.keep_timeline(db, *_where(record), epoch - 1, earlier)


def _setting(content: StoredRecord) -> DeviceEvent | None:
    """Return what a record says of how the clock was set, None if of anything else."""
    what = content.what
    if isinstance(what, DeviceEvent) and what.kind is Kind.CLOCK_SET:
        return what
    return None


def _moved(content: StoredRecord) -> Offset | None:
    """Return by how many seconds a clock was moved, new minus old, and how exactly."""
    said = _setting(content)
    back: float | None = said and said.detail.get("old_minus_new_s")
    if said is None or back is None:
        return None
    return -back, said.detail.get("uncertainty_s", 0.0)


def _anchors(known: Known, record: SpooledRecord, content: StoredRecord) -> Anchors:
    """Return the anchors of a record's timeline, before it was made and any other."""
    where, epoch = _where(record), content.epoch or 0
    is_current = content.time is not None and content.time.current_timeline
    if (is_current and record.offset_s is None) or content.time is None:
        return None, None
    line = known.timeline(*where, epoch)
    if is_current:
        after = _read(record)
    elif content.epoch is None or line is None:
        return None, None  # which timeline that was, nobody says
    else:
        after = line.end or line.measured
    reading = known.reading(*where)
    if reading is None or reading.through >= record.number:
        return None, after
    # It is of the timeline of that reading if that had begun by then.
    if content.epoch is None or (line and line.first <= reading.through):
        return reading.anchor, after
    return (_moved_since(line, after) if line and after else None), after


def _moved_since(line: Timeline, after: Anchor) -> Anchor | None:
    """Return how a timeline began, if its clock was moved behind that or before.

    What a record says of a change may be told roughly: it dates no clock that ran on.
    """
    if line.begin is None or how_it_ran(line.begin, after) is not Run.MOVED:
        return None
    return line.begin


def _read(record: SpooledRecord) -> Anchor | None:
    if record.offset_s is None:
        return None
    return Anchor(record.read_at, record.offset_s, record.uncertainty_s)


def _stamp(record: SpooledRecord, content: StoredRecord) -> Stamp | None:
    face = content.time.utc if content.time is not None else None
    if face is None:
        return None
    return Stamp(record.number, face.timestamp(), record.heard_at.timestamp())
