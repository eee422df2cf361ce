"""What follows from the mere passing of time: doses become late, missed or unknown."""

import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from uuid import UUID

from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.doses.changes import Fact
from backend.ingest.accept import follow
from backend.people.hold import hold

log = logging.getLogger(__name__)

AT_ONCE = 100  # patients a transaction
TRY_AGAIN_AFTER = timedelta(minutes=5)


def elapse(now: datetime) -> int:
    """Look again at doses whose moment has come; return at how many.

    Two workers that take the same patients do the same work twice, one after the
    other, and the second finds nothing to change. A patient whose doses cannot be
    looked at is put off for a while: the others, of whatever clinic, must not wait.
    """
    due = _due(now)
    try:
        _look_again(due, now)
    except Exception:
        # Whatever one patient's data may break: nobody else's dose may wait for it.
        log.exception("patients not looked at together", extra={"doses": len(due)})
        _one_by_one(due, now)
    return len(due)


def _due(now: datetime) -> set[Fact]:
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
    return {(row["patient_id"], row["regimen_id"], row["dose_day"]) for row in rows}


def _look_again(due: Collection[Fact], now: datetime) -> None:
    with transaction() as session:
        held = hold(session, {patient_id for patient_id, _, _ in due})
        facts = {fact for fact in due if fact[0] in held}
        follow(session, facts, patients=held, now=now, cause="time_passed")


def _one_by_one(due: Collection[Fact], now: datetime) -> None:
    for patient_id in sorted({patient_id for patient_id, _, _ in due}):
        try:
            _look_again([fact for fact in due if fact[0] == patient_id], now)
        except Exception:
            log.exception(
                "patient not looked at", extra={"patient_id": str(patient_id)}
            )
            _put_off(patient_id, now)


def _put_off(patient_id: UUID, now: datetime) -> None:
    """Look at this patient's due doses again later, behind everybody who is due."""
    with transaction() as session:
        hold(session, [patient_id])
        execute(
            session,
            "UPDATE scheduled_dose SET check_at = :later "
            "WHERE patient_id = :id AND check_at <= :now",
            later=now + TRY_AGAIN_AFTER,
            id=patient_id,
            now=now,
        )
