"""The doses of patients whom nobody knew before, settled as their rows are written.

The general way (expand, then `doses.rematch`) reads and writes every dose several
times. A study asks for n doses a dose-day, and a past dose-day can be settled in one
go: its first n openings that are no debounced repetition are the doses. The statements
here say the same as `analytics.matching` and `doses.silence` say in general; a test
holds both against each other. Recent days, and ten doses a day and more, are left to
the general way.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from sqlmodel import Session

from analytics.matching import DEBOUNCE
from backend.database.sets import execute
from backend.imports.study_follow import Touched
from backend.imports.study_openings import HASH, ITEM, UNCERTAIN_S, hear
from backend.imports.study_plan import Pair
from backend.imports.study_regimen import DAY_STARTS, Segment, day_starts
from backend.imports.study_rows import FIRST_DAY, Asked
from backend.regimens.timing import Cycle, DailyCount
from backend.regimens.zones import DAY, TZDB_VERSION, exists, wall

MOST_PLAIN = 9  # doses a day: their keys then sort as their numbers do
MICROSECONDS = 1_000_000
DAY_US = 86_400 * MICROSECONDS
NIGHT_US = int(DAY_STARTS.total_seconds()) * MICROSECONDS
NEAR = f"{int(DEBOUNCE.total_seconds())} s"

CREATE = (
    """CREATE TEMPORARY TABLE dose_day (
    day date PRIMARY KEY, starts timestamptz NOT NULL, ends timestamptz NOT NULL)""",
    """CREATE TEMPORARY TABLE placed (
    pair int, patient_id uuid, device_id uuid, regimen_id uuid, sequence bigint,
    uncertain bool, inside bool, event_id uuid, at timestamptz, day date, run int,
    size int, kept bool)""",
    "CREATE INDEX ON placed (pair, run, at, event_id) WHERE inside AND size > 1",
    """CREATE TEMPORARY TABLE due (
    pair int, patient_id uuid, device_id uuid, regimen_id uuid, version int, day date,
    starts timestamptz, ends timestamptz, n int)""",
)

# A run: openings each of which is near the one before. Its first is kept.
PLACE = f"""
WITH named AS (
    SELECT DISTINCT ON (o.pair, o.sequence) r.*, o.sequence, o.uncertain, o.inside,
        o.event_id, to_timestamp(o.instant / 1e6) AS at, date '1970-01-01'
            + ((o.sequence - {NIGHT_US}) / {DAY_US})::int AS day
    FROM rows(pair int, patient_id uuid, device_id uuid, regimen_id uuid)
    JOIN opening o USING (pair)
    ORDER BY o.pair, o.sequence, o.instant),
near AS (
    SELECT *, COALESCE(at - lag(at) OVER in_order < interval '{NEAR}', false) AS near
    FROM named WINDOW in_order AS (PARTITION BY pair, inside ORDER BY at, event_id)),
runs AS (
    SELECT *, count(*) FILTER (WHERE NOT near) OVER (
        PARTITION BY pair, inside ORDER BY at, event_id) AS run
    FROM near)
INSERT INTO placed
SELECT pair, patient_id, device_id, regimen_id, sequence, uncertain, inside, event_id,
    at, CASE WHEN uncertain THEN (SELECT d.day FROM dose_day d
        WHERE d.starts <= at AND at < d.ends) ELSE day END,
    run, count(*) OVER (PARTITION BY pair, inside, run), NOT near
FROM runs
"""  # noqa: S608 (all parts are ours)

# In a run of three and more, what is far enough from the last that was kept is kept.
KEEP = f"""
WITH RECURSIVE kept AS (
    SELECT pair, run, at, event_id FROM placed WHERE inside AND size > 2 AND kept
    UNION ALL
    SELECT following.* FROM kept CROSS JOIN LATERAL (
        SELECT p.pair, p.run, p.at, p.event_id FROM placed p
        WHERE p.inside AND p.size > 1 AND p.pair = kept.pair AND p.run = kept.run
          AND p.at >= kept.at + interval '{NEAR}'
        ORDER BY p.at, p.event_id LIMIT 1) following)
UPDATE placed p SET kept = true FROM kept k
WHERE p.inside AND p.size > 1 AND p.pair = k.pair AND p.run = k.run AND p.at = k.at
  AND p.event_id = k.event_id AND NOT p.kept
"""  # noqa: S608 (all parts are ours)

DUE = """
INSERT INTO due
SELECT r.pair, r.patient_id, r.device_id, r.regimen_id, r.version, d.day, d.starts,
    d.ends, CASE WHEN r.off_days = 0
        OR mod(d.day - r.anchor, r.on_days + r.off_days) < r.on_days
        THEN r.n ELSE 0 END
FROM rows(pair int, patient_id uuid, device_id uuid, regimen_id uuid, version int,
    first date, last date, n int, on_days int, off_days int, anchor date)
JOIN dose_day d ON d.day BETWEEN r.first AND r.last
"""

RECORD = f"""
INSERT INTO device_record (device_id, epoch, sequence, payload_hash, status, item,
    received_at)
SELECT device_id, 0, sequence, {HASH},
    CASE WHEN inside THEN 'used' ELSE 'unassigned' END,
    CASE WHEN inside THEN jsonb_build_object('occurred_at', at)
        ELSE {ITEM.format(hash=HASH, at="at", event="event_id")} END, :real
FROM placed ORDER BY device_id, sequence
ON CONFLICT DO NOTHING
"""  # noqa: S608 (all parts are ours)

NUMBERED = """
    SELECT placed.*, row_number() OVER (
        PARTITION BY pair, day ORDER BY at, event_id) AS place
    FROM placed WHERE inside AND kept
"""

OPEN = f"""
INSERT INTO dose_event (patient_id, dose_event_id, regimen_id, device_id, compartment,
    epoch, sequence, evidence, label, occurred_at, uncertainty_s, live, recorded_at)
SELECT p.patient_id, p.event_id, p.regimen_id, p.device_id, 0, 0, p.sequence,
    'container_opened', CASE WHEN k.place IS NULL THEN 'duplicate'
        WHEN COALESCE(d.n, 0) = 0 THEN 'unmatched'
        WHEN k.place <= d.n THEN 'therapeutic' ELSE 'extra' END,
    p.at, CASE WHEN p.uncertain THEN {UNCERTAIN_S} ELSE 0 END, false, :now
FROM placed p
LEFT JOIN ({NUMBERED}) k ON k.pair = p.pair AND k.event_id = p.event_id
LEFT JOIN due d ON d.pair = p.pair AND d.day = p.day
WHERE p.inside
ORDER BY p.patient_id, p.device_id, p.sequence
"""  # noqa: S608 (all parts are ours)

SCHEDULE = f"""
INSERT INTO scheduled_dose (patient_id, regimen_id, occurrence, version, dose_day,
    zone, tzdb, window_from, window_until, label, dose_event_id, labelled_at)
SELECT d.patient_id, d.regimen_id, d.day || '#' || n.place, d.version, d.day,
    :zone, :tzdb, d.starts, d.ends,
    CASE WHEN k.event_id IS NOT NULL THEN 'taken'
        WHEN c.heard_until >= d.ends
            AND EXISTS (SELECT FROM assignment g WHERE g.patient_id = d.patient_id
                AND g.device_id = d.device_id AND g.regimen_id = d.regimen_id
                AND g.since <= d.starts AND g.until >= d.ends)
            AND NOT EXISTS (SELECT FROM non_monitored_span s
                WHERE s.patient_id = d.patient_id AND s.voided_at IS NULL
                AND s.device_id = d.device_id
                AND d.day BETWEEN s.first_day AND s.last_day) THEN 'missed'
        ELSE 'unknown' END,
    k.event_id, :now
FROM due d
CROSS JOIN LATERAL generate_series(1, d.n) AS n(place)
LEFT JOIN ({NUMBERED}) k ON k.pair = d.pair AND k.day = d.day AND k.place = n.place
LEFT JOIN device_contact c ON c.device_id = d.device_id
ORDER BY d.patient_id, d.regimen_id, d.day, n.place
"""  # noqa: S608 (all parts are ours)


def keep_dose_days(
    session: Session, zone: ZoneInfo, asked: Iterable[Asked], *, now: datetime
) -> None:
    """Make a table of when each dose-day begins and ends, for `write_fresh`."""
    days = [day for row in asked for day in (row.first, row.last)] or [FIRST_DAY]
    first, last = min(days), min(max(days), settled_until(now, zone))
    for table in CREATE:
        execute(session, table)
    execute(
        session,
        "INSERT INTO dose_day "
        "SELECT * FROM rows(day date, starts timestamptz, ends timestamptz)",
        list(_dose_days(zone, first, last)),
    )
    execute(session, "ANALYZE dose_day")


def _dose_days(zone: ZoneInfo, first: date, last: date) -> Iterator[dict[str, object]]:
    starts = day_starts(first, zone)
    for number in range((last - first).days + 1):
        day = first + number * DAY
        ends = day_starts(day + DAY, zone)
        if exists(day, zone):
            yield {"day": day, "starts": starts, "ends": ends}
        starts = ends


def settled_until(now: datetime, zone: ZoneInfo) -> date:
    """Return the last day that is settled here: it was over a day ago."""
    return (wall(now, zone) - DAY_STARTS).date() - 2 * DAY


def is_plain(segments: Sequence[Segment]) -> bool:
    """Tell whether a regimen can be settled here."""
    return all(_asks(segment)[0] <= MOST_PLAIN for segment in segments)


def write_fresh(
    session: Session,
    regimens: Sequence[tuple[Pair, Sequence[Segment]]],
    zone: ZoneInfo,
    touched: Touched,
    *,
    now: datetime,
    real: datetime,
) -> int:
    """Store and settle the openings of monitors new to us; return how many.

    What is left to match is touched.
    """
    if not regimens:
        return 0
    latest = settled_until(now, zone)
    execute(session, "TRUNCATE placed, due")
    execute(session, PLACE, [_whose(pair) for pair, _ in regimens])
    execute(
        session,
        DUE,
        [
            {**_whose(pair), **_days(version, segment, latest)}
            for pair, segments in regimens
            for version, segment in enumerate(segments, start=1)
        ],
    )
    execute(session, "ANALYZE placed, due")
    execute(session, KEEP)
    records = execute(session, RECORD, real=real)
    execute(session, OPEN, now=now)
    hear(session, [pair for pair, _ in regimens], now=now, real=real)
    execute(session, SCHEDULE, zone=zone.key, tzdb=TZDB_VERSION, now=now)
    for pair, segments in regimens:
        for segment in segments:
            if segment.last > latest:
                whose = pair.patient_id, pair.regimen_id
                first = max(latest + DAY, segment.first)
                touched.ask(whose, first, segment.last)
    return records


def _whose(pair: Pair) -> dict[str, object]:
    return {
        "pair": pair.number,
        "patient_id": pair.patient_id,
        "device_id": pair.device_id,
        "regimen_id": pair.regimen_id,
    }


def _days(version: int, segment: Segment, latest: date) -> dict[str, object]:
    n, on, off = _asks(segment)
    return {
        "version": version,
        "first": segment.first,
        "last": min(segment.last, latest),
        "n": n,
        "on_days": on,
        "off_days": off,
        "anchor": segment.timing.anchor
        if isinstance(segment.timing, Cycle)
        else segment.first,
    }


def _asks(segment: Segment) -> tuple[int, int, int]:
    """Return doses a day, days on and days off (0: always on)."""
    match segment.timing:
        case Cycle(on, off, _, DailyCount(n)):
            return n, on, off
        case DailyCount(n):
            return n, 1, 0
        case _:
            raise TypeError("a study asks for a number of doses a day")
