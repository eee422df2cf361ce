"""Vitals as segments: one row for a run of samples of one code from one source."""

from datetime import date, datetime
from uuid import UUID

from sqlalchemy import Identity, Index, Integer
from sqlmodel import Field

from backend.database.columns import Row, big, bigs, doubles, instant, text


class VitalSource(Row, table=True):
    """Where samples come from: a device, or a named export of a vendor or a study."""

    source_id: int | None = Field(
        default=None,
        primary_key=True,
        sa_type=Integer,
        sa_column_args=[Identity(always=True)],
    )
    clinic_id: UUID
    name: str = text()
    device_id: UUID | None = None

    __table_args__ = (Index("ux_vital_source", "clinic_id", "name", unique=True),)


class VitalSegment(Row, table=True):
    """A run of samples; partitioned by month of `start`.

    Sample i stands at `start + i * step_ms`, or at `start + offsets_ms[i]` where steps
    are uneven. `values` are in `unit`. No two segments of one (patient, code, source)
    hold a sample at the same instant.
    """

    patient_id: UUID = Field(primary_key=True)
    code: str = text(primary_key=True)
    source_id: int = Field(primary_key=True)
    start: datetime = instant(primary_key=True)
    recorded_at: datetime = instant()
    unit: str = text()
    step_ms: int | None = None
    offsets_ms: list[int] | None = bigs(default=None)
    values: list[float] = doubles()
    live: bool = False

    __table_args__ = ({"postgresql_partition_by": "RANGE (start)"},)


class VitalKey(Row, table=True):
    """The sender's id of a segment that was accepted, and the start it was given."""

    patient_id: UUID = Field(primary_key=True)
    source_id: int = Field(primary_key=True)
    key: str = text(primary_key=True)
    start: datetime = instant()


class VitalSeries(Row, table=True):
    """The one row a (patient, source, code) that says what span is covered.

    A segment that begins after `last_at` cannot overlap anything stored.
    """

    patient_id: UUID = Field(primary_key=True)
    source_id: int = Field(primary_key=True)
    code: str = text(primary_key=True)
    first_at: datetime = instant()
    last_at: datetime = instant()
    samples: int = big(default=0)


class VitalDay(Row, table=True):
    """A day of one vital of one patient in numbers that pages and detectors read."""

    patient_id: UUID = Field(primary_key=True)
    code: str = text(primary_key=True)
    day: date = Field(primary_key=True)
    unit: str = text()
    samples: int
    minutes: int
    low: float
    mean: float
    high: float
    resting: float | None = None
    recorded_at: datetime = instant()
