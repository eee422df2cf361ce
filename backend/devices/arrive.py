"""Device records: identity, conflicts, and what was kept raw.

Identity is (device_id, epoch, sequence). The same identity with another payload is a
conflict: both are kept. The same sequence and payload in a neighbouring epoch is the
same record, read by two bridges of which one knew of the new timeline first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch

Key = tuple[UUID, int, int]
Mark = tuple[Key, bytes]


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as it came: its identity, payload, and what is to be made of it."""

    device_id: UUID
    epoch: int
    sequence: int
    payload_hash: bytes
    item: dict[str, object]
    raw: bytes | None
    status: str
    reason: str | None = None

    @property
    def key(self) -> Key:
        return self.device_id, self.epoch, self.sequence

    @property
    def mark(self) -> Mark:
        """The identity with the payload: what tells a repeat from a conflict."""
        return self.key, self.payload_hash


def store(
    session: Session, arrivals: Sequence[Arrival], *, bridge_id: UUID, real: datetime
) -> tuple[set[Mark], set[Mark]]:
    """Keep what is new and return the marks of (new records, conflicts).

    The devices must be locked. Where one request holds an identity twice the first
    counts. Whatever is in neither set was known and changed nothing.
    """
    first = {arrival.key: arrival for arrival in reversed(arrivals)}
    known = _known(session, list(first.values()))
    new = [a for key, a in first.items() if key not in known]
    clashing = [
        a
        for a in arrivals
        if a.payload_hash != known.get(a.key, first[a.key].payload_hash)
    ]
    _insert(session, "device_record", new, bridge_id, real)
    _insert(session, "device_conflict", clashing, bridge_id, real)
    return {a.mark for a in new}, {a.mark for a in clashing}


def _known(session: Session, arrivals: Sequence[Arrival]) -> dict[Key, bytes]:
    """Return the stored payload hash of each arrival that is no new record."""
    rows = fetch(
        session,
        """SELECT r.device_id, r.epoch, r.sequence, d.payload_hash
        FROM rows(device_id uuid, epoch int, sequence bigint, payload_hash bytea)
        JOIN device_record d USING (device_id, sequence)
        WHERE d.epoch = r.epoch
           OR (d.epoch IN (r.epoch - 1, r.epoch + 1)
               AND d.payload_hash = r.payload_hash)
        ORDER BY d.epoch = r.epoch""",
        [_identity(a) for a in arrivals],
    )
    return {
        (row["device_id"], row["epoch"], row["sequence"]): bytes(row["payload_hash"])
        for row in rows
    }


def _insert(
    session: Session,
    table: str,
    arrivals: Sequence[Arrival],
    bridge_id: UUID,
    real: datetime,
) -> None:
    if not arrivals:
        return
    extra = ", status, reason" if table == "device_record" else ""
    execute(
        session,
        f"""INSERT INTO {table} (device_id, epoch, sequence, payload_hash, item, raw,
            bridge_id, received_at{extra})
        SELECT device_id, epoch, sequence, payload_hash, item, raw,
            :bridge, :real{extra}
        FROM rows(device_id uuid, epoch int, sequence bigint, payload_hash bytea,
                  item jsonb, raw bytea, status text, reason text)
        ON CONFLICT DO NOTHING""",  # noqa: S608 (both names are ours)
        [
            {
                **_identity(a),
                "item": a.item,
                "raw": a.raw,
                "status": a.status,
                "reason": a.reason,
            }
            for a in arrivals
        ],
        bridge=bridge_id,
        real=real,
    )


def _identity(arrival: Arrival) -> dict[str, object]:
    return {
        "device_id": arrival.device_id,
        "epoch": arrival.epoch,
        "sequence": arrival.sequence,
        "payload_hash": arrival.payload_hash,
    }
