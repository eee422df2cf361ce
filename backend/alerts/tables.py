"""Alerts: what a clinician works on."""

from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, big, document, instant, text


class Alert(Row, table=True):
    """One open alert a (patient, rule); repeats update it.

    States: triggered, acknowledged, snoozed, escalated, closed. Severity: `low`,
    `medium`, `high`. `finding` says what was seen and which numbers decided. Instants
    are domain time.
    """

    patient_id: UUID = Field(primary_key=True)
    alert_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID
    rule: str = text()
    severity: str = text()
    state: str = text(default="triggered")
    title: str = text()
    finding: dict[str, object] = document()
    triggered_at: datetime = instant()
    updated_at: datetime = instant()
    repeats: int = 0
    snoozed_until: datetime | None = instant(default=None)
    acknowledged_by: UUID | None = None
    acknowledged_at: datetime | None = instant(default=None)
    closed_by: UUID | None = None
    closed_at: datetime | None = instant(default=None)
    outcome: str | None = text(default=None)
    note: str | None = text(default=None)

    __table_args__ = (
        Index(
            "ux_alert_open",
            "patient_id",
            "rule",
            unique=True,
            postgresql_where=sql("state <> 'closed'"),
        ),
        Index("ix_alert_clinic", "clinic_id", "triggered_at"),
    )


class AlertEvent(Row, table=True):
    """A step in the life of an alert: who did what, when, why."""

    patient_id: UUID = Field(primary_key=True)
    event_id: UUID = Field(default_factory=uuid4, primary_key=True)
    alert_id: UUID = Field(index=True)
    what: str = text()
    actor_id: UUID | None = None
    at: datetime = instant()
    recorded_at: datetime = instant()
    detail: dict[str, object] = document(default_factory=dict)


class ScreenDue(Row, table=True):
    """A patient with new data that the detectors have not yet looked at."""

    patient_id: UUID = Field(primary_key=True)
    since: datetime = instant(index=True)


class ScreenMark(Row, table=True):
    """How much of a patient's heart rate the costly detectors have seen.

    They look again when a new night ended, or when a day's worth of samples came.
    """

    patient_id: UUID = Field(primary_key=True)
    night: date
    samples: int = big()
