"""The queue of messages: an ordinary local table, claimed with SKIP LOCKED."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import CheckConstraint, Identity, Index, UniqueConstraint
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, big, document, instant, octets, small, text


class OutboxMessage(Row, table=True):
    """One message to one recipient by one channel.

    States: pending, leased, sent, delivered, failed, unknown, expired, cancelled.
    `dedup_key` is unique within a patient: (regimen, occurrence, rung) for a reminder.
    `priority` is 1 (first) to 9. `due_at` and `valid_until` are domain time.
    `lease_until` is real time, and so are `started_at` and `ended_at` of the last call
    to the provider that gave an outcome.
    `body` is written when the message is worded, that is when it is sent.
    """

    message_id: UUID = Field(default_factory=uuid4, primary_key=True)
    patient_id: UUID
    clinic_id: UUID
    dedup_key: str = text()
    kind: str = text()
    recipient_kind: str = text(default="patient")
    recipient_id: UUID
    channel: str = text()
    address: str = text()
    language: str = text(default="en")
    priority: int = small(default=5)
    params: dict[str, object] = document(default_factory=dict)
    why: dict[str, object] = document(default_factory=dict)
    body: str | None = text(default=None)
    due_at: datetime = instant()
    valid_until: datetime = instant()
    state: str = text(default="pending")
    attempt: int = small(default=0)
    lease_until: datetime | None = instant(default=None)
    started_at: datetime | None = instant(default=None)
    ended_at: datetime | None = instant(default=None)
    provider_id: str | None = text(default=None)
    code: str | None = text(default=None)
    reference: str = text()
    created_at: datetime = instant()
    settled_at: datetime | None = instant(default=None)

    __table_args__ = (
        UniqueConstraint("patient_id", "dedup_key"),
        CheckConstraint("priority BETWEEN 1 AND 9", name="priority"),
        Index(
            "ix_message_due",
            "channel",
            "priority",
            "due_at",
            "message_id",
            postgresql_where=sql("state = 'pending'"),
        ),
        Index(
            "ix_message_open",
            "lease_until",
            postgresql_where=sql("state IN ('leased', 'unknown')"),
        ),
        Index("ix_message_clinic", "clinic_id", "due_at"),
        Index(
            "ix_message_failed",
            "settled_at",
            postgresql_where=sql("state = 'failed' AND NOT why ? 'failed_over'"),
        ),
        {"postgresql_with": {"fillfactor": 70}},
    )


class MessageAttempt(Row, table=True):
    """An attempt that did not end with a plain yes; that one stands in its message.

    Real time. `outcome`: `failed`, `retry` (not accepted), `unknown`, `released` (given
    back unsent), or `lost` when the worker's lease ended without a word.
    """

    message_id: UUID = Field(primary_key=True)
    attempt: int = small(primary_key=True)
    patient_id: UUID
    started_at: datetime = instant()
    ended_at: datetime | None = instant(default=None)
    outcome: str | None = text(default=None)
    code: str | None = text(default=None)
    provider_id: str | None = text(default=None)

    __table_args__ = (
        Index(
            "ix_message_attempt_doubt",
            "started_at",
            postgresql_where=sql("outcome IN ('unknown', 'lost')"),
        ),
    )


class Receipt(Row, table=True):
    """What the provider said later about a message it had accepted."""

    provider_id: str = text(primary_key=True)
    status: str = text(primary_key=True)
    message_id: UUID | None = None
    code: str | None = text(default=None)
    received_at: datetime = instant()


class SenderPace(Row, table=True):
    """Until when a channel's rate is spent; real time."""

    sender: str = text(primary_key=True)
    spent_until: datetime = instant()


class RecentSend(Row, table=True):
    """What one batch sent by text or call in the last hour; `at` is domain time.

    `owner` is the memory (`recent.Recent`) that knew before it was written.
    `recipients`: what stands for where each went (`recent.recipient`), eight octets.
    """

    batch_id: int | None = big(
        default=None, primary_key=True, sa_column_args=[Identity(always=True)]
    )
    owner: UUID
    at: datetime = instant()
    recipients: bytes = octets()


class JobBeat(Row, table=True):
    """When a job of the workers last ran, and how that went; real time.

    `error` names the exception of the last run that ended with one. `every_s`: a job
    that begins so often while a worker lives; empty for one that only runs when due.
    """

    name: str = text(primary_key=True)
    began_at: datetime = instant()
    ended_at: datetime | None = instant(default=None)
    done: int = 0
    error: str | None = text(default=None)
    every_s: float | None = None


class OperatorNotice(Row, table=True):
    """What operators were told of a topic, real time: that it is wrong, or over.

    `claimed_at` is when a process set out to tell it, `told_at` when it was heard.
    """

    topic: str = text(primary_key=True)
    wrong: bool
    since: datetime = instant()
    claimed_at: datetime = instant()
    told_at: datetime | None = instant(default=None)
