"""What was said of dose records, for whoever may see the patient."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, Uuid, literal_column, select, text
from sqlalchemy.orm import Mapped
from sqlmodel import Session

from backend.doses.listed import BadCursor
from backend.errors import NotFound
from backend.people.readers import Reader, may_see


def overruled(
    session: Session,
    reader: Reader,
    patient_id: UUID,
    *,
    dose_event_id: UUID | None,
    after: UUID | None,
    most: int,
    now: datetime,
) -> Sequence[RowMapping]:
    """Return what was said of a patient's events, newest first, those behind `after`.

    The newest of an event is in force, unless it took back what was said. Raises
    NotFound where the reader may not see the patient, or there is none; BadCursor where
    `after` was never said of this patient. One query says all of it.
    """
    whose: Mapped[UUID] = literal_column("p.patient_id", Uuid())  # pyright: ignore[reportAssignmentType]
    statement = (
        select(text("a.known, o.*"))
        .select_from(
            text(
                f"patient p CROSS JOIN LATERAL ({KNOWN}) a"
                f" LEFT JOIN LATERAL ({SAID}) o ON true"
            )
        )
        .where(whose == patient_id, may_see(reader, whose, now=now))
        .order_by(text("o.recorded_at DESC, o.override_id DESC"))
    )
    given = {"patient": patient_id, "event": dose_event_id, "after": after}
    found = session.connection().execute(statement, {**given, "most": most})
    rows = found.mappings().all()
    if not rows:
        raise NotFound("There is no such patient.")
    if not rows[0]["known"]:
        raise BadCursor(
            "`after` was never said of this patient: give the `next` of a page."
        )
    return [row for row in rows if row["override_id"] is not None]


KNOWN = """
SELECT CAST(:after AS uuid) IS NULL OR EXISTS (SELECT FROM event_override a
    WHERE a.patient_id = :patient AND a.override_id = :after) AS known
"""

SAID = """
SELECT v.override_id, v.dose_event_id, v.label, v.reason, v.actor_id AS clinician_id,
    k.name AS clinician, v.at, v.recorded_at, e.occurred_at, e.evidence,
    e.label AS event_label,
    v.label IS NOT NULL AND NOT EXISTS (SELECT FROM event_override n
        WHERE n.patient_id = v.patient_id AND n.dose_event_id = v.dose_event_id
          AND (n.recorded_at, n.override_id) > (v.recorded_at, v.override_id))
        AS in_force
FROM event_override v
JOIN dose_event e USING (patient_id, dose_event_id)
LEFT JOIN clinician k ON k.clinician_id = v.actor_id
WHERE v.patient_id = :patient
  AND (CAST(:event AS uuid) IS NULL OR v.dose_event_id = :event)
  AND (CAST(:after AS uuid) IS NULL OR (v.recorded_at, v.override_id) <
    (SELECT a.recorded_at, a.override_id FROM event_override a
        WHERE a.patient_id = :patient AND a.override_id = :after))
ORDER BY v.recorded_at DESC, v.override_id DESC LIMIT :most
"""
