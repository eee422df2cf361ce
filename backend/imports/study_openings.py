"""Openings of monitors as device records and dose events, a set at a time.

A monitor's record is named by the local time that its file writes, in microseconds: an
identity that depends on neither the file's name, nor the order of its rows, nor on what
a zone makes of that time.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.imports.study_follow import Touched
from backend.imports.study_known import Study
from backend.imports.study_plan import Pair

UNCERTAIN_S = 3600.0  # where clocks changed, the true instant may lie an hour off
OUTSIDE = "outside the days of its monitor"

HASH = "sha256(('container_opened/' || sequence)::bytea)"
# What `ingest.adopt` reads, should somebody assign the monitor for those days.
ITEM = """jsonb_build_object('device_id', device_id, 'epoch', 0, 'sequence', sequence,
    'payload_hash', encode({hash}, 'hex'), 'occurred_at', {at}, 'evidence',
    'container_opened', 'compartment', 0, 'dose_event_id', {event})"""

WRITE = f"""
WITH mine AS (
    SELECT DISTINCT ON (o.pair, o.sequence) r.patient_id, r.device_id, r.regimen_id,
        o.sequence, o.uncertain, o.inside,
        o.event_id, to_timestamp(o.instant / 1e6) AS at
    FROM rows(pair int, patient_id uuid, device_id uuid, regimen_id uuid)
    JOIN opening o USING (pair)
    WHERE NOT EXISTS (SELECT FROM device_record d WHERE d.device_id = r.device_id
        AND d.epoch = 0 AND d.sequence = o.sequence)
    ORDER BY o.pair, o.sequence, o.instant),
fresh AS (
    INSERT INTO device_record (device_id, epoch, sequence, payload_hash, status, item,
        received_at)
    SELECT device_id, 0, sequence, {HASH},
        CASE WHEN inside THEN 'used' ELSE 'unassigned' END,
        CASE WHEN inside THEN jsonb_build_object('occurred_at', at)
            ELSE {ITEM.format(hash=HASH, at="at", event="event_id")} END, :real
    FROM mine ORDER BY device_id, sequence
    ON CONFLICT DO NOTHING
    RETURNING device_id, sequence),
events AS (
    INSERT INTO dose_event (patient_id, dose_event_id, regimen_id, device_id,
        compartment, epoch, sequence, evidence, label, occurred_at, uncertainty_s, live,
        recorded_at)
    SELECT patient_id, event_id, regimen_id, device_id, 0, 0, sequence,
        'container_opened', 'unmatched', at,
        CASE WHEN uncertain THEN {UNCERTAIN_S} ELSE 0 END, false, :now
    FROM mine JOIN fresh USING (device_id, sequence) WHERE inside
    ON CONFLICT DO NOTHING
    RETURNING patient_id, regimen_id, occurred_at)
SELECT f.records, e.*
FROM (SELECT count(*) AS records FROM fresh) f
LEFT JOIN (SELECT patient_id, regimen_id, min(occurred_at)::date - 1 AS first,
        max(occurred_at)::date + 1 AS last FROM events GROUP BY 1, 2) e ON true
"""  # noqa: S608 (all parts are ours)

# How far a monitor was heard: all of its days, when they are over, for it was read.
HEAR = """
INSERT INTO device_contact AS c (device_id, epoch, sequence, heard_until, seen_at)
SELECT r.device_id, 0, COALESCE(last.sequence, 0),
    CASE WHEN max(a.until) <= :now THEN max(a.until) ELSE last.at END, :real
FROM rows(device_id uuid)
JOIN assignment a USING (device_id)
LEFT JOIN LATERAL (SELECT d.sequence, (d.item->>'occurred_at')::timestamptz AS at
    FROM device_record d WHERE d.device_id = r.device_id AND d.epoch = 0
    ORDER BY d.sequence DESC LIMIT 1) last ON true
GROUP BY r.device_id, last.sequence, last.at
ON CONFLICT (device_id) DO UPDATE
SET heard_until = GREATEST(c.heard_until, excluded.heard_until),
    sequence = GREATEST(c.sequence, excluded.sequence), seen_at = excluded.seen_at
WHERE excluded.heard_until > COALESCE(c.heard_until, '-infinity')
   OR excluded.sequence > c.sequence
"""


def write_openings(
    session: Session,
    pairs: Sequence[Pair],
    touched: Touched,
    *,
    now: datetime,
    real: datetime,
) -> int:
    """Store the staged openings of these monitors; return how many were new."""
    rows = fetch(
        session,
        WRITE,
        [
            {
                "pair": pair.number,
                "patient_id": pair.patient_id,
                "device_id": pair.device_id,
                "regimen_id": pair.regimen_id,
            }
            for pair in pairs
            if pair.openings
        ],
        now=now,
        real=real,
    )
    for row in rows:
        if row["patient_id"] is not None:
            whose = row["patient_id"], row["regimen_id"]
            touched.see(whose, row["first"], row["last"])
    hear(session, pairs, now=now, real=real)
    return int(rows[0]["records"])


def hear(
    session: Session, pairs: Sequence[Pair], *, now: datetime, real: datetime
) -> None:
    """Keep how far these monitors were heard; never moves back."""
    devices = [{"device_id": pair.device_id} for pair in pairs]
    execute(session, HEAR, devices, now=now, real=real)


VOID = f"""
WITH outside AS (
    UPDATE dose_event e SET voided_at = :now
    WHERE e.patient_id = :patient AND e.device_id = :device AND e.voided_at IS NULL
      AND NOT EXISTS (SELECT FROM assignment a WHERE a.patient_id = e.patient_id
        AND a.device_id = e.device_id AND a.since <= e.occurred_at
        AND (a.until IS NULL OR e.occurred_at < a.until))
    RETURNING e.dose_event_id, e.device_id, e.sequence, e.occurred_at),
told AS (
    INSERT INTO void (patient_id, void_id, kind, row_id, reason, actor_id, at)
    SELECT :patient, gen_random_uuid(), 'dose_event', dose_event_id, :reason, :actor,
        :now FROM outside),
freed AS (
    UPDATE device_record d SET status = 'unassigned', item = t.item
    FROM (SELECT device_id, sequence,
            {ITEM.format(hash=HASH, at="occurred_at", event="dose_event_id")} AS item
        FROM outside) t
    WHERE d.device_id = t.device_id AND d.epoch = 0 AND d.sequence = t.sequence)
SELECT min(occurred_at)::date - 1 AS first, max(occurred_at)::date + 1 AS last
FROM outside
"""  # noqa: S608 (all parts are ours)

# One that an import had put aside counts again; what a person declared void stays so.
ADOPT = """
WITH inside AS (
    SELECT d.device_id, d.sequence, (d.item->>'dose_event_id')::uuid AS event_id,
        (d.item->>'occurred_at')::timestamptz AS at
    FROM device_record d JOIN assignment a ON a.device_id = d.device_id
        AND a.patient_id = :patient
        AND a.since <= (d.item->>'occurred_at')::timestamptz
        AND (d.item->>'occurred_at')::timestamptz < a.until
    WHERE d.device_id = :device AND d.epoch = 0 AND d.status = 'unassigned'),
used AS (
    UPDATE device_record d SET status = 'used',
        item = jsonb_build_object('occurred_at', i.at)
    FROM inside i WHERE d.device_id = i.device_id AND d.epoch = 0
        AND d.sequence = i.sequence),
events AS (
    INSERT INTO dose_event AS e (patient_id, dose_event_id, regimen_id, device_id,
        compartment, epoch, sequence, evidence, label, occurred_at, uncertainty_s, live,
        recorded_at)
    SELECT :patient, event_id, :regimen, device_id, 0, 0, sequence, 'container_opened',
        'unmatched', at, 0, false, :now
    FROM inside
    ON CONFLICT (patient_id, device_id, epoch, sequence) DO UPDATE SET voided_at = NULL
    WHERE NOT EXISTS (SELECT FROM void v WHERE v.patient_id = e.patient_id
        AND v.row_id = e.dose_event_id AND v.actor_id <> :actor))
SELECT min(at)::date - 1 AS first, max(at)::date + 1 AS last FROM inside
"""


def move_openings(
    session: Session, study: Study, pair: Pair, touched: Touched, *, now: datetime
) -> None:
    """Take out what is outside the days of a monitor now, and in what is inside."""
    for statement in VOID, ADOPT:
        rows = fetch(
            session,
            statement,
            patient=pair.patient_id,
            device=pair.device_id,
            regimen=pair.regimen_id,
            actor=study.id,
            reason=OUTSIDE,
            now=now,
        )
        if rows[0]["first"] is not None:
            whose = pair.patient_id, pair.regimen_id
            touched.see(whose, rows[0]["first"], rows[0]["last"])
