"""Who saw or changed what, and what the system decided by itself."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, big, document, instant, octets, text, uuids


class AuditRow(Row, table=True):
    """One access or change. Ids only: no personal value is ever in `detail`.

    `n` and `hash` are empty until the sealing job chains the row to its clinic's last.
    `recorded_at` is real time.
    """

    audit_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID | None = None
    recorded_at: datetime = instant()
    actor_kind: str = text()
    actor_id: UUID | None = None
    action: str = text()
    patients: list[UUID] = uuids(default_factory=list)
    detail: dict[str, object] = document(default_factory=dict)
    n: int | None = big(default=None)
    hash: bytes | None = octets(default=None)

    __table_args__ = (
        Index("ix_audit_unsealed", "recorded_at", postgresql_where=sql("n IS NULL")),
        Index("ix_audit_sealed", "clinic_id", "n", unique=True),
        Index("ix_audit_patients", "patients", postgresql_using="gin"),
    )


class AuditSeal(Row, table=True):
    """How far a clinic's chain is sealed: up to row `n`, whose hash is `hash`."""

    clinic_id: UUID = Field(primary_key=True)
    n: int = big(default=0)
    hash: bytes = octets(default=b"")
    sealed_at: datetime = instant()


class Decision(Row, table=True):
    """An automatic decision: which rule, in which version, from which inputs.

    `at` is domain time. `undone_at` is set when a person takes it back.
    """

    patient_id: UUID = Field(primary_key=True)
    decision_id: UUID = Field(default_factory=uuid4, primary_key=True)
    at: datetime = instant()
    recorded_at: datetime = instant()
    rule: str = text()
    version: int
    inputs: dict[str, object] = document()
    outcome: dict[str, object] = document()
    undone_at: datetime | None = instant(default=None)
    undone_by: UUID | None = None
    undo_reason: str | None = text(default=None)
