"""Device records: identity, conflicts, and what was kept raw.

Identity is (device_id, epoch, sequence). The same identity with another payload is a
conflict: both are kept. The same sequence and payload in a neighbouring epoch is the
same record, read by two bridges of which one knew of the new timeline first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch

Key = tuple[UUID, int, int]
Mark = tuple[Key, bytes]
# What is known of a record gives way to what is worth more; nothing to what was erased.
WORTH = {"quarantined": 0, "unassigned": 1, "used": 2, "erased": 3}


@dataclass(frozen=True, slots=True)
class Arrival:
    """A record as it came: its identity, payload, and what is to be made of it.

    `occurred_at` is empty where the time cannot be believed.
    """

    device_id: UUID
    epoch: int
    sequence: int
    payload_hash: bytes
    item: dict[str, object]
    raw: bytes | None
    status: str
    reason: str | None = None
    detail: str | None = None
    occurred_at: datetime | None = None

    @property
    def key(self) -> Key:
        return self.device_id, self.epoch, self.sequence

    @property
    def mark(self) -> Mark:
        """The identity with the payload: what tells a repeat from a conflict."""
        return self.key, self.payload_hash

    def twins(self) -> tuple[Key, Key]:
        """The identities under which another bridge may have read this record."""
        return (
            (self.device_id, self.epoch - 1, self.sequence),
            (self.device_id, self.epoch + 1, self.sequence),
        )


@dataclass(frozen=True, slots=True)
class Known:
    """A record that is stored, perhaps in a neighbouring epoch."""

    key: Key
    payload_hash: bytes
    status: str


def store(
    session: Session, arrivals: Sequence[Arrival], *, bridge_id: UUID, real: datetime
) -> tuple[set[Mark], set[Mark]]:
    """Keep what is new and return the marks of (new records, conflicts).

    The devices must be locked. A record that could not be used before and can be now,
    because another bridge knew the device's clock, counts as new. Whatever is in
    neither set was known and changed nothing.
    """
    known = _known(session, arrivals)
    new: dict[Key, Arrival] = {}
    better: dict[Key, Arrival] = {}
    clashing: list[Arrival] = []
    # The usable first: in which order a batch holds them must not matter.
    for one in sorted(arrivals, key=lambda one: -WORTH[one.status]):
        old = known.get(one.key) or _twin(one, new)
        if old is None:
            new[one.key] = one
            known[one.key] = Known(one.key, one.payload_hash, one.status)
        elif old.payload_hash != one.payload_hash:
            clashing.append(one)
        elif WORTH[one.status] > WORTH[old.status]:
            better.setdefault(old.key, one)
    _insert(session, "device_record", list(new.values()), bridge_id, real)
    _improve(session, better, bridge_id)
    _insert(session, "device_conflict", clashing, bridge_id, real)
    fresh = [*new.values(), *better.values()]
    return {one.mark for one in fresh}, {one.mark for one in clashing}


def _twin(one: Arrival, new: Mapping[Key, Arrival]) -> Known | None:
    """The same record earlier in this batch, under a neighbouring epoch."""
    for key in one.twins():
        twin = new.get(key)
        if twin is not None and twin.payload_hash == one.payload_hash:
            return Known(key, twin.payload_hash, twin.status)
    return None


def _known(session: Session, arrivals: Sequence[Arrival]) -> dict[Key, Known]:
    """Return what is stored of each arrival that is no new record."""
    rows = fetch(
        session,
        """SELECT r.device_id, r.epoch, r.sequence, d.epoch AS stored_epoch,
            d.payload_hash, d.status
        FROM rows(device_id uuid, epoch int, sequence bigint, payload_hash bytea)
        JOIN device_record d USING (device_id, sequence)
        WHERE d.epoch = r.epoch
           OR (d.epoch IN (r.epoch - 1, r.epoch + 1)
               AND d.payload_hash = r.payload_hash)
        ORDER BY d.epoch = r.epoch""",
        [_identity(a) for a in arrivals],
    )
    return {
        (row["device_id"], row["epoch"], row["sequence"]): Known(
            (row["device_id"], row["stored_epoch"], row["sequence"]),
            bytes(row["payload_hash"]),
            row["status"],
        )
        for row in rows
    }


def _improve(session: Session, better: Mapping[Key, Arrival], bridge_id: UUID) -> None:
    if not better:
        return
    execute(
        session,
        """UPDATE device_record d SET status = r.status, reason = r.reason,
            item = r.item, raw = COALESCE(r.raw, d.raw), bridge_id = :bridge
        FROM rows(device_id uuid, epoch int, sequence bigint, status text, reason text,
                  item jsonb, raw bytea)
        WHERE d.device_id = r.device_id AND d.epoch = r.epoch
          AND d.sequence = r.sequence""",
        [
            {
                "device_id": device_id,
                "epoch": epoch,
                "sequence": sequence,
                "status": one.status,
                "reason": one.reason,
                "item": one.item,
                "raw": one.raw,
            }
            for (device_id, epoch, sequence), one in better.items()
        ],
        bridge=bridge_id,
    )


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
