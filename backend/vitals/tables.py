"""Vitals as segments: one row for a run of samples of one code from one source."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Identity, Index, Integer
from sqlmodel import Field

from backend.database.columns import Row, big, bigs, doubles, instant, octets, text


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
    are uneven; the first stands at `start`. `values` are in `unit`. A row holds at most
    3,600 samples of one UTC month. The spans of the rows of one (patient, code, source)
    are disjoint. `live` only if every sample was. Read it through `read.py`.
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
    recorded_at: datetime = instant()

    __table_args__ = (
        Index("ix_vital_key_recorded", "recorded_at", postgresql_using="brin"),
    )


class VitalSeries(Row, table=True):
    """The one row a (patient, source, code) that says what span is covered.

    A segment that begins after `last_at` cannot overlap anything stored. Its lock is
    what serialises writers of the series. `fragments` counts the short rows that were
    stored since the series was last compacted, all of them at or after `open_from`.
    """

    patient_id: UUID = Field(primary_key=True)
    source_id: int = Field(primary_key=True)
    code: str = text(primary_key=True)
    first_at: datetime = instant()
    last_at: datetime = instant()
    samples: int = big(default=0)
    fragments: int = 0
    open_from: datetime = instant()

    __table_args__ = ({"postgresql_with": {"fillfactor": 80}},)


class VitalQuarantine(Row, table=True):
    """What was sent, authorised and cannot be used, as JSON text, and why.

    Text and not a document, for a NaN or a zero octet is what may be wrong with it.
    `digest` is the SHA-256 of reason and item, so that a retry is kept once.
    """

    clinic_id: UUID = Field(primary_key=True)
    digest: bytes = octets(primary_key=True)
    patient_id: UUID | None = Field(default=None, index=True)
    device_id: UUID | None = Field(default=None, index=True)
    bridge_id: UUID | None = None
    reason: str = text()
    item: str = text()
    recorded_at: datetime = instant(index=True)
