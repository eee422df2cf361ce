"""How far a device was heard, how it is, and what it said about itself."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch


@dataclass(frozen=True, slots=True)
class Heard:
    """All records up to `sequence` of `epoch` have arrived, as of the instant `at`.

    Its clock was so far ahead when it was read, None if it tells nothing.
    """

    device_id: UUID
    epoch: int
    sequence: int
    at: datetime
    clock_offset_s: float | None = None
    clock_uncertainty_s: float | None = None


@dataclass(frozen=True, slots=True)
class Happening:
    """A device event: identified by its sender's id or by its record."""

    device_id: UUID
    event_id: str
    kind: str
    occurred_at: datetime | None
    epoch: int | None = None
    sequence: int | None = None
    detail: dict[str, object] = field(default_factory=dict)


def note(
    session: Session,
    happenings: Sequence[Happening],
    *,
    bridge_id: UUID | None,
    now: datetime,
) -> set[tuple[UUID, str]]:
    """Store what is new and return its (device_id, event_id).

    Of records that may hide a dose it is kept since when they were made: when the
    device had last been heard and had none of them, which of a number that came again
    is always so. That is ours to say, no sender's.
    """
    if not happenings:
        return set()
    rows = fetch(
        session,
        """INSERT INTO device_event (device_id, event_id, kind, occurred_at,
            recorded_at, epoch, sequence, detail, bridge_id)
        SELECT r.device_id, event_id, kind, occurred_at, :now, r.epoch, r.sequence,
            CASE WHEN c.heard_until IS NOT NULL
                    THEN detail || jsonb_build_object('since', c.heard_until)
                WHEN r.kind IN ('gap', 'quarantine', 'conflict') THEN detail - 'since'
                ELSE detail END, :bridge
        FROM rows(device_id uuid, event_id text, kind text, occurred_at timestamptz,
                  epoch int, sequence bigint, detail jsonb)
        LEFT JOIN device_contact c ON c.device_id = r.device_id
            AND r.kind IN ('gap', 'quarantine', 'conflict')
            AND (r.kind = 'conflict' OR c.sequence < r.sequence
                AND (c.epoch <= r.epoch OR r.kind = 'gap'))
        ON CONFLICT DO NOTHING
        RETURNING device_id, event_id""",
        [
            {
                "device_id": h.device_id,
                "event_id": h.event_id,
                "kind": h.kind,
                "occurred_at": h.occurred_at,
                "epoch": h.epoch,
                "sequence": h.sequence,
                "detail": h.detail,
            }
            for h in happenings
        ],
        bridge=bridge_id,
        now=now,
    )
    return {(row["device_id"], row["event_id"]) for row in rows}


def complete(session: Session, heard: Sequence[Heard]) -> list[bool]:
    """Return for each claim whether its last record is stored here.

    A device's silence means something only when all it recorded has arrived. Sequence
    0 claims no record, and a wearable keeps none: its number counts what was sent.
    """
    rows = fetch(
        session,
        """SELECT r.i FROM rows(i int, device_id uuid, epoch int, sequence bigint)
        WHERE r.sequence = 0 OR EXISTS (SELECT FROM device_record d
            WHERE d.device_id = r.device_id AND d.sequence = r.sequence
              AND d.epoch BETWEEN r.epoch - 1 AND r.epoch + 1)
          OR EXISTS (SELECT FROM device d
            WHERE d.device_id = r.device_id AND d.kind = 'wearable')""",
        [
            {"i": i, "device_id": h.device_id, "epoch": h.epoch, "sequence": h.sequence}
            for i, h in enumerate(heard)
        ],
    )
    stored = {row["i"] for row in rows}
    return [i in stored for i in range(len(heard))]


def hear(
    session: Session, heard: Sequence[Heard], *, now: datetime, real: datetime
) -> dict[UUID, datetime]:
    """Move `heard_until` forward, never back and never beyond now.

    Returns the devices for which it moved, with the instant up to which they had been
    heard before: the beginning of time for those heard for the first time.
    """
    rows = fetch(
        session,
        """WITH claim AS (
            SELECT DISTINCT ON (device_id) device_id, epoch, sequence,
                max(LEAST(at, :now)) OVER (PARTITION BY device_id) AS at,
                clock_offset_s, clock_uncertainty_s
            FROM rows(device_id uuid, epoch int, sequence bigint, at timestamptz,
                      clock_offset_s float8, clock_uncertainty_s float8)
            ORDER BY device_id, epoch DESC, sequence DESC),
        moved AS (
            INSERT INTO device_contact AS c
                (device_id, epoch, sequence, heard_until, seen_at,
                clock_offset_s, clock_uncertainty_s)
            SELECT device_id, epoch, sequence, at, :real, clock_offset_s,
                clock_uncertainty_s FROM claim ORDER BY device_id
            ON CONFLICT (device_id) DO UPDATE
            SET heard_until = GREATEST(c.heard_until, excluded.heard_until),
                clock_offset_s = excluded.clock_offset_s,
                clock_uncertainty_s = excluded.clock_uncertainty_s,
                seen_at = excluded.seen_at, epoch = GREATEST(c.epoch, excluded.epoch),
                sequence = CASE WHEN c.epoch > excluded.epoch THEN c.sequence
                    WHEN c.epoch < excluded.epoch THEN excluded.sequence
                    ELSE GREATEST(c.sequence, excluded.sequence) END
            RETURNING device_id, heard_until)
        SELECT moved.device_id, before.heard_until AS before, moved.heard_until AS after
        FROM moved LEFT JOIN device_contact before USING (device_id)""",
        [
            {
                "device_id": h.device_id,
                "epoch": h.epoch,
                "sequence": h.sequence,
                "at": h.at,
                "clock_offset_s": h.clock_offset_s,
                "clock_uncertainty_s": h.clock_uncertainty_s,
            }
            for h in heard
        ],
        now=now,
        real=real,
    )
    return {
        row["device_id"]: row["before"] or datetime.min.replace(tzinfo=now.tzinfo)
        for row in rows
        if row["before"] != row["after"]
    }


def set_battery(
    session: Session, device_id: UUID, percent: int, *, at: datetime
) -> None:
    """Keep the newest battery level; an older one changes nothing."""
    execute(
        session,
        """INSERT INTO device_contact AS c
            (device_id, epoch, sequence, battery_percent, battery_at)
        VALUES (:id, 0, 0, :percent, :at)
        ON CONFLICT (device_id) DO UPDATE
        SET battery_percent = excluded.battery_percent, battery_at = excluded.battery_at
        WHERE c.battery_at IS NULL OR c.battery_at < excluded.battery_at""",
        id=device_id,
        percent=percent,
        at=at,
    )
