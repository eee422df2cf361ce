"""The latest vitals in the one row a patient."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import orjson
from sqlmodel import Session

RESTING = "40443-4"

# Instants have one width, so that they compare as text. The patients are held, so
# nobody else writes these rows between the look and the change.
NOTE = """
INSERT INTO patient_state AS s (patient_id, clinic_id, need, needs, strip, counts,
  open_reorders, open_alerts, vitals, vital_at, resting_heart_rate, changed_at, version)
SELECT r.p, %(clinic)s, 0, '[]', '[]', '{}', 0, 0,
  jsonb_object_agg(r.code, jsonb_build_object('value', r.v, 'unit', r.unit, 'at', r.t)),
  max(r.t)::timestamptz, max(r.v) FILTER (WHERE r.code = %(resting)s), %(now)s, 1
FROM jsonb_to_recordset(%(items)s::jsonb)
  AS r(p uuid, code text, v double precision, unit text, t text)
LEFT JOIN patient_state old ON old.patient_id = r.p
WHERE old.patient_id IS NULL
  OR r.t COLLATE "C" > COALESCE(old.vitals -> r.code ->> 'at', '')
GROUP BY r.p ORDER BY r.p
ON CONFLICT (patient_id) DO UPDATE SET
  vitals = s.vitals || excluded.vitals,
  vital_at = greatest(s.vital_at, excluded.vital_at),
  resting_heart_rate = COALESCE(excluded.resting_heart_rate, s.resting_heart_rate),
  changed_at = excluded.changed_at, version = s.version + 1
"""

Latest = tuple[str, float, str]


def note_vitals(
    session: Session,
    clinic_id: UUID,
    latest: Mapping[tuple[UUID, str], Latest],
    *,
    now: datetime,
) -> int:
    """Bring the rows of patients up to date and return how many had news.

    `latest` maps (patient, code) to (instant, value, unit), instants as `instant_text`
    writes them. What is older than what is there changes nothing. The patients are of
    this clinic and held.
    """
    if not latest:
        return 0
    items = [
        {"p": patient_id, "code": code, "v": value, "unit": unit, "t": at}
        for (patient_id, code), (at, value, unit) in latest.items()
    ]
    done = session.connection().exec_driver_sql(
        NOTE,
        {
            "clinic": clinic_id,
            "resting": RESTING,
            "now": now,
            "items": orjson.dumps(items).decode(),
        },
    )
    return done.rowcount


def instant_text(at: datetime) -> str:
    """Return an instant as 2026-03-04T09:00:00.000Z, always of that width."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"
