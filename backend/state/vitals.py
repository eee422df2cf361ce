"""The latest vitals in the one row a patient."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

import orjson
from sqlmodel import Session

RESTING = "40443-4"

# Instants have one width, so that they compare as text. The patients are held, so
# nobody else writes these columns between the look and the change.
NEWER = """
WITH newer AS (
  SELECT r.p,
    jsonb_object_agg(
      r.code, jsonb_build_object('value', r.v, 'unit', r.unit, 'at', r.t)) AS vitals,
    max(r.t)::timestamptz AS at,
    max(r.v) FILTER (WHERE r.code = %(resting)s) AS resting
  FROM jsonb_to_recordset(%(items)s::jsonb)
    AS r(p uuid, code text, v double precision, unit text, t text)
  LEFT JOIN patient_state old ON old.patient_id = r.p
  WHERE old.vitals -> r.code IS NULL
    OR r.t COLLATE "C" > (old.vitals -> r.code ->> 'at')
  GROUP BY r.p
)
"""
NOTE = (
    NEWER
    + """
UPDATE patient_state s SET
  vitals = s.vitals || n.vitals, vital_at = greatest(s.vital_at, n.at),
  resting_heart_rate = COALESCE(n.resting, s.resting_heart_rate),
  changed_at = %(now)s, version = s.version + 1
FROM newer n WHERE s.patient_id = n.p
"""
)
BEGIN = (
    NEWER
    + """
INSERT INTO patient_state (patient_id, clinic_id, need, needs, strip, counts,
  open_reorders, open_alerts, vitals, vital_at, resting_heart_rate, changed_at, version)
SELECT n.p, %(clinic)s, 0, '[]', '[]', '{}', 0, 0, n.vitals, n.at, n.resting,
  %(now)s, 1
FROM newer n ON CONFLICT DO NOTHING
"""
)

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
    values = {"resting": RESTING, "now": now, "items": orjson.dumps(items).decode()}
    run = session.connection().exec_driver_sql
    noted = run(NOTE, values).rowcount
    if noted < len({patient_id for patient_id, _ in latest}):
        noted += run(BEGIN, {**values, "clinic": clinic_id}).rowcount
    return noted


def instant_text(at: datetime) -> str:
    """Return an instant as 2026-03-04T09:00:00.000Z, always of that width."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"
