"""Which doses a device's news may change: it was heard, or lost its memory."""

from collections.abc import Collection, Mapping
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch
from backend.devices.holes import Hole
from backend.doses.changes import Fact
from backend.doses.silence import LATE_AFTER


def crossed(
    session: Session, moved: Mapping[UUID, datetime], patients: Collection[UUID]
) -> set[Fact]:
    """Return the open doses for which a device was now heard beyond what decides.

    `moved` says up to when each device had been heard before. What decides is when a
    dose became late, when its window closed, and when the device was handed on.
    """
    if not moved or not patients:
        return set()
    rows = fetch(
        session,
        """SELECT DISTINCT s.patient_id, s.regimen_id, s.dose_day
        FROM rows(device_id uuid, before timestamptz)
        JOIN device_contact c USING (device_id)
        JOIN assignment a USING (device_id)
        JOIN scheduled_dose s ON s.patient_id = a.patient_id
            AND s.regimen_id = a.regimen_id
            AND s.label IN ('pending', 'late', 'unknown')
            AND s.window_until > GREATEST(r.before, a.since)
            AND (a.until IS NULL OR s.window_from < a.until)
        JOIN regimen_version v ON v.patient_id = s.patient_id
            AND v.regimen_id = s.regimen_id AND v.version = s.version
        CROSS JOIN LATERAL (VALUES (LEAST(s.window_until, a.until)),
            (s.due_at + make_interval(secs => COALESCE(v.remind_after_s, :delay)))
            ) AS decides(at)
        WHERE s.patient_id = ANY(:patients)
          AND decides.at > r.before AND decides.at <= c.heard_until""",
        [{"device_id": device, "before": before} for device, before in moved.items()],
        patients=list(patients),
        delay=int(LATE_AFTER.total_seconds()),
    )
    return {(row["patient_id"], row["regimen_id"], row["dose_day"]) for row in rows}


def in_holes(session: Session, holes: Collection[Hole]) -> set[Fact]:
    """Return the doses that these holes may make unknown, or no longer do."""
    if not holes:
        return set()
    rows = fetch(
        session,
        """SELECT DISTINCT s.patient_id, s.regimen_id, s.dose_day
        FROM rows(device_id uuid, start timestamptz, until timestamptz)
        JOIN assignment a USING (device_id)
        JOIN scheduled_dose s ON s.patient_id = a.patient_id
            AND s.regimen_id = a.regimen_id
            AND s.label IN ('late', 'missed', 'unknown')
            AND s.window_until > GREATEST(r.start, a.since)
            AND s.window_from < LEAST(r.until, a.until)""",
        [
            {"device_id": one.device_id, "start": one.start, "until": one.until}
            for one in holes
        ],
    )
    return {(row["patient_id"], row["regimen_id"], row["dose_day"]) for row in rows}
