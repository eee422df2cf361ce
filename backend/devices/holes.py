"""Spans in which a device's silence says nothing, though it was heard afterwards.

Records that its memory lost, also by a reset, and records of which nobody can say when
they were made: a dose may be among them. They lie between the records before and behind
them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch

INSTANT = timedelta(microseconds=1)
BEGINNING = datetime.min.replace(tzinfo=UTC)

Row = Mapping[Any, Any]


@dataclass(frozen=True, slots=True)
class Hole:
    """A span, half-open, in which nobody knows what the device recorded."""

    device_id: UUID
    start: datetime
    until: datetime


@dataclass(slots=True)
class _Run:
    """Records without a time that follow each other.

    They were made after `since`, when the device had been heard and had none of them,
    and before `told_at`, when we learned of them.
    """

    device_id: UUID
    epoch: int
    first: int
    last: int
    since: datetime
    told_at: datetime

    def goes_on(self, row: Row) -> bool:
        """Whether another record without a time follows at once."""
        same = (self.device_id, self.epoch) == (row["device_id"], row["epoch"])
        return same and row["first"] <= self.last + 1

    def hole(self, before: datetime | None, behind: datetime | None) -> Hole:
        start = max(self.since, before or BEGINNING)
        return _until_known(self.device_id, start, behind, self.told_at)


def holes(session: Session, device_ids: Collection[UUID]) -> frozenset[Hole]:
    """Return the holes of these devices as they are known now.

    More records may narrow one, and a better reading close it.
    """
    rows = fetch(
        session,
        """SELECT e.device_id, e.kind, e.epoch, e.sequence AS first, e.occurred_at,
            COALESCE(CASE e.kind WHEN 'gap' THEN CAST(e.detail ->> 'to' AS bigint) END,
                e.sequence) AS last,
            e.kind = 'gap' AND e.detail ->> 'to' IS NOT NULL AS lost,
            CAST(e.detail ->> 'since' AS timestamptz) AS since, e.recorded_at
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
    undated = [row for row in rows if row["occurred_at"] is None]
    lost = _still_lost(session, [row for row in undated if row["lost"]])
    others = (row for row in undated if row["kind"] != "conflict" and not row["lost"])
    runs = _runs(sorted([*lost, *others], key=_place))
    spans = [*fetch(session, RESETS, ids=list(device_ids))]
    if any(row["kind"] == "conflict" for row in undated):
        spans += fetch(session, CLASHES, ids=list(device_ids))
    return frozenset(dated | _between(session, runs) | {_span(row) for row in spans})


def _until_known(
    device_id: UUID, start: datetime, behind: datetime | None, told_at: datetime
) -> Hole:
    """The hole up to the record behind it, or until we learned of it."""
    until = min(told_at, behind or told_at)
    return Hole(device_id, start, max(until, start) + INSTANT)


def _span(row: Row) -> Hole:
    return _until_known(
        row["device_id"], row["before"] or BEGINNING, row["behind"], row["told_at"]
    )


def _still_lost(session: Session, gaps: Sequence[Row]) -> list[Row]:
    """The parts of gaps of which no record is stored: another bridge may have one."""
    if not gaps:
        return []
    found = fetch(session, MISSING, _ranges(gaps))
    return [{**gaps[int(row["i"])], **row} for row in found]


def _ranges(rows: Sequence[Row]) -> list[dict[str, object]]:
    names = "device_id", "epoch", "first", "last"
    return [{"i": i, **{n: row[n] for n in names}} for i, row in enumerate(rows)]


def _place(row: Row) -> tuple[UUID, int, int]:
    return row["device_id"], row["epoch"], row["first"]


def _runs(rows: Iterable[Row]) -> list[_Run]:
    runs: list[_Run] = []
    for row in rows:
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
                    row["since"] or BEGINNING,
                    row["recorded_at"],
                )
            )
    return runs


def _between(session: Session, runs: Sequence[_Run]) -> set[Hole]:
    """The spans from the dated record before each run to the one behind it.

    Numbers go on when a device's clock is set and a new epoch begins, and two bridges
    may name the epoch of one record differently: so they are looked for in all epochs
    since numbers last began again.
    """
    if not runs:
        return set()
    found: set[Hole] = set()
    for row in fetch(session, NEIGHBOURS, _ranges([asdict(run) for run in runs])):
        run = runs[int(row["i"])]
        found.add(run.hole(row["before"], row["behind"]))
    return found


NUMBERING = """
WITH RECURSIVE wanted AS (
    SELECT r.*, COALESCE((SELECT max(e.epoch) FROM device_epoch e
        WHERE e.device_id = r.device_id AND e.epoch <= r.epoch
          AND e.reason IN ('reset', 'unknown')), 0) AS began,
        COALESCE((SELECT min(e.epoch) FROM device_epoch e
        WHERE e.device_id = r.device_id AND e.epoch > r.epoch
          AND e.reason IN ('reset', 'unknown')), 2147483647) AS ended
    FROM rows(i int, device_id uuid, epoch int, first bigint, last bigint)),
known AS (  -- the epochs that there are, each by one look into the index
    SELECT i, (SELECT min(d.epoch) FROM device_record d
        WHERE d.device_id = w.device_id AND d.epoch >= w.began) AS epoch
    FROM wanted w
    UNION ALL
    SELECT i, (SELECT min(d.epoch) FROM device_record d
        WHERE d.device_id = w.device_id AND d.epoch > k.epoch AND d.epoch < w.ended)
    FROM known k JOIN wanted w USING (i) WHERE k.epoch IS NOT NULL)
"""
MISSING = f"""{NUMBERING}
SELECT i, sequence + 1 AS first, next - 1 AS last FROM (
    SELECT i, sequence,
        lead(sequence, 1, behind) OVER (PARTITION BY i ORDER BY sequence) AS next
    FROM (SELECT w.i, w.first - 1 AS sequence, w.last + 1 AS behind FROM wanted w
        UNION
        SELECT w.i, d.sequence, w.last + 1
        FROM wanted w JOIN known k USING (i) JOIN device_record d
            ON d.device_id = w.device_id AND d.epoch = k.epoch
            AND d.sequence BETWEEN w.first AND w.last) stored) t
WHERE next > sequence + 1
"""  # noqa: S608 (all of it is ours)
NEIGHBOURS = f"""{NUMBERING}
SELECT w.i, behind.at AS behind, COALESCE(before.at, (
    SELECT CAST(d.item ->> 'occurred_at' AS timestamptz) FROM device_record d
    WHERE d.device_id = w.device_id AND d.epoch < w.began
      AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
    ORDER BY d.epoch DESC, d.sequence DESC LIMIT 1)) AS before
FROM wanted w
LEFT JOIN LATERAL (SELECT near.at FROM known k CROSS JOIN LATERAL (
        SELECT d.sequence, CAST(d.item ->> 'occurred_at' AS timestamptz) AS at
        FROM device_record d
        WHERE d.device_id = w.device_id AND d.epoch = k.epoch AND d.sequence < w.first
          AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
        ORDER BY d.sequence DESC LIMIT 1) near
    WHERE k.i = w.i ORDER BY near.sequence DESC LIMIT 1) before ON true
LEFT JOIN LATERAL (SELECT near.at FROM known k CROSS JOIN LATERAL (
        SELECT d.sequence, CAST(d.item ->> 'occurred_at' AS timestamptz) AS at
        FROM device_record d
        WHERE d.device_id = w.device_id AND d.epoch = k.epoch AND d.sequence > w.last
          AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
        ORDER BY d.sequence LIMIT 1) near
    WHERE k.i = w.i ORDER BY near.sequence LIMIT 1) behind ON true
"""  # noqa: S608 (all of it is ours)

# What a reset may have wiped: from the last old record to the first new one. Not from
# when the device was last heard, for an emptied box is heard too. A bridge that has not
# noticed it may name new records by the old epoch: they are numbered behind the last
# one that was known when the new epoch was opened.
RESETS = """
SELECT b.device_id, b.opened_at AS told_at, before.at AS before, behind.at AS behind
FROM device_epoch b
LEFT JOIN LATERAL (SELECT CAST(d.item ->> 'occurred_at' AS timestamptz) AS at
    FROM device_record d
    WHERE d.device_id = b.device_id AND d.epoch < b.epoch
      AND (b.after_epoch IS NULL
        OR (d.epoch, d.sequence) <= (b.after_epoch, b.after_sequence))
      AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
    ORDER BY d.epoch DESC, d.sequence DESC LIMIT 1) before ON true
LEFT JOIN LATERAL (SELECT CAST(d.item ->> 'occurred_at' AS timestamptz) AS at
    FROM device_record d
    WHERE d.device_id = b.device_id AND d.epoch >= b.epoch
      AND d.epoch < COALESCE((SELECT min(next.epoch) FROM device_epoch next
        WHERE next.device_id = b.device_id AND next.epoch > b.epoch
          AND next.reason IN ('reset', 'unknown')), 2147483647)
      AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
    ORDER BY d.epoch, d.sequence LIMIT 1) behind ON true
WHERE b.device_id = ANY(:ids) AND b.reason IN ('reset', 'unknown')
"""

# An undated record with a number that is another's: the numbers about it say nothing of
# when it was made, nor do records that came with it or later.
CLASHES = """
SELECT e.device_id, e.recorded_at AS told_at, CAST(NULL AS timestamptz) AS behind,
    COALESCE(CAST(e.detail ->> 'since' AS timestamptz), before.at) AS before
FROM device_event e
JOIN device_conflict c ON c.device_id = e.device_id AND c.epoch = e.epoch
    AND c.sequence = e.sequence
    AND encode(c.payload_hash, 'hex') = e.detail ->> 'payload_hash'
LEFT JOIN LATERAL (SELECT CAST(d.item ->> 'occurred_at' AS timestamptz) AS at
    FROM device_record d
    WHERE d.device_id = e.device_id AND d.received_at < c.received_at
      AND d.status <> 'quarantined' AND d.item ->> 'occurred_at' IS NOT NULL
    ORDER BY d.epoch DESC, d.sequence DESC LIMIT 1) before ON true
WHERE e.device_id = ANY(:ids) AND e.kind = 'conflict' AND e.occurred_at IS NULL
"""
