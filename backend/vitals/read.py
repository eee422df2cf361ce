"""Series of (time, value) out of the stored segments. Reading code sees no segments."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any
from uuid import UUID

import numpy as np
from sqlalchemy import ARRAY, BigInteger, Uuid, any_, bindparam, cast, func, select
from sqlmodel import Session, col

from analytics.records import Series
from backend.people.readers import Reader, may_see
from backend.vitals.pieces import Piece, piece_of
from backend.vitals.rows import driver_cursor
from backend.vitals.tables import VitalSegment, VitalSeries, VitalSource

NOTHING = Series(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float64))


@dataclass(frozen=True, slots=True)
class Source:
    """One source of one vital of a patient, and the span that it covers."""

    source_id: int
    name: str
    device_id: UUID | None
    code: str
    first_at: datetime
    last_at: datetime
    samples: int


def read(
    session: Session,
    patient_ids: Iterable[UUID],
    code: str,
    *,
    first: datetime,
    until: datetime,
    reader: Reader | None,
    now: datetime,
    source_id: int | None = None,
) -> dict[UUID, Series]:
    """Return the samples of first <= t < until, for every patient that was asked for.

    All sources are laid on top of each other unless one is named: two sources may then
    have a value at one instant, and the lower source id comes first. `reader` None is
    the system itself; otherwise who may not be seen has an empty series.
    """
    wanted = list(patient_ids)
    rows = _rows(session, wanted, code, first, until, reader, now, source_id)
    found = {
        patient_id: _between([piece_of(*row[1:]) for row in of], first, until)
        for patient_id, of in groupby(rows, key=itemgetter(0))
    }
    return {patient_id: found.get(patient_id, NOTHING) for patient_id in wanted}


def sources(
    session: Session, patient_id: UUID, *, reader: Reader | None, now: datetime
) -> list[Source]:
    """Return what is known of a patient, a line a source and code, latest first."""
    statement = (
        select(
            col(VitalSeries.source_id),
            col(VitalSource.name),
            col(VitalSource.device_id),
            col(VitalSeries.code),
            col(VitalSeries.first_at),
            col(VitalSeries.last_at),
            col(VitalSeries.samples),
        )
        .join(VitalSource, col(VitalSource.source_id) == col(VitalSeries.source_id))
        .where(col(VitalSeries.patient_id) == patient_id)
        .order_by(col(VitalSeries.last_at).desc(), col(VitalSeries.code))
    )
    if reader is not None:
        seen = may_see(reader, col(VitalSeries.patient_id), now=now)
        statement = statement.where(seen)
    return [Source(*row) for row in session.connection().execute(statement)]


def _rows(
    session: Session,
    patient_ids: Sequence[UUID],
    code: str,
    first: datetime,
    until: datetime,
    reader: Reader | None,
    now: datetime,
    source_id: int | None,
) -> Sequence[tuple[Any, ...]]:
    """Return the rows that may hold such samples; a row never leaves its month."""
    month = first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = col(VitalSegment.start)
    wanted = cast(bindparam("patients", list(patient_ids)), ARRAY(Uuid()))
    statement = (
        select(
            col(VitalSegment.patient_id),
            cast(func.extract("epoch", start) * 1000, BigInteger),
            col(VitalSegment.step_ms),
            col(VitalSegment.offsets_ms),
            col(VitalSegment.values),
            col(VitalSegment.live),
        )
        .where(
            col(VitalSegment.patient_id) == any_(wanted),
            col(VitalSegment.code) == code,
            start >= month,
            start < until,
        )
        .order_by(col(VitalSegment.patient_id), col(VitalSegment.source_id), start)
    )
    if source_id is not None:
        statement = statement.where(col(VitalSegment.source_id) == source_id)
    if reader is not None:
        seen = may_see(reader, col(VitalSegment.patient_id), now=now)
        statement = statement.where(seen)
    compiled = statement.compile(dialect=session.connection().dialect)
    with driver_cursor(session) as cursor:
        parameters: Mapping[str, object] = compiled.params
        cursor.execute(compiled.string.encode(), parameters)
        return cursor.fetchall()


def _between(pieces: Sequence[Piece], first: datetime, until: datetime) -> Series:
    times = np.concatenate([piece.times() for piece in pieces]) * 1000
    values = np.concatenate([np.asarray(piece.values) for piece in pieces])
    if (times[1:] < times[:-1]).any():  # more than one source
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    return Series(times, values).between(first, until)
