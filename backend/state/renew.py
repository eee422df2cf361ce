"""State rows follow the calendar: what counts days is counted again when a day is over.

Where something happens to a patient their row is refreshed with it. For whom nothing
happens, or whose row is older than the figures it should have, this does it: nobody's
last 30 days are those of a month ago, and after an upgrade everybody has figures.
"""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from backend.database import transaction
from backend.database.sets import fetch
from backend.people.hold import hold
from backend.state.refresh import refresh, today

log = logging.getLogger(__name__)

AT_ONCE = 100  # patients a transaction


def renew(stopping: Callable[[], bool], now: datetime) -> int:
    """Refresh the rows whose figures are not of the last dose-day; return how many.

    Costs one walk over the state rows, in order of patients. Whose row cannot be
    computed is left for the next time: the others must not wait.
    """
    renewed = 0
    after = UUID(int=0)
    last_days = _last_days(now)
    while last_days and not stopping():
        ids = _outdated(after, last_days, now)
        if not ids:
            break
        renewed += _together(ids, now)
        after = ids[-1]
    return renewed


def _last_days(now: datetime) -> dict[str, str]:
    """Return the last dose-day that is over, by zone."""
    with transaction() as session:
        zones = fetch(
            session, "SELECT zone FROM clinic UNION SELECT zone FROM patient_zone"
        )
    return {
        row["zone"]: (today(now, row["zone"]) - timedelta(days=1)).isoformat()
        for row in zones
    }


def _outdated(
    after: UUID, last_days: Mapping[str, str], now: datetime
) -> Sequence[UUID]:
    with transaction() as session:
        rows = fetch(
            session,
            OUTDATED,
            after=after,
            now=now,
            newest=max(last_days.values()),
            last_days=json.dumps(last_days),
            most=AT_ONCE,
        )
    return [row["patient_id"] for row in rows]


def _together(ids: Sequence[UUID], now: datetime) -> int:
    try:
        return _renew(ids, now)
    except Exception:
        # Whatever one patient's data may break: nobody else's figures may wait for it.
        log.exception("state rows not renewed together", extra={"patients": len(ids)})
        return sum(_alone(patient_id, now) for patient_id in ids)


def _alone(patient_id: UUID, now: datetime) -> int:
    try:
        return _renew([patient_id], now)
    except Exception:
        log.exception("state row not renewed", extra={"patient_id": str(patient_id)})
        return 0


def _renew(ids: Sequence[UUID], now: datetime) -> int:
    with transaction() as session:
        held = hold(session, ids)
        refresh(session, held, now=now)
    return len(held)


# The zone is looked up only for rows that are not of the newest day there is anywhere.
OUTDATED = """
SELECT p.patient_id FROM patient p LEFT JOIN patient_state s USING (patient_id)
WHERE p.patient_id > :after AND p.erased_at IS NULL
  AND COALESCE(s.adherence ->> 'last_day', '') < :newest
  AND COALESCE(s.adherence ->> 'last_day', '') < CAST(:last_days AS jsonb) ->> COALESCE(
        (SELECT z.zone FROM patient_zone z
            WHERE z.patient_id = p.patient_id AND z.effective_from <= :now
            ORDER BY z.effective_from DESC LIMIT 1),
        (SELECT c.zone FROM clinic c WHERE c.clinic_id = p.clinic_id))
ORDER BY p.patient_id LIMIT :most
"""
