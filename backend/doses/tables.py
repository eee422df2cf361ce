"""Dose events, how their matching changed, and what people corrected."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field

from backend.database.columns import Row, amount, big, document, instant, text


class DoseEvent(Row, table=True):
    """What a device recorded or a patient said, of one patient; never edited.

    `evidence`: `container_opened`, `dose_delivered` or `self_reported`. `said` is what
    the device or a person called it; `label` what matching made of it, a word of
    `analytics.matching.EventLabel`.
    """

    patient_id: UUID = Field(primary_key=True)
    dose_event_id: UUID = Field(default_factory=uuid4, primary_key=True)
    regimen_id: UUID | None = None
    device_id: UUID | None = None
    compartment: int | None = None
    epoch: int | None = None
    sequence: int | None = big(default=None)
    evidence: str = text()
    said: str | None = text(default=None)
    label: str = text(default="unmatched")
    occurred_at: datetime = instant()
    uncertainty_s: float = 0.0
    amount: Decimal | None = amount(default=None)
    unit: str | None = text(default=None)
    live: bool = False
    recorded_at: datetime = instant()
    voided_at: datetime | None = instant(default=None)

    __table_args__ = (
        UniqueConstraint("patient_id", "device_id", "epoch", "sequence"),
        Index("ix_dose_event_time", "patient_id", "regimen_id", "occurred_at"),
    )


class LabelChange(Row, table=True):
    """A scheduled dose's label changed; `because` holds the facts that decided."""

    patient_id: UUID = Field(primary_key=True)
    change_id: UUID = Field(default_factory=uuid4, primary_key=True)
    regimen_id: UUID
    occurrence: str = text()
    before: str = text()
    after: str = text()
    dose_event_id: UUID | None = None
    at: datetime = instant()
    recorded_at: datetime = instant()
    because: dict[str, object] = document()

    __table_args__ = (
        Index("ix_label_change_dose", "patient_id", "regimen_id", "occurrence"),
    )


class Void(Row, table=True):
    """A row declared wrong by somebody; the row itself stays as it was."""

    patient_id: UUID = Field(primary_key=True)
    void_id: UUID = Field(default_factory=uuid4, primary_key=True)
    kind: str = text()
    row_id: UUID
    reason: str = text()
    actor_id: UUID
    at: datetime = instant()


class EventOverride(Row, table=True):
    """What a clinician says a dose event was, over device and rule; never edited.

    The newest of an event holds; `label` None takes back what was said before.
    """

    patient_id: UUID = Field(primary_key=True)
    override_id: UUID = Field(default_factory=uuid4, primary_key=True)
    dose_event_id: UUID
    label: str | None = text(default=None)
    reason: str = text()
    actor_id: UUID
    at: datetime = instant()
    recorded_at: datetime = instant()

    __table_args__ = (
        Index("ix_event_override", "patient_id", "dose_event_id", "recorded_at"),
    )


class DoseCorrection(Row, table=True):
    """Openings of a dose-day added (pocket dose) or taken off (refill) by a person."""

    patient_id: UUID = Field(primary_key=True)
    correction_id: UUID = Field(default_factory=uuid4, primary_key=True)
    device_id: UUID
    dose_day: date
    count: int
    reason: str = text()
    actor_id: UUID | None = None
    source: str | None = text(default=None)
    recorded_at: datetime = instant()
    voided_at: datetime | None = instant(default=None)


class NonMonitoredSpan(Row, table=True):
    """Days, both included, on which a device's silence or use says nothing."""

    patient_id: UUID = Field(primary_key=True)
    span_id: UUID = Field(default_factory=uuid4, primary_key=True)
    device_id: UUID | None = None
    first_day: date
    last_day: date
    reason: str = text()
    source: str | None = text(default=None)
    recorded_at: datetime = instant()
    voided_at: datetime | None = instant(default=None)
