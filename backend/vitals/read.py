"""Series of (time, value) out of the stored segments. Reading code sees no segments."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, TypeAlias
from uuid import UUID

import numpy as np
from psycopg import Cursor
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Select,
    Uuid,
    any_,
    bindparam,
    cast,
    func,
    select,
)
from sqlmodel import Session, col

from analytics.records import MICROSECOND, Series
from backend.people.readers import Reader, may_see
from backend.vitals.pieces import Piece, piece_of
from backend.vitals.rows import driver_cursor
from backend.vitals.tables import VitalSegment, VitalSeries, VitalSource

ROWS_AT_ONCE = 48  # two days of seconds
Rows: TypeAlias = Select[UUID, int, int | None, list[int] | None, list[float], bool]
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
    statement = _segments(wanted, code, first, until, reader, now).order_by(
        col(VitalSegment.patient_id),
        col(VitalSegment.source_id),
        col(VitalSegment.start),
    )
    if source_id is not None:
        statement = statement.where(col(VitalSegment.source_id) == source_id)
    with driver_cursor(session) as cursor:
        _execute(session, cursor, statement)
        rows = cursor.fetchall()
    found = {
        patient_id: _laid([piece_of(*row[1:]) for row in of]).between(first, until)
        for patient_id, of in groupby(rows, key=itemgetter(0))
    }
    return {patient_id: found.get(patient_id, NOTHING) for patient_id in wanted}


def stretches(
    session: Session,
    patient_id: UUID,
    code: str,
    *,
    first: datetime,
    until: datetime,
    grain: timedelta,
) -> Iterator[Series]:
    """Yield the samples of first <= t < until in order of time, some days at once.

    For the system itself, and for more than fits in memory: no `grain` of time,
    counted from 1970, is divided between two series, so that what is computed of each
    grain may be put together. All sources are laid on top of each other.
    """
    width = grain // MICROSECOND
    statement = _segments([patient_id], code, first, until, None, until).order_by(
        col(VitalSegment.start), col(VitalSegment.source_id)
    )
    rest = NOTHING
    with driver_cursor(session, "stretches") as cursor:
        _execute(session, cursor, statement)
        while rows := cursor.fetchmany(ROWS_AT_ONCE):
            pieces = [piece_of(*row[1:]) for row in rows]
            laid = _laid(pieces, on=rest)
            # Whatever comes begins no earlier than the last row did.
            settled = pieces[-1].start_ms * 1000 // width * width
            edge = int(np.searchsorted(laid.times, settled))
            yield _part(laid, slice(edge)).between(first, until)
            rest = _part(laid, slice(edge, None))
    yield rest.between(first, until)


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


def _segments(
    patient_ids: Sequence[UUID],
    code: str,
    first: datetime,
    until: datetime,
    reader: Reader | None,
    now: datetime,
) -> Rows:
    """Return the query of rows that may hold such samples; none leaves its month."""
    month = first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    start = col(VitalSegment.start)
    wanted = cast(bindparam("patients", list(patient_ids)), ARRAY(Uuid()))
    statement = select(
        col(VitalSegment.patient_id),
        cast(func.extract("epoch", start) * 1000, BigInteger),
        col(VitalSegment.step_ms),
        col(VitalSegment.offsets_ms),
        col(VitalSegment.values),
        col(VitalSegment.live),
    ).where(
        col(VitalSegment.patient_id) == any_(wanted),
        col(VitalSegment.code) == code,
        start >= month,
        start < until,
    )
    if reader is not None:
        seen = may_see(reader, col(VitalSegment.patient_id), now=now)
        statement = statement.where(seen)
    return statement


def _execute(
    session: Session, cursor: Cursor[tuple[Any, ...]], statement: Rows
) -> None:
    compiled = statement.compile(dialect=session.connection().dialect)
    cursor.execute(compiled.string.encode(), compiled.params)


def _laid(pieces: Sequence[Piece], *, on: Series = NOTHING) -> Series:
    """Return the samples of these rows, and those of `on`, in order of time."""
    times = np.concatenate([on.times, *(piece.times() * 1000 for piece in pieces)])
    values = np.concatenate([on.values, *(np.asarray(p.values) for p in pieces)])
    if (times[1:] < times[:-1]).any():  # more than one source
        order = np.argsort(times, kind="stable")
        times, values = times[order], values[order]
    return Series(times, values)


def _part(series: Series, where: slice) -> Series:
    return Series(series.times[where], series.values[where])
