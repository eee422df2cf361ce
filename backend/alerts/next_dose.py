"""A dose that would follow the last taken one waits: a person is asked what holds."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.raise_ import Seen, retract, trigger
from backend.database.sets import fetch

RULE = "next-dose-waits"
Whose = tuple[UUID, UUID]


def ask_what_next(
    session: Session, regimens: Collection[Whose], *, now: datetime
) -> set[UUID]:
    """Open an alert for each (patient, regimen) whose last dose is over untaken.

    Its window must have closed, whether the dose was missed or nobody knows. Returns
    the patients who got one.
    """
    if not regimens:
        return set()
    rows = fetch(session, WAITING, _items(regimens), now=now)
    return trigger(
        session,
        [
            Seen(
                row["patient_id"],
                f"{RULE}:{row['regimen_id']}",
                1,
                "high" if row["criticality"] == "critical" else "medium",
                "No next dose is planned: nobody knows that the last was taken"
                if row["label"] == "unknown"
                else "No next dose is planned: the last was missed",
                {
                    "code": RULE,
                    "subject": str(row["regimen_id"]),
                    "due_at": row["due_at"].isoformat(),
                    "window_until": row["window_until"].isoformat(),
                    "label": row["label"],
                },
            )
            for row in rows
        ],
        now=now,
    )


def answered(
    session: Session, regimens: Collection[Whose], *, now: datetime
) -> set[UUID]:
    """Take back the question of each (patient, regimen): the next dose is known."""
    return retract(
        session,
        {(patient_id, f"{RULE}:{regimen_id}") for patient_id, regimen_id in regimens},
        because="the next dose is planned",
        now=now,
    )


def _items(regimens: Collection[Whose]) -> list[dict[str, object]]:
    return [{"patient_id": one, "regimen_id": other} for one, other in regimens]


WAITING = """
SELECT s.patient_id, s.regimen_id, s.due_at, s.window_until, s.label, g.criticality
FROM rows(patient_id uuid, regimen_id uuid)
JOIN regimen g USING (patient_id, regimen_id)
JOIN LATERAL (SELECT * FROM scheduled_dose d
    WHERE d.patient_id = g.patient_id AND d.regimen_id = g.regimen_id
    ORDER BY d.due_at DESC LIMIT 1) s ON true
WHERE s.label IN ('missed', 'unknown') AND s.window_until <= :now
"""
