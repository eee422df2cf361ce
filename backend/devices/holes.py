"""Spans in which a device's silence says nothing, though it was heard afterwards.

Records that its memory lost, and records of which nobody can say when they were made:
a dose may be among them. They lie between the records before and behind them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import fetch

INSTANT = timedelta(microseconds=1)
BEGINNING = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Hole:
    """A span, half-open, in which nobody knows what the device recorded."""

    device_id: UUID
    start: datetime
    until: datetime


@dataclass(slots=True)
class _Run:
    """Records without a time that follow each other; `told_at` is when we learned."""

    device_id: UUID
    epoch: int
    first: int
    last: int
    gap: bool
    told_at: datetime

    def goes_on(self, row: RowMapping) -> bool:
        """Whether another record without a time follows at once."""
        mine = self.device_id, self.epoch, self.gap
        theirs = row["device_id"], row["epoch"], row["kind"] == "gap"
        return mine == theirs and row["first"] <= self.last + 1


def holes(session: Session, device_ids: Collection[UUID]) -> frozenset[Hole]:
    """Return the holes of these devices as they are known now.

    More records may narrow one, and a better reading close it.
    """
    rows = fetch(
        session,
        """SELECT e.device_id, e.kind, e.epoch, e.sequence AS first, e.occurred_at,
            e.recorded_at, COALESCE(CAST(e.detail ->> 'to' AS bigint), e.sequence)
                AS last
        FROM device_event e
        WHERE e.device_id = ANY(:ids) AND e.kind IN ('gap', 'quarantine', 'conflict')
          AND e.epoch IS NOT NULL
          AND (e.kind <> 'quarantine' OR EXISTS (SELECT FROM device_record d
            WHERE d.device_id = e.device_id AND d.epoch = e.epoch
              AND d.sequence = e.sequence AND d.status = 'quarantined'))
        ORDER BY e.device_id, e.epoch, e.sequence""",
        ids=list(device_ids),
    )
    dated = {
        Hole(row["device_id"], at, at + INSTANT)
        for row in rows
        if (at := row["occurred_at"]) is not None
    }
    return frozenset(dated | _between(session, _runs(rows)))


def _runs(rows: Sequence[RowMapping]) -> list[_Run]:
    runs: list[_Run] = []
    for row in rows:
        if row["occurred_at"] is not None:
            continue
        last = runs[-1] if runs else None
        if last is not None and last.goes_on(row):
            last.last = max(last.last, row["last"])
            last.told_at = max(last.told_at, row["recorded_at"])
        else:
            runs.append(
                _Run(
                    row["device_id"],
                    row["epoch"],
                    row["first"],
                    row["last"],
                    row["kind"] == "gap",
                    row["recorded_at"],
                )
            )
    return runs


def _between(session: Session, runs: Sequence[_Run]) -> set[Hole]:
    """The spans from the dated record before each run to the one behind it."""
    if not runs:
        return set()
    rows = fetch(session, NEIGHBOURS, [_item(i, run) for i, run in enumerate(runs)])
    found: set[Hole] = set()
    for row in rows:
        run = runs[int(row["i"])]
        start: datetime = row["before"] or BEGINNING
        behind: datetime = row["after"] or run.told_at
        until = min(run.told_at, behind)
        found.add(Hole(run.device_id, start, max(until, start) + INSTANT))
    return found


def _item(i: int, run: _Run) -> Mapping[str, object]:
    return {
        "i": i,
        "device_id": run.device_id,
        "epoch": run.epoch,
        "first": run.first,
        "last": run.last,
        "gap": run.gap,
    }


# A gap is noticed before the records around it may have arrived, so that its epoch is
# only a lower bound: that of the record behind it decides.
NEIGHBOURS = """
SELECT r.i, before.at AS before, after.at AS after
FROM rows(i int, device_id uuid, epoch int, first bigint, last bigint, gap bool)
LEFT JOIN LATERAL (
    SELECT d.epoch, CAST(d.item ->> 'occurred_at' AS timestamptz) AS at
    FROM device_record d
    WHERE d.device_id = r.device_id AND (d.epoch, d.sequence) > (r.epoch, r.last)
      AND (NOT r.gap OR d.sequence > r.last)
      AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
    ORDER BY d.epoch, d.sequence LIMIT 1) after ON true
LEFT JOIN LATERAL (
    SELECT CAST(d.item ->> 'occurred_at' AS timestamptz) AS at FROM device_record d
    WHERE d.device_id = r.device_id AND (d.epoch, d.sequence)
        < (CASE WHEN r.gap THEN COALESCE(after.epoch, 2147483647) ELSE r.epoch END,
           r.first)
      AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
    ORDER BY d.epoch DESC, d.sequence DESC LIMIT 1) before ON true
"""
