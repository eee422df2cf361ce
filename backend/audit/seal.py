"""The chain: each row's hash covers its content and the hash before it.

Rows that concern no clinic form a chain of their own, under the nil id. A chain shows
that rows were changed, lost or put in; that a whole chain was written anew shows only
against a head noted elsewhere, which is why every new head is logged.
"""

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

import orjson
from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.audit.tables import AuditRow, AuditSeal
from backend.database import transaction
from backend.database.sets import execute

log = logging.getLogger(__name__)

NO_CLINIC = UUID(int=0)
BATCH = 1000


@dataclass(frozen=True, slots=True)
class Chain:
    """What a walk along a clinic's chain found.

    `n` rows are sealed. `broken` is the number of the first row that does not fit,
    None when all do.
    """

    n: int
    broken: int | None


def seal(real: datetime) -> int:
    """Chain the rows that are not yet; return how many. A job.

    One transaction a clinic and batch: two workers wait for each other at the seal
    and never number a row twice.
    """
    with transaction() as session:
        waiting = session.exec(
            select(col(AuditRow.clinic_id)).where(col(AuditRow.n).is_(None)).distinct()
        ).all()
    return sum(_seal_clinic(clinic_id, real) for clinic_id in waiting)


def sealed(session: Session, clinic_id: UUID | None) -> AuditSeal | None:
    """Return how far a clinic's rows are sealed; None when none is."""
    return session.get(AuditSeal, clinic_id or NO_CLINIC)


def verify(session: Session, clinic_id: UUID | None) -> Chain:
    """Walk a clinic's whole chain; in memory one batch at a time."""
    head = sealed(session, clinic_id)
    n, last = 0, b""
    for row in _sealed_rows(session, clinic_id):
        n += 1
        if row.n != n or row.hash != (last := digest(row, n, last)):
            return Chain(n, broken=n)
    if head is None:
        return Chain(n, broken=1 if n else None)
    if n < head.n:
        return Chain(n, broken=n + 1)
    return Chain(n, broken=None if (head.n, head.hash) == (n, last) else n)


def _sealed_rows(session: Session, clinic_id: UUID | None) -> Iterator[AuditRow]:
    after = 0
    while True:
        rows = session.exec(
            select(AuditRow)
            .where(_of(clinic_id), col(AuditRow.n) > after)
            .order_by(col(AuditRow.n))
            .limit(BATCH)
        ).all()
        for row in rows:
            session.expunge(row)  # or the whole chain would stay in memory
            yield row
        if len(rows) < BATCH:
            return
        after = rows[-1].n or 0


def digest(row: AuditRow, n: int, before: bytes) -> bytes:
    """Return the hash of a row as the n-th after one whose hash is `before`."""
    content = {
        "n": n,
        "audit_id": row.audit_id,
        "clinic_id": row.clinic_id,
        "recorded_at": row.recorded_at.astimezone(UTC),
        "actor_kind": row.actor_kind,
        "actor_id": row.actor_id,
        "action": row.action,
        "patients": row.patients,
        "detail": row.detail,
    }
    return sha256(before + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


def _seal_clinic(clinic_id: UUID | None, real: datetime) -> int:
    done = 0
    while count := _seal_batch(clinic_id, real):
        done += count
        if count < BATCH:
            break
    return done


def _seal_batch(clinic_id: UUID | None, real: datetime) -> int:
    with transaction() as session:
        head = _locked_head(session, clinic_id or NO_CLINIC, real)
        rows = session.exec(
            select(AuditRow)
            .where(_of(clinic_id), col(AuditRow.n).is_(None))
            .order_by(col(AuditRow.recorded_at), col(AuditRow.audit_id))
            .limit(BATCH)
        ).all()
        if not rows:
            return 0
        links = list(_links(rows, head))
        execute(session, CHAIN, links)
        head.n, head.hash, head.sealed_at = head.n + len(rows), _last(links), real
    log.info(
        "audit sealed",
        extra={"clinic": str(clinic_id), "n": head.n, "head": head.hash.hex()},
    )
    return len(rows)


CHAIN = """
UPDATE audit_row SET n = r.n, hash = r.hash
FROM rows(audit_id uuid, n bigint, hash bytea)
WHERE audit_row.audit_id = r.audit_id
"""


def _links(rows: Iterable[AuditRow], head: AuditSeal) -> Iterable[dict[str, object]]:
    before = head.hash
    for n, row in enumerate(rows, head.n + 1):
        before = digest(row, n, before)
        yield {"audit_id": row.audit_id, "n": n, "hash": before}


def _last(links: list[dict[str, object]]) -> bytes:
    head = links[-1]["hash"]
    assert isinstance(head, bytes)
    return head


def _locked_head(session: Session, clinic_id: UUID, real: datetime) -> AuditSeal:
    session.connection().execute(
        insert(AuditSeal)
        .values(clinic_id=clinic_id, n=0, hash=b"", sealed_at=real)
        .on_conflict_do_nothing()
    )
    return session.get_one(AuditSeal, clinic_id, with_for_update=True)


def _of(clinic_id: UUID | None) -> ColumnElement[bool]:
    """Rows of a clinic; the planner reads `IS NULL` by the index, unlike DISTINCT."""
    column = col(AuditRow.clinic_id)
    return column.is_(None) if clinic_id is None else column == clinic_id
