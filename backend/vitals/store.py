"""Storing segments: each sample once, the first at an instant, safe to repeat.

Writers hold the patients, so that they take turns. Whatever else writes to a series,
such as compaction, locks its row of vital_series and never waits for one. A segment
that begins after all that is stored, the common case, costs no look at stored rows.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

from sqlmodel import Session

from analytics.records import EPOCH
from backend.database import ensure_partitions, run
from backend.vitals.pieces import (
    DAY_MS,
    SHORT,
    Piece,
    cut,
    disjoint,
    month_of_day,
    piece_of,
    settle,
)
from backend.vitals.rows import (
    Row,
    driver_cursor,
    number_array,
    patient_array,
    text_array,
    write,
)
from backend.vitals.segment import MILLISECOND, Outcome, Segment, SeriesKey

Arrival = tuple[Segment, Outcome]

KEEP_KEYS = """
INSERT INTO vital_key (patient_id, source_id, key, start, recorded_at)
SELECT p, s, k, to_timestamp(t / 1000.0), %s
FROM unnest(%s::uuid[], %s::int[], %s::text[], %s::bigint[]) AS u(p, s, k, t)
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING RETURNING patient_id, source_id, key
"""

SERIES_ARRAYS = """unnest(%s::uuid[], %s::int[], %s::text[], %s::bigint[],
  %s::bigint[], %s::int[], %s::int[]) AS u(p, s, c, f, l, n, m)"""

EXTEND = f"""
UPDATE vital_series v SET last_at = to_timestamp(u.l / 1000.0),
  samples = v.samples + u.n, fragments = v.fragments + u.m
FROM {SERIES_ARRAYS}
WHERE v.patient_id = u.p AND v.source_id = u.s AND v.code = u.c
  AND v.last_at < to_timestamp(u.f / 1000.0)
RETURNING v.patient_id, v.source_id, v.code
"""  # noqa: S608

# A series that is there is locked all the same, but neither changed nor returned: its
# last sample is not before our first, so it has to be settled sample by sample.
BEGIN = f"""
INSERT INTO vital_series AS v
  (patient_id, source_id, code, first_at, last_at, samples, fragments, open_from)
SELECT p, s, c, to_timestamp(f / 1000.0), to_timestamp(l / 1000.0), n, m,
  to_timestamp(f / 1000.0)
FROM {SERIES_ARRAYS} ORDER BY 1, 2, 3
ON CONFLICT (patient_id, source_id, code) DO UPDATE SET samples = v.samples WHERE false
RETURNING patient_id, source_id, code
"""  # noqa: S608

# Rows never cross a month and are disjoint: of those that begin before `low` only the
# last one of the same month can reach it.
REACHED = """
SELECT DISTINCT ON (u.series, g.start) u.series,
  (extract(epoch FROM g.start) * 1000)::bigint, g.step_ms, g.offsets_ms, g."values",
  g.live
FROM unnest(%(series)s::int[], %(patients)s::uuid[], %(sources)s::int[],
  %(codes)s::text[], %(lows)s::bigint[], %(highs)s::bigint[])
  AS u(series, p, s, c, low, high),
LATERAL (
  (SELECT * FROM vital_segment g
   WHERE g.patient_id = u.p AND g.code = u.c AND g.source_id = u.s
     AND g.start <= to_timestamp(u.low / 1000.0)
     AND g.start >= date_trunc('month', to_timestamp(u.low / 1000.0), 'UTC')
     AND g.start >= %(month)s AND g.start <= %(last)s
   ORDER BY g.start DESC LIMIT 1)
  UNION ALL
  (SELECT * FROM vital_segment g
   WHERE g.patient_id = u.p AND g.code = u.c AND g.source_id = u.s
     AND g.start > to_timestamp(u.low / 1000.0)
     AND g.start <= to_timestamp(u.high / 1000.0)
     AND g.start >= %(month)s AND g.start <= %(last)s)
) g
ORDER BY u.series, g.start
"""

TAKE_OUT = """
DELETE FROM vital_segment g
USING unnest(%s::uuid[], %s::int[], %s::text[], %s::bigint[]) AS u(p, s, c, t)
WHERE g.patient_id = u.p AND g.source_id = u.s AND g.code = u.c
  AND g.start = to_timestamp(u.t / 1000.0) AND g.start >= %s AND g.start <= %s
"""

WIDEN = f"""
UPDATE vital_series v SET
  first_at = least(v.first_at, to_timestamp(u.f / 1000.0)),
  last_at = greatest(v.last_at, to_timestamp(u.l / 1000.0)),
  open_from = least(v.open_from, to_timestamp(u.f / 1000.0)),
  samples = v.samples + u.n, fragments = v.fragments + u.m
FROM {SERIES_ARRAYS}
WHERE v.patient_id = u.p AND v.source_id = u.s AND v.code = u.c
"""  # noqa: S608


def store(
    session: Session, segments: Sequence[Segment], *, recorded_at: datetime
) -> list[Outcome]:
    """Store what is new and return what became of each segment, in order.

    A segment whose key was accepted before counts as known, whatever it holds now.
    Where segments overlap, in one call or over many, the first stored sample at an
    instant stays. Call it with the patients held and before anything else on vitals in
    the transaction. Five statements for any number of segments that overlap nothing.
    """
    arrivals = [(segment, Outcome()) for segment in segments]
    _make_partitions(session, segments)
    unseen = _without_known_keys(session, arrivals, recorded_at)
    by_series = _by_series(unseen)
    plain = {series: _pieces(of) for series, of in by_series.items()}
    refused = _extend(session, plain)
    settled = _settle(session, {series: by_series[series] for series in refused})
    rows = [
        Row(series, by_series[series][0][0].unit, piece, recorded_at)
        for series, pieces in {**plain, **settled}.items()
        for piece in pieces
    ]
    write(session, rows)
    return [outcome for _, outcome in arrivals]


def _make_partitions(session: Session, segments: Sequence[Segment]) -> None:
    """Make the months that are needed, but not those between far-apart samples."""
    days = {at // DAY_MS for one in segments for at in (one.start_ms, one.last_ms)}
    for month in {month_of_day(day) for day in days}:
        at = datetime(1970 + month // 12, month % 12 + 1, 1, tzinfo=UTC)
        ensure_partitions(session, at, at)


def _without_known_keys(
    session: Session, arrivals: list[Arrival], recorded_at: datetime
) -> list[Arrival]:
    """Return the arrivals whose key was not accepted before, and remember theirs."""
    keyed: dict[tuple[int, int, str], Segment] = {}
    for one, _ in arrivals:
        if one.key is not None:  # the first of equals stays
            keyed.setdefault((one.patient_id.int, one.source_id, one.key), one)
    if not keyed:
        return arrivals
    result = run(
        session,
        KEEP_KEYS,
        (
            recorded_at,
            patient_array(patient for patient, _, _ in keyed),
            number_array(source_id for _, source_id, _ in keyed),
            text_array(key for _, _, key in keyed),
            number_array(one.start_ms for one in keyed.values()),
        ),
    )
    if result.rowcount == len(arrivals):
        return arrivals
    new = {id(keyed[row[0].int, row[1], row[2]]) for row in result}
    unseen: list[Arrival] = []
    for segment, outcome in arrivals:
        if segment.key is None or id(segment) in new:
            unseen.append((segment, outcome))
        else:
            outcome.known = len(segment.values)
    return unseen


def _by_series(arrivals: Iterable[Arrival]) -> dict[SeriesKey, list[Arrival]]:
    grouped: dict[SeriesKey, list[Arrival]] = {}
    for arrival in arrivals:
        grouped.setdefault(arrival[0].series, []).append(arrival)
    return dict(sorted(grouped.items(), key=_order))


def _order(item: tuple[SeriesKey, object]) -> SeriesKey:
    return item[0]


def _pieces(arrivals: list[Arrival]) -> list[Piece]:
    """Return the rows of one series in order of time, as if nothing were stored."""
    if len(arrivals) > 1:
        in_order = sorted(arrivals, key=lambda arrival: arrival[0].start_ms)
        if not disjoint([segment for segment, _ in in_order]):
            return settle(arrivals, []).pieces
        arrivals = in_order
    for segment, outcome in arrivals:
        outcome.stored = len(segment.values)
        outcome.latest = segment.last_ms, float(segment.values[-1])
    return [piece for segment, _ in arrivals for piece in cut(segment)]


def _extend(session: Session, plain: dict[SeriesKey, list[Piece]]) -> list[SeriesKey]:
    """Extend the series that end before, begin those that are new; return the others.

    All of them are locked from here on.
    """
    for statement in (EXTEND, BEGIN):
        if not plain:
            break
        result = run(
            session,
            statement,
            _growth(
                (series, pieces, _count(pieces)) for series, pieces in plain.items()
            ),
        )
        if result.rowcount == len(plain):
            return []
        done = {(row[0].int, row[1], row[2]) for row in result}
        plain = {key: pieces for key, pieces in plain.items() if key not in done}
    return list(plain)


def _growth(
    grown: Iterable[tuple[SeriesKey, list[Piece], int]],
) -> tuple[str, str, str, str, str, str, str]:
    """Return the seven arrays that EXTEND and WIDEN take."""
    rows = list(grown)
    return (
        *series_arrays([series for series, _, _ in rows]),
        number_array(pieces[0].start_ms for _, pieces, _ in rows),
        number_array(pieces[-1].last_ms for _, pieces, _ in rows),
        number_array(added for _, _, added in rows),
        number_array(_fragments(pieces) for _, pieces, _ in rows),
    )


def _count(pieces: Sequence[Piece]) -> int:
    if len(pieces) == 1:
        return len(pieces[0].values)
    return sum(len(piece.values) for piece in pieces)


def _fragments(pieces: Sequence[Piece]) -> int:
    return len([piece for piece in pieces if len(piece.values) < SHORT])


def _settle(
    session: Session, arrivals: dict[SeriesKey, list[Arrival]]
) -> dict[SeriesKey, list[Piece]]:
    """Take out the rows that must change and return those to put in.

    The series are locked: nobody else writes to them until we are done.
    """
    if not arrivals:
        return {}
    reached = _reached(session, arrivals)
    pieces: dict[SeriesKey, list[Piece]] = {}
    replaced: list[tuple[SeriesKey, int]] = []
    grown: list[tuple[SeriesKey, list[Piece], int]] = []
    for series, of in arrivals.items():
        settled = settle(of, reached.get(series, []))
        pieces[series] = settled.pieces
        replaced += [(series, start) for start in settled.replaced]
        if settled.added:
            grown.append((series, settled.pieces, settled.added))
    if replaced:
        take_out(session, replaced)
    if grown:
        run(session, WIDEN, _growth(grown))
    return pieces


def _reached(
    session: Session, arrivals: dict[SeriesKey, list[Arrival]]
) -> dict[SeriesKey, list[Piece]]:
    """Return the stored rows that the arrivals may overlap, in order of start."""
    numbered = list(arrivals)
    spans = [
        (number, piece.start_ms, piece.last_ms)
        for number, series in enumerate(numbered)
        for segment, _ in arrivals[series]
        for piece in cut(segment)
    ]
    of = [numbered[number] for number, _, _ in spans]
    patients, sources, codes = series_arrays(of)
    first = min(low for _, low, _ in spans)
    with driver_cursor(session) as cursor:
        cursor.execute(
            REACHED,
            {
                "series": number_array(number for number, _, _ in spans),
                "patients": patients,
                "sources": sources,
                "codes": codes,
                "lows": number_array(low for _, low, _ in spans),
                "highs": number_array(high for _, _, high in spans),
                "month": moment(first).replace(day=1, hour=0, minute=0, second=0),
                "last": moment(max(high for _, _, high in spans)),
            },
        )
        found = cursor.fetchall()
    return {
        numbered[number]: [piece_of(*row[1:]) for row in rows]
        for number, rows in groupby(found, key=itemgetter(0))
    }


def take_out(session: Session, rows: Sequence[tuple[SeriesKey, int]]) -> None:
    """Delete rows by series and start; the series are locked by the caller."""
    starts = [start for _, start in rows]
    run(
        session,
        TAKE_OUT,
        (
            *series_arrays([series for series, _ in rows]),
            number_array(starts),
            moment(min(starts)),
            moment(max(starts)),
        ),
    )


def moment(at_ms: int) -> datetime:
    return EPOCH + at_ms * MILLISECOND


def series_arrays(series: Sequence[SeriesKey]) -> tuple[str, str, str]:
    return (
        patient_array(patient for patient, _, _ in series),
        number_array(source_id for _, source_id, _ in series),
        text_array(code for _, _, code in series),
    )
