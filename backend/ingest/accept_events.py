"""What happens when a device tells of itself: heard, battery, clock, gaps.

A device that was heard makes its silence meaningful: doses of which it would have told
and did not become late or missed.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from uuid import UUID

import orjson
from sqlmodel import Session

from backend.audit.record import record as audit
from backend.database.sets import fetch
from backend.devices.arrive import Arrival, store
from backend.devices.assign import bearers_since, lock
from backend.devices.contact import (
    Happening,
    Heard,
    complete,
    hear,
    note,
    set_battery,
)
from backend.doses.rematch import around
from backend.doses.silence import LATE_AFTER
from backend.ingest.accept import follow
from backend.ingest.items import Broken, EventItem, EventKind, Read, Verdict
from backend.people.hold import hold
from backend.people.readers import Sender
from backend.state.need import SILENT_AFTER
from backend.state.refresh import heard

Items = Mapping[int, Read[EventItem]]
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
    named = {read.item.device_id for read in reads if not isinstance(read.item, Broken)}
    mine = lock(session, named, clinic_id=by.clinic_id)
    items = {
        i: read
        for i, read in enumerate(reads)
        if isinstance(read.item, EventItem) and read.item.device_id in mine
    }
    verdicts = _note(session, items, by=by, now=now, real=real)
    moved, claims = _hear(session, items, now=now, real=real)
    verdicts |= claims
    patients = _patients(session, moved)
    _listen(session, moved, patients, now)
    if new := sum(verdict.verdict == "new" for verdict in verdicts.values()):
        audit(
            session,
            by.actor(),
            "device_events_received",
            patients=patients,
            detail={"new": new},
        )
    return [verdicts.get(i) or _rejected(read) for i, read in enumerate(reads)]


def _note(
    session: Session, items: Items, *, by: Sender, now: datetime, real: datetime
) -> dict[int, Verdict]:
    """Keep what is not `heard`: its record, if it came from one, and what happened."""
    told = {i: read for i, read in items.items() if _event(read).kind != "heard"}
    arrivals = {i: _arrival(read) for i, read in told.items()}
    _, clashing = store(
        session,
        [arrival for arrival in arrivals.values() if arrival is not None],
        bridge_id=by.bridge_id,
        real=real,
    )
    happenings = {i: _happening(read) for i, read in told.items()}
    new = note(session, list(happenings.values()), bridge_id=by.bridge_id, now=now)
    verdicts: dict[int, Verdict] = {}
    for i, happening in happenings.items():
        arrival = arrivals[i]
        key = happening.device_id, happening.event_id
        if arrival is not None and arrival.mark in clashing:
            verdicts[i] = Verdict(verdict="quarantined", reason="conflict")
        else:
            verdicts[i] = Verdict(verdict="new" if key in new else "known")
        new.discard(key)
        percent = happening.detail.get("percent")
        if happening.kind == EventKind.BATTERY and isinstance(percent, int):
            at = happening.occurred_at or now
            set_battery(session, happening.device_id, percent, at=min(at, now))
    return verdicts


def _hear(
    session: Session, items: Items, *, now: datetime, real: datetime
) -> tuple[Moved, dict[int, Verdict]]:
    """Move each device's `heard_until`, where all its records have arrived."""
    claims = {
        i: Heard(event.device_id, until.epoch, until.sequence, until.at)
        for i, event in ((i, _event(read)) for i, read in items.items())
        if (until := event.heard_until) is not None
    }
    arrived = dict(zip(claims, complete(session, list(claims.values())), strict=True))
    moved = hear(
        session,
        [claim for i, claim in claims.items() if arrived[i]],
        now=now,
        real=real,
    )
    verdicts = {
        i: _heard(claim, complete=arrived[i], moved=moved)
        for i, claim in claims.items()
        if _event(items[i]).kind == EventKind.HEARD
    }
    return moved, verdicts


def _heard(claim: Heard, *, complete: bool, moved: Moved) -> Verdict:
    if not complete:
        return Verdict(verdict="quarantined", reason="records_missing")
    return Verdict(verdict="new" if claim.device_id in moved else "known")


def _patients(session: Session, moved: Moved) -> set[UUID]:
    if not moved:
        return set()
    return hold(session, bearers_since(session, moved, since=min(moved.values())))


def _listen(
    session: Session, moved: Moved, patients: Collection[UUID], now: datetime
) -> None:
    """Draw the conclusions; where there are none only `heard_until` moves on."""
    crossed = _crossed(session, moved, patients)
    silent = [device for device, before in moved.items() if now - before > SILENT_AFTER]
    waking = bearers_since(session, silent, since=now) if silent else set[UUID]()
    concerned = {patient_id for patient_id, _, _ in crossed} | waking.intersection(
        patients
    )
    follow(session, around(crossed), patients=concerned, now=now, cause="device_heard")
    heard(session, set(patients) - concerned, now=now)


def _crossed(
    session: Session, moved: Moved, patients: Collection[UUID]
) -> list[tuple[UUID, UUID, datetime]]:
    """The open doses for which a device was now heard beyond a moment that decides."""
    rows = fetch(
        session,
        """SELECT DISTINCT s.patient_id, s.regimen_id, s.window_from
        FROM rows(device_id uuid, before timestamptz)
        JOIN device_contact c USING (device_id)
        JOIN assignment a USING (device_id)
        JOIN scheduled_dose s ON s.patient_id = a.patient_id
            AND s.regimen_id = a.regimen_id
            AND s.label IN ('pending', 'late', 'unknown')
            AND s.window_until > r.before
        JOIN regimen_version v ON v.patient_id = s.patient_id
            AND v.regimen_id = s.regimen_id AND v.version = s.version
        WHERE s.patient_id = ANY(:patients)
          AND (s.window_until <= c.heard_until
            OR (s.due_at + make_interval(secs => COALESCE(v.remind_after_s, :delay))
                > r.before
            AND s.due_at + make_interval(secs => COALESCE(v.remind_after_s, :delay))
                <= c.heard_until))""",
        [{"device_id": device, "before": before} for device, before in moved.items()],
        patients=list(patients),
        delay=int(LATE_AFTER.total_seconds()),
    )
    return [(row["patient_id"], row["regimen_id"], row["window_from"]) for row in rows]


def _event(read: Read[EventItem]) -> EventItem:
    if isinstance(read.item, Broken):
        raise TypeError("only items that were read come this far")
    return read.item


def _arrival(read: Read[EventItem]) -> Arrival | None:
    event = _event(read)
    if event.record is None:
        return None
    return Arrival(
        event.device_id,
        event.record.epoch,
        event.record.sequence,
        event.record.payload_hash,
        read.sent,
        event.record.raw,
        "used",
    )


def _happening(read: Read[EventItem]) -> Happening:
    event = _event(read)
    record = event.record
    if record is not None:
        name = f"{record.epoch}/{record.sequence}"
    else:
        # Without an id of the sender's the content is the identity.
        sent = orjson.dumps(read.sent, option=orjson.OPT_SORT_KEYS)
        name = event.id or sha256(sent).hexdigest()
    return Happening(
        event.device_id,
        name,
        event.kind,
        event.occurred_at,
        None if record is None else record.epoch,
        None if record is None else record.sequence,
        event.detail,
    )


def _rejected(read: Read[EventItem]) -> Verdict:
    if isinstance(read.item, Broken):
        return Verdict(verdict="rejected", reason="malformed", detail=read.item.why)
    if read.item.kind == EventKind.HEARD and read.item.heard_until is None:
        return Verdict(
            verdict="rejected", reason="malformed", detail="heard_until: missing"
        )
    return Verdict(
        verdict="rejected",
        reason="unknown_device",
        detail="This bridge may not send for that device.",
    )
