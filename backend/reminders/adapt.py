"""Reminders follow the habit of who allowed it: a little each day, each move decided.

Only what is said moves, never the dose; a regimen whose ladder is fixed is left alone.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.adherence.reminder_time import MOST_A_DAY, Move, next_shift
from backend.audit.record import decide
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.people.hold import hold
from backend.reminders.plan import replan

RULE, VERSION = "reminder-time", 1
LOOK_BACK = timedelta(days=21)
LATEST_DOSES = 14
ONCE_A_DAY = timedelta(hours=23)
AT_ONCE = 100  # patients a transaction

Series = tuple[UUID, UUID, str]  # patient, regimen, local time


def adapt(now: datetime) -> int:
    """Move the reminders of everybody who allows it, once a day; return how many moved.

    What moved within the last 23 hours stays, so that asking again changes nothing.
    """
    moved = 0
    after = UUID(int=0)
    while True:
        with transaction() as session:
            rows = fetch(session, ALLOWED, now=now, after=after, most=AT_ONCE)
            ids = [row["patient_id"] for row in rows]
            if not ids:
                return moved
            moved += _move(session, sorted(hold(session, ids)), now)
            after = ids[-1]


def undo(session: Session, patient_id: UUID, *, by: UUID | None, now: datetime) -> None:
    """Take every move of a patient's reminders back; they must be held.

    For who switched it off, or began anew: allowed again later, it begins at nothing.
    """
    execute(session, TO_NOTHING, id=patient_id, now=now)
    execute(session, TAKEN_BACK, id=patient_id, rule=RULE, now=now, by=by)


def _move(session: Session, ids: Sequence[UUID], now: datetime) -> int:
    if not ids:
        return 0
    taken: defaultdict[Series, list[RowMapping]] = defaultdict(list)
    for row in fetch(session, TAKEN, ids=list(ids), since=now - LOOK_BACK, now=now):
        series = row["patient_id"], row["regimen_id"], row["local_time"]
        taken[series].append(row)
    current = {
        (row["patient_id"], row["regimen_id"], row["local_time"]): row
        for row in fetch(session, SHIFTS, ids=list(ids))
    }
    moved: set[UUID] = set()
    for series, doses in taken.items():
        known = current.get(series)
        if known is not None and known["since"] > now - ONCE_A_DAY:
            continue
        if _one(session, series, doses[:LATEST_DOSES], known, now):
            moved.add(series[0])
    replan(session, moved, now=now)
    return len(moved)


def _one(
    session: Session,
    series: Series,
    doses: Sequence[RowMapping],
    known: RowMapping | None,
    now: datetime,
) -> bool:
    current = timedelta(seconds=known["shift_s"] if known is not None else 0)
    last = doses[0]
    earliest = -(last["due_at"] - last["window_from"]) / 2
    latest = (last["window_until"] - last["due_at"]) / 2
    offsets = [row["occurred_at"] - row["due_at"] for row in doses]
    move = next_shift(offsets, current=current, earliest=earliest, latest=latest)
    if move.shift == current:
        return False
    patient_id, regimen_id, local_time = series
    decision = decide(
        session,
        patient_id=patient_id,
        rule=RULE,
        version=VERSION,
        inputs=_inputs(series, offsets, current, (earliest, latest), move),
        outcome={"shift_s": int(move.shift.total_seconds())},
        at=now,
    )
    execute(
        session,
        MOVED,
        id=patient_id,
        regimen=regimen_id,
        local_time=local_time,
        now=now,
        shift=int(move.shift.total_seconds()),
        decision=decision,
    )
    return True


def _inputs(
    series: Series,
    offsets: Sequence[timedelta],
    current: timedelta,
    bounds: tuple[timedelta, timedelta],
    move: Move,
) -> dict[str, object]:
    """Return what suffices to make the decision again."""
    earliest, latest = bounds
    return {
        "regimen_id": str(series[1]),
        "local_time": series[2],
        "offsets_s": [round(offset.total_seconds()) for offset in offsets],
        "habit_s": _seconds(move.habit),
        "spread_s": _seconds(move.spread),
        "current_s": current.total_seconds(),
        "earliest_s": earliest.total_seconds(),
        "latest_s": latest.total_seconds(),
        "most_a_day_s": MOST_A_DAY.total_seconds(),
    }


def _seconds(time: timedelta | None) -> float | None:
    return None if time is None else time.total_seconds()


ALLOWED = """
SELECT patient_id FROM (
    SELECT DISTINCT ON (patient_id) patient_id, adaptive FROM reminder_preference
    WHERE effective_from <= :now AND patient_id > :after
    ORDER BY patient_id, effective_from DESC) AS p
WHERE adaptive ORDER BY patient_id LIMIT :most
"""

TAKEN = """
SELECT d.patient_id, d.regimen_id, substr(d.local_time, 12, 5) AS local_time, d.due_at,
       d.window_from, d.window_until, e.occurred_at
FROM scheduled_dose AS d
JOIN dose_event AS e ON e.patient_id = d.patient_id
    AND e.dose_event_id = d.dose_event_id
LEFT JOIN LATERAL (
    SELECT fixed FROM regimen_ladder AS l
    WHERE l.patient_id = d.patient_id AND l.regimen_id = d.regimen_id
    ORDER BY version DESC LIMIT 1) AS l ON true
WHERE d.patient_id = ANY(:ids) AND d.dose_day >= CAST(:since AS timestamptz)::date
  AND d.due_at <= :now AND d.local_time IS NOT NULL
  AND e.evidence <> 'self_reported' AND l.fixed IS NOT TRUE
ORDER BY d.due_at DESC
"""

SHIFTS = """
SELECT DISTINCT ON (patient_id, regimen_id, local_time)
    patient_id, regimen_id, local_time, since, shift_s
FROM reminder_shift WHERE patient_id = ANY(:ids)
ORDER BY patient_id, regimen_id, local_time, since DESC
"""

MOVED = """
INSERT INTO reminder_shift (patient_id, regimen_id, local_time, since, shift_s,
    decision_id)
VALUES (:id, :regimen, :local_time, :now, :shift, :decision)
"""

TO_NOTHING = """
INSERT INTO reminder_shift (patient_id, regimen_id, local_time, since, shift_s)
SELECT patient_id, regimen_id, local_time, :now, 0 FROM (
    SELECT DISTINCT ON (regimen_id, local_time) * FROM reminder_shift
    WHERE patient_id = :id ORDER BY regimen_id, local_time, since DESC) AS last
WHERE shift_s <> 0 AND since < :now
"""

TAKEN_BACK = """
UPDATE decision SET undone_at = :now, undone_by = :by, undo_reason = 'switched off'
WHERE patient_id = :id AND rule = :rule AND undone_at IS NULL
"""
