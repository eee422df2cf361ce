"""The latest vitals in the one row a patient."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import orjson
from sqlmodel import Session

from backend.database import run
from backend.vitals.rows import text_array, uuid_array

RESTING = "40443-4"

# One code a statement, for a statement changes a row only once. Instants have one
# width, so that they compare as text. The patients are held: nobody else writes these
# columns between the look and the change.
NOTE = """
UPDATE patient_state s SET
  vitals = s.vitals || u.doc::jsonb, vital_at = greatest(s.vital_at, u.at::timestamptz),
  changed_at = %s, version = s.version + 1
FROM unnest(%s::uuid[], %s::text[], %s::text[]) AS u(p, at, doc)
WHERE s.patient_id = u.p
  AND COALESCE(u.at COLLATE "C" > (s.vitals -> %s ->> 'at'), true)
"""

BEGIN = """
INSERT INTO patient_state (patient_id, clinic_id, need, needs, strip, counts,
  adherence, open_reorders, open_alerts, vitals, changed_at, version)
SELECT u.p, %s, 0, '[]', '[]', '{}', '{}', 0, 0, '{}', %s, 0
FROM unnest(%s::uuid[]) AS u(p) ORDER BY u.p ON CONFLICT DO NOTHING
"""

REST = """
UPDATE patient_state SET resting_heart_rate = (vitals -> %s ->> 'value')::float
WHERE patient_id = ANY(%s::uuid[])
"""

Latest = tuple[str, float, str]


def note_vitals(
    session: Session,
    clinic_id: UUID,
    latest: Mapping[tuple[UUID, str], Latest],
    *,
    now: datetime,
) -> None:
    """Bring the rows of patients up to date.

    `latest` maps (patient, code) to (instant, value, unit), instants as `instant_text`
    writes them. What is older than what is there changes nothing. The patients are of
    this clinic and held.
    """
    by_code: defaultdict[str, list[tuple[UUID, str, str]]] = defaultdict(list)
    for (patient_id, code), (at, value, unit) in latest.items():
        document = orjson.dumps({code: {"value": value, "unit": unit, "at": at}})
        by_code[code].append((patient_id, at, document.decode()))
    for code, news in by_code.items():
        if _note(session, code, news, now) < len(news) and _begin(
            session, clinic_id, news, now
        ):
            _note(session, code, news, now)
    resting = by_code.get(RESTING)
    if resting:
        asked = (RESTING, uuid_array(patient_id for patient_id, _, _ in resting))
        run(session, REST, asked)


def instant_text(at: datetime) -> str:
    """Return an instant as 2026-03-04T09:00:00.000Z, always of that width."""
    return at.isoformat(timespec="milliseconds")[:23] + "Z"


def _note(
    session: Session, code: str, news: Sequence[tuple[UUID, str, str]], now: datetime
) -> int:
    """Return how many rows had news; it does no harm to ask twice."""
    asked = (
        now,
        uuid_array(patient_id for patient_id, _, _ in news),
        text_array(at for _, at, _ in news),
        text_array(document for _, _, document in news),
        code,
    )
    return run(session, NOTE, asked).rowcount


def _begin(
    session: Session,
    clinic_id: UUID,
    news: Sequence[tuple[UUID, str, str]],
    now: datetime,
) -> int:
    """Write the row of who has none yet; return how many that were."""
    patients = uuid_array(patient_id for patient_id, _, _ in news)
    asked = (clinic_id, now, patients)
    return run(session, BEGIN, asked).rowcount
