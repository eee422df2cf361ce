"""What came in, as it came; every answer of a person leaves a row."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, instant, text


class InboundMessage(Row, table=True):
    """One text, key press or one-click request, about one patient.

    `inbound_id` follows from the provider's id and the patient, so that what comes
    twice is stored once; without a patient the sender is unknown, and a person finds
    out who it is. `kind` is that of `notifications.replies`, `answer` what was said
    back, `message_id` the message that it answers. `received_at` is real time.
    """

    inbound_id: UUID = Field(primary_key=True)
    patient_id: UUID | None = None
    provider_id: str = text()
    channel: str = text()
    address: str = text()
    body: str = text()
    kind: str = text(default="unclear")
    message_id: UUID | None = None
    answer: str = text(default="")
    received_at: datetime = instant()
    handled_at: datetime | None = instant(default=None)

    __table_args__ = (
        Index("ix_inbound_patient", "patient_id", "received_at"),
        Index("ix_inbound_address", "address", "received_at"),
        Index(
            "ix_inbound_stranger",
            "received_at",
            postgresql_where=sql("patient_id IS NULL AND handled_at IS NULL"),
        ),
    )
