"""What happens when a device tells of itself: heard, battery, clock, gaps.

A device that was heard makes its silence meaningful: doses of which it would have told
and did not become late or missed.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import orjson
from sqlmodel import Session

from backend.audit.record import record as audit
from backend.devices.arrive import Arrival, store
from backend.devices.assign import bearers, bearers_since, lock
from backend.devices.contact import (
    Happening,
    Heard,
    complete,
    hear,
    note,
    set_battery,
)
from backend.devices.epochs import numbering
from backend.devices.holes import Hole, holes
from backend.doses.touched import crossed, in_holes
from backend.ingest.accept import follow
from backend.ingest.items import (
    Broken,
    EventItem,
    EventKind,
    HeardUntil,
    Read,
    Verdict,
)
from backend.ingest.judge import believable
from backend.ingest.sort import as_kept, device_ids, unreadable
from backend.ingest.verdicts import oddities, refused, verdicts
from backend.people.hold import hold
from backend.people.readers import Sender
from backend.state.need import SILENT_AFTER
from backend.state.refresh import heard

PERCENT = range(101)

Events = Mapping[int, EventItem]
Moved = Mapping[UUID, datetime]


def accept_events(
    session: Session,
    reads: Sequence[Read[EventItem]],
    *,
    by: Sender,
    now: datetime,
    real: datetime,
) -> list[Verdict]:
    """Store a batch of device events with all that follows; one verdict an item."""
    mine = lock(session, device_ids(reads), clinic_id=by.clinic_id)
    events = {
        i: read.item
        for i, read in enumerate(reads)
        if isinstance(read.item, EventItem) and read.item.device_id in mine
    }
    arrivals = _arrivals(reads, mine, now)
    plain = {
        i: event
        for i, event in events.items()
        if event.record is None and event.kind is not EventKind.HEARD
    }
    telling = arrivals or any(e.kind is EventKind.GAP for e in plain.values())
    torn = holes(session, mine) if telling else frozenset[Hole]()
    said = _keep(session, arrivals, events, by=by, now=now, real=real)
    said |= _note(session, plain, reads, by=by, now=now)
    told = any(verdict.verdict != "known" for verdict in said.values())
    if telling:
        torn ^= holes(session, mine)
    moved, claims = _hear(session, events, now=now, real=real)
    patients = _listen(session, moved, torn, now)
    if told:
        audit(
            session,
            by.actor(),
            "device_events_received",
            patients=patients,
            detail={"new": sum(one.verdict == "new" for one in said.values())},
        )
    said |= claims
    return [said.get(i) or refused(read) for i, read in enumerate(reads)]


def _keep(
    session: Session,
    arrivals: Mapping[int, Arrival],
    events: Events,
    *,
    by: Sender,
    now: datetime,
    real: datetime,
) -> dict[int, Verdict]:
    """Keep the stored records of devices, and what those that are new tell of."""
    if not arrivals:
        return {}
    new, clashing = store(
        session, list(arrivals.values()), bridge_id=by.bridge_id, real=real
    )
    told = [
        _told(one, events[i])
        for i, one in arrivals.items()
        if i in events and one.mark in new
    ]
    odd = oddities(
        (one for i, one in arrivals.items() if i not in events or one.mark in clashing),
        new,
        clashing,
    )
    note(session, [*told, *odd], bridge_id=by.bridge_id, now=now)
    _charge(session, told, now)
    return verdicts(arrivals, new, clashing)


def _note(
    session: Session,
    events: Events,
    reads: Sequence[Read[EventItem]],
    *,
    by: Sender,
    now: datetime,
) -> dict[int, Verdict]:
    """Note what came of no record, and how full batteries are."""
    happenings = {
        i: _happening(session, event, reads[i].sent, now) for i, event in events.items()
    }
    new = note(session, list(happenings.values()), bridge_id=by.bridge_id, now=now)
    said: dict[int, Verdict] = {}
    for i, one in happenings.items():
        key = one.device_id, one.event_id
        said[i] = Verdict(verdict="new" if key in new else "known")
        new.discard(key)
    _charge(session, happenings.values(), now)
    return said


def _charge(session: Session, happenings: Iterable[Happening], now: datetime) -> None:
    for one in happenings:
        percent = one.detail.get("percent")
        if not isinstance(percent, int) or isinstance(percent, bool):
            continue
        if one.kind == EventKind.BATTERY and percent in PERCENT:
            at = min(one.occurred_at or now, now)
            set_battery(session, one.device_id, percent, at=at)


def _hear(
    session: Session, events: Events, *, now: datetime, real: datetime
) -> tuple[Moved, dict[int, Verdict]]:
    """Move each device's `heard_until`, where all its records have arrived."""
    claims = {
        i: _claim(event.device_id, until)
        for i, event in events.items()
        if (until := event.heard_until) is not None
    }
    arrived = dict(zip(claims, complete(session, list(claims.values())), strict=True))
    moved = hear(
        session,
        [claim for i, claim in claims.items() if arrived[i]],
        now=now,
        real=real,
    )
    return moved, {
        i: _heard(claim, complete=arrived[i], moved=moved)
        for i, claim in claims.items()
        if events[i].kind is EventKind.HEARD and events[i].record is None
    }


def _claim(device_id: UUID, until: HeardUntil) -> Heard:
    offset_s = until.clock and until.clock.offset_s
    uncertainty_s = until.clock and until.clock.uncertainty_s
    return Heard(
        device_id, until.epoch, until.sequence, until.at, offset_s, uncertainty_s
    )


def _heard(claim: Heard, *, complete: bool, moved: Moved) -> Verdict:
    if not complete:
        return Verdict(verdict="quarantined", reason="records_missing")
    return Verdict(verdict="new" if claim.device_id in moved else "known")


def _listen(
    session: Session, moved: Moved, torn: Collection[Hole], now: datetime
) -> set[UUID]:
    """Draw the conclusions; where there are none only `heard_until` moves on."""
    concerned = bearers(session, {hole.device_id for hole in torn})
    if moved:
        concerned |= bearers_since(session, moved, since=min(moved.values()))
    patients = hold(session, concerned)
    facts = crossed(session, moved, patients) | {
        fact for fact in in_holes(session, torn) if fact[0] in patients
    }
    silent = [device for device, before in moved.items() if now - before > SILENT_AFTER]
    waking = bearers_since(session, silent, since=now) if silent else set[UUID]()
    changed = {patient_id for patient_id, _, _ in facts} | waking & patients
    follow(session, facts, patients=changed, now=now, cause="device_heard")
    if moved:
        heard(session, patients - changed, now=now)
    return patients


def _arrivals(
    reads: Sequence[Read[EventItem]], mine: Collection[UUID], now: datetime
) -> dict[int, Arrival]:
    found = {i: _arrival(read, now) for i, read in enumerate(reads)}
    return {
        i: one for i, one in found.items() if one is not None and one.device_id in mine
    }


def _arrival(read: Read[EventItem], now: datetime) -> Arrival | None:
    event = read.item
    if isinstance(event, Broken):
        return unreadable(event)
    if event.record is None:
        return None
    at = believable(event.occurred_at, now=now)
    wrong = at is None and event.occurred_at is not None
    return Arrival(
        event.device_id,
        event.record.epoch,
        event.record.sequence,
        event.record.payload_hash,
        as_kept(read.sent, event),
        event.record.raw,
        "quarantined" if wrong else "used",
        "impossible_time" if wrong else None,
        occurred_at=at,
    )


def _told(one: Arrival, event: EventItem) -> Happening:
    gap = event.kind is EventKind.GAP
    return Happening(
        one.device_id,
        f"{one.epoch}/{one.sequence}",
        event.kind,
        # When a gap was noticed is not when it was, nor is its record one of the lost.
        None if gap else one.occurred_at,
        one.epoch,
        int(event.detail["from"]) if event.says_lost else one.sequence,
        event.detail,
    )


def _happening(
    session: Session, event: EventItem, sent: Mapping[str, object], now: datetime
) -> Happening:
    # Without an id of the sender's the content is the identity.
    content = orjson.dumps(sent, option=orjson.OPT_SORT_KEYS)
    gap = event.kind is EventKind.GAP
    return Happening(
        event.device_id,
        event.id or sha256(content).hexdigest(),
        event.kind,
        # When a gap was noticed is not when it was.
        None if gap else believable(event.occurred_at, now=now),
        numbering(session, event.device_id) if gap else None,
        int(event.detail["from"]) if gap else None,
        event.detail,
    )
