"""The one row a patient that lists read."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Index
from sqlmodel import Field

from backend.database.columns import Row, big, document, instant, text


class PatientState(Row, table=True):
    """How a patient stands now, kept current in the accepting transaction.

    Its row lock is also what serialises all that happens to one patient: whoever
    changes a patient's doses, stock or alerts locks it first, several in order of id.
    `need` sorts the clinician's list, most needing first; `needs` says why. `strip` is
    the last 14 dose-days, oldest first: [{"day": ..., "labels": [...]}]. `adherence`
    are the figures of the last 30, as `backend.state.adherence` returns them.
    """

    patient_id: UUID = Field(primary_key=True)
    clinic_id: UUID
    need: int = 0
    needs: list[dict[str, object]] = document(default_factory=list)
    strip: list[dict[str, object]] = document(default_factory=list)
    counts: dict[str, int] = document(default_factory=dict)
    adherence: dict[str, object] = document(default_factory=dict)
    last_dose_at: datetime | None = instant(default=None)
    heard_until: datetime | None = instant(default=None)
    next_due_at: datetime | None = instant(default=None)
    run_out_on: date | None = None
    open_reorders: int = 0
    open_alerts: int = 0
    worst_alert: str | None = text(default=None)
    resting_heart_rate: float | None = None
    vital_at: datetime | None = instant(default=None)
    vitals: dict[str, dict[str, object]] = document(default_factory=dict)
    changed_at: datetime = instant()
    version: int = big(default=0)

    __table_args__ = (
        Index("ix_patient_state_need", "clinic_id", "need", "patient_id"),
        {"postgresql_with": {"fillfactor": 70}},
    )
