"""What follows from the mere passing of time: doses become late, missed or unknown."""

from datetime import datetime

from backend.database import transaction
from backend.database.sets import fetch
from backend.ingest.accept import follow
from backend.people.hold import hold

AT_ONCE = 100  # patients a transaction


def elapse(now: datetime) -> int:
    """Look again at doses whose moment has come; return at how many.

    Two workers that take the same patients do the same work twice, one after the
    other, and the second finds nothing to change.
    """
    with transaction() as session:
        rows = fetch(
            session,
            """SELECT patient_id, regimen_id, dose_day FROM scheduled_dose
            WHERE patient_id IN (SELECT patient_id FROM scheduled_dose
                WHERE check_at <= :now ORDER BY check_at LIMIT :most)
              AND check_at <= :now""",
            now=now,
            most=AT_ONCE,
        )
        held = hold(session, {row["patient_id"] for row in rows})
        follow(
            session,
            {
                (row["patient_id"], row["regimen_id"], row["dose_day"])
                for row in rows
                if row["patient_id"] in held
            },
            patients=held,
            now=now,
            cause="time_passed",
        )
    return len(rows)
