"""What was prescribed, in versions, and the doses it makes expected."""

from datetime import date, datetime
from decimal import Decimal
from uuid import UUID, uuid4

from sqlalchemy import Index
from sqlalchemy import text as sql
from sqlmodel import Field

from backend.database.columns import Row, amount, document, instant, text


class Regimen(Row, table=True):
    """A medicine somebody takes; what and when stands in its versions.

    `criticality`: `standard`, `high` or `critical`; sets reminder priority.
    """

    patient_id: UUID = Field(primary_key=True)
    regimen_id: UUID = Field(default_factory=uuid4, primary_key=True)
    clinic_id: UUID
    gtin: str | None = Field(default=None, foreign_key="product.gtin")
    drug: str = text()
    criticality: str = text(default="standard")
    recorded_at: datetime = instant()


class RegimenVersion(Row, table=True):
    """The prescription from `effective_from` on, until the next version or `until`.

    `timing` is the JSON of `backend.regimens.timing`. Windows are seconds before and
    after the due instant; empty means the default of `analytics.matching`. After a
    change of zone doses are `least_apart_s` apart at least; empty: see `travel`.
    """

    patient_id: UUID = Field(primary_key=True)
    regimen_id: UUID = Field(primary_key=True)
    version: int = Field(primary_key=True)
    timing: dict[str, object] = document()
    amount: Decimal | None = amount(default=None)
    unit: str | None = text(default=None)
    effective_from: datetime = instant()
    until: datetime | None = instant(default=None)
    window_before_s: int | None = None
    window_after_s: int | None = None
    remind_after_s: int | None = None
    least_apart_s: int | None = None
    prescribed_by: UUID
    reason: str = text(default="")
    recorded_at: datetime = instant()


class ScheduledDose(Row, table=True):
    """One expected dose with its window and what became of it.

    `occurrence` is the key made by `backend.regimens.expand`. `due_at` is empty for a
    dose that is due some time in its dose-day. Labels while nothing was recorded:
    `pending`, `late`, `missed`, `unknown` (no evidence either way); once it was:
    `early`, `on_time`, `taken_late`, or `taken` for an untimed dose. `check_at` is
    when the mere passing of time may next change the label.
    """

    patient_id: UUID = Field(primary_key=True)
    regimen_id: UUID = Field(primary_key=True)
    occurrence: str = text(primary_key=True)
    version: int
    dose_day: date
    due_at: datetime | None = instant(default=None)
    local_time: str | None = text(default=None)
    zone: str = text()
    tzdb: str = text()
    window_from: datetime = instant()
    window_until: datetime = instant()
    amount: Decimal | None = amount(default=None)
    unit: str | None = text(default=None)
    label: str = text(default="pending")
    dose_event_id: UUID | None = None
    labelled_at: datetime | None = instant(default=None)
    check_at: datetime | None = instant(default=None)

    __table_args__ = (
        Index("ix_scheduled_dose_day", "patient_id", "dose_day"),
        Index(
            "ix_scheduled_dose_check",
            "check_at",
            postgresql_where=sql("check_at IS NOT NULL"),
        ),
        Index(
            "ix_scheduled_dose_open",
            "patient_id",
            "window_until",
            postgresql_where=sql("label IN ('pending', 'late', 'unknown')"),
        ),
    )
