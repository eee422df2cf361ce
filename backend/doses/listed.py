"""The dose events of a patient with all that is known of each, for who may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import RowMapping, Uuid, literal_column, select, text
from sqlalchemy.orm import Mapped
from sqlmodel import Session

from backend.errors import NotFound, Unprocessable
from backend.people.readers import Reader, may_see


class BadCursor(Unprocessable):
    """The list cannot go on from there."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which events: since <= occurred_at < until, behind `after` in the list."""

    since: datetime | None = None
    until: datetime | None = None
    after: UUID | None = None


def listed(
    session: Session,
    reader: Reader,
    patient_id: UUID,
    stretch: Stretch,
    *,
    most: int,
    now: datetime,
) -> Sequence[RowMapping]:
    """Return up to `most` of a patient's dose events, the newest first, void included.

    Columns that begin with `device_`, `scheduled_`, `override_`, `void_` and `source_`
    tell of these; where there is none they are empty. Raises NotFound where the reader
    may not see the patient, or there is none; BadCursor where `after` is no event of
    theirs. One query says all of it.
    """
    whose: Mapped[UUID] = literal_column("p.patient_id", Uuid())  # pyright: ignore[reportAssignmentType]
    statement = (
        select(text("a.known, o.*"))
        .select_from(
            text(
                f"patient p CROSS JOIN LATERAL ({KNOWN}) a"
                f" LEFT JOIN LATERAL ({LISTED}) o ON true"
            )
        )
        .where(whose == patient_id, may_see(reader, whose, now=now))
        .order_by(text("o.occurred_at DESC, o.dose_event_id DESC"))
    )
    given = {
        "patient": patient_id,
        "since": stretch.since,
        "until": stretch.until,
        "after": stretch.after,
        "most": most,
    }
    rows = session.connection().execute(statement, given).mappings().all()
    if not rows:
        raise NotFound("There is no such patient.")
    if not rows[0]["known"]:
        raise BadCursor(
            "`after` is no dose event of this patient: give the `next` of a page."
        )
    return [row for row in rows if row["dose_event_id"] is not None]


KNOWN = """
SELECT CAST(:after AS uuid) IS NULL OR EXISTS (SELECT FROM dose_event a
    WHERE a.patient_id = :patient AND a.dose_event_id = :after) AS known
"""

LISTED = """
WITH page AS MATERIALIZED (
    SELECT * FROM dose_event e
    WHERE e.patient_id = :patient
      AND (CAST(:since AS timestamptz) IS NULL OR e.occurred_at >= :since)
      AND (CAST(:until AS timestamptz) IS NULL OR e.occurred_at < :until)
      AND (CAST(:after AS uuid) IS NULL OR (e.occurred_at, e.dose_event_id) <
        (SELECT a.occurred_at, a.dose_event_id FROM dose_event a
            WHERE a.patient_id = :patient AND a.dose_event_id = :after))
    ORDER BY e.occurred_at DESC, e.dose_event_id DESC LIMIT :most),
matched AS MATERIALIZED (  -- one pass over a patient's doses, not one an event
    SELECT * FROM scheduled_dose
    WHERE patient_id = :patient
      AND dose_event_id = ANY(ARRAY(SELECT dose_event_id FROM page)))
SELECT e.dose_event_id, e.regimen_id, g.drug, e.evidence, e.said, e.label,
    e.occurred_at, e.uncertainty_s, e.recorded_at, e.amount, e.unit, e.live,
    e.voided_at,
    e.device_id AS device_device_id, d.maker AS device_maker, d.model AS device_model,
    e.compartment AS device_compartment, e.epoch AS device_epoch,
    e.sequence AS device_sequence,
    s.occurrence AS scheduled_occurrence, s.dose_day AS scheduled_dose_day,
    s.due_at AS scheduled_due_at, s.window_from AS scheduled_window_from,
    s.window_until AS scheduled_window_until, s.label AS scheduled_label,
    w.override_id AS override_override_id, w.label AS override_label,
    w.reason AS override_reason, w.actor_id AS override_clinician_id,
    k.name AS override_clinician, w.at AS override_at,
    e.voided_at AS void_at, v.reason AS void_reason, v.actor_id AS void_by,
    CASE WHEN b.kind IS NOT NULL THEN b.kind WHEN e.device_id IS NULL THEN 'patient'
        ELSE 'import' END AS source_kind,
    r.bridge_id AS source_bridge_id, r.received_at AS source_received_at
FROM page e
LEFT JOIN regimen g USING (patient_id, regimen_id)
LEFT JOIN matched s ON s.regimen_id = e.regimen_id
    AND s.dose_event_id = e.dose_event_id
LEFT JOIN LATERAL (SELECT * FROM event_override o
    WHERE o.patient_id = :patient AND o.dose_event_id = e.dose_event_id
    ORDER BY o.recorded_at DESC, o.override_id DESC LIMIT 1) w ON w.label IS NOT NULL
LEFT JOIN clinician k ON k.clinician_id = w.actor_id
LEFT JOIN LATERAL (SELECT * FROM void o
    WHERE o.patient_id = :patient AND o.kind = 'dose_event'
      AND o.row_id = e.dose_event_id AND e.voided_at IS NOT NULL
    ORDER BY o.at DESC, o.void_id DESC LIMIT 1) v ON true
LEFT JOIN device d ON d.device_id = e.device_id
LEFT JOIN device_record r ON r.device_id = e.device_id AND r.epoch = e.epoch
    AND r.sequence = e.sequence
LEFT JOIN bridge b ON b.bridge_id = r.bridge_id
"""
