"""Alerts that come back by themselves: a rest that is over, a call nobody answered."""

from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from backend.alerts.raise_ import log_event
from backend.database.sets import fetch

ANSWER_WITHIN = timedelta(hours=2)  # of a high alert; then it is marked as unanswered

DUE = """
    (state = 'snoozed' AND snoozed_until <= :now
     OR state = 'triggered' AND severity = 'high'
        AND GREATEST(triggered_at, snoozed_until) <= :since)
"""


def waking(session: Session, *, now: datetime, most: int) -> set[UUID]:
    """Return patients with an alert due to come back, or unanswered for too long."""
    rows = fetch(
        session,
        f"""SELECT DISTINCT patient_id FROM alert WHERE state <> 'closed' AND {DUE}
        LIMIT :most""",  # noqa: S608 (the condition is ours)
        now=now,
        since=now - ANSWER_WITHIN,
        most=most,
    )
    return {row["patient_id"] for row in rows}


def wake(session: Session, patient_ids: Collection[UUID], *, now: datetime) -> int:
    """Bring back what was snoozed until now, mark what waits too long; return how many.

    The patients must be held. An alert is marked `escalated` once, until somebody
    acknowledges it; nobody is told.
    """
    rows = fetch(
        session,
        f"""UPDATE alert SET updated_at = :now,
            state = CASE state WHEN 'snoozed' THEN 'triggered' ELSE 'escalated' END
        WHERE patient_id = ANY(:ids) AND state <> 'closed' AND {DUE}
        RETURNING patient_id, alert_id, state""",  # noqa: S608 (the condition is ours)
        ids=sorted(patient_ids),
        now=now,
        since=now - ANSWER_WITHIN,
    )
    for row in rows:
        what = "woken" if row["state"] == "triggered" else "escalated"
        log_event(session, row["patient_id"], row["alert_id"], what, now=now)
    return len(rows)
