"""Merging short rows, so that many small arrivals do not stay a row each for ever."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from sqlalchemy import text
from sqlmodel import Session

from backend.database import transaction
from backend.vitals.pieces import SHORT, Piece, merged, piece_of
from backend.vitals.rows import Row, driver_cursor, write
from backend.vitals.segment import SeriesKey
from backend.vitals.store import series_arrays, take_out

FRAGMENTS = 60  # short rows of a series that make it worth a look
BATCH = 200  # series a transaction
KEYS_KEPT = timedelta(days=90)

CLAIM = """
SELECT patient_id, source_id, code, open_from FROM vital_series
WHERE fragments >= :fragments
ORDER BY patient_id, source_id, code LIMIT :batch FOR NO KEY UPDATE SKIP LOCKED
"""

OPEN_ROWS = """
SELECT g.patient_id, g.source_id, g.code, g.unit, g.recorded_at,
  (extract(epoch FROM g.start) * 1000)::bigint, g.step_ms, g.offsets_ms, g."values",
  g.live
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::timestamptz[]) AS u(p, s, c, o)
JOIN vital_segment g ON g.patient_id = u.p AND g.source_id = u.s AND g.code = u.c
  AND g.start >= u.o
WHERE g.start >= %s
ORDER BY g.patient_id, g.source_id, g.code, g.start
"""

DONE = """
UPDATE vital_series v SET fragments = 0, open_from = greatest(v.open_from, v.last_at)
FROM unnest(%s::uuid[], %s::int[], %s::text[]) AS u(p, s, c)
WHERE v.patient_id = u.p AND v.source_id = u.s AND v.code = u.c
"""

FORGET = "DELETE FROM vital_key WHERE recorded_at < :before"


def compact(now: datetime) -> int:  # noqa: ARG001 - a job; what is due is in the rows
    """Merge the short rows of the series that have many; return how many series.

    Waits for nobody: a series that is being written to is left for the next round.
    """
    with transaction() as session:
        claimed = session.connection().execute(
            text(CLAIM), {"fragments": FRAGMENTS, "batch": BATCH}
        )
        due = [((row[0].int, row[1], row[2]), row[3]) for row in claimed]
        if due:
            _merge(session, due)
    return len(due)


def forget_keys(now: datetime) -> int:
    """Delete the senders' ids of segments that were accepted long ago; return how many.

    A retry after that is still harmless: the samples are known by their instants.
    """
    with transaction() as session:
        before = now - KEYS_KEPT
        done: Any = session.connection().execute(text(FORGET), {"before": before})
        return int(done.rowcount)


def _merge(session: Session, due: Sequence[tuple[SeriesKey, datetime]]) -> None:
    taken: list[tuple[SeriesKey, int]] = []
    put: list[Row] = []
    for run in _runs(_open_rows(session, due)):
        first = run[0]
        recorded_at = max(row.recorded_at for row in run)
        pieces = merged([row.piece for row in run])
        taken += [(row.series, row.piece.start_ms) for row in run]
        put += [Row(first.series, first.unit, piece, recorded_at) for piece in pieces]
    if taken:
        take_out(session, taken)
        write(session, put)
    arrays = series_arrays([series for series, _ in due])
    session.connection().exec_driver_sql(DONE, arrays)


def _open_rows(
    session: Session, due: Sequence[tuple[SeriesKey, datetime]]
) -> list[Row]:
    opened = [open_from for _, open_from in due]
    with driver_cursor(session) as cursor:
        cursor.execute(
            OPEN_ROWS,
            (*series_arrays([series for series, _ in due]), opened, min(opened)),
        )
        return [_row(found) for found in cursor.fetchall()]


def _row(found: tuple[Any, ...]) -> Row:
    patient_id, source_id, code, unit, recorded_at, *stored = found
    return Row((patient_id.int, source_id, code), unit, piece_of(*stored), recorded_at)


def _runs(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield neighbours of one series that are short and alike, two or more."""
    for kind, neighbours in groupby(rows, key=_kind):
        run = list(neighbours)
        if kind[1] and len(run) > 1:
            yield run


def _kind(row: Row) -> tuple[SeriesKey, bool, bool]:
    return row.series, _short(row.piece), row.piece.live


def _short(piece: Piece) -> bool:
    return len(piece.values) < SHORT
