"""Store changed labels, and keep why each of them changed."""

from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

from sqlmodel import Session

from backend.database.sets import execute
from backend.doses.changes import DoseChange, EventChange


def relabel(
    session: Session,
    doses: Sequence[DoseChange],
    events: Sequence[EventChange],
    *,
    now: datetime,
) -> None:
    """Write the new labels and one `label_change` row for each that is another word."""
    if doses:
        _relabel_doses(session, doses, now)
    if events:
        execute(
            session,
            """UPDATE dose_event e SET label = r.label
            FROM rows(patient_id uuid, dose_event_id uuid, label text)
            WHERE e.patient_id = r.patient_id
              AND e.dose_event_id = r.dose_event_id""",
            [
                {
                    "patient_id": change.patient_id,
                    "dose_event_id": change.dose_event_id,
                    "label": change.after,
                }
                for change in events
            ],
        )


def _relabel_doses(
    session: Session, doses: Sequence[DoseChange], now: datetime
) -> None:
    items: list[dict[str, object]] = [
        {
            "patient_id": change.patient_id,
            "regimen_id": change.regimen_id,
            "occurrence": change.occurrence,
            "before": change.before,
            "after": change.after,
            "dose_event_id": change.dose_event_id,
            "check_at": change.check_at,
            "change_id": uuid4(),
            "because": dict(change.because),
        }
        for change in doses
    ]
    execute(
        session,
        """UPDATE scheduled_dose s
        SET label = r.after, dose_event_id = r.dose_event_id, check_at = r.check_at,
            labelled_at = CASE WHEN r.before = r.after THEN s.labelled_at ELSE :now END
        FROM rows(patient_id uuid, regimen_id uuid, occurrence text, before text,
                  after text, dose_event_id uuid, check_at timestamptz)
        WHERE s.patient_id = r.patient_id AND s.regimen_id = r.regimen_id
          AND s.occurrence = r.occurrence""",
        items,
        now=now,
    )
    execute(
        session,
        """INSERT INTO label_change (patient_id, change_id, regimen_id, occurrence,
            before, after, dose_event_id, at, recorded_at, because)
        SELECT patient_id, change_id, regimen_id, occurrence, before, after,
            dose_event_id, :now, clock_timestamp(), because
        FROM rows(patient_id uuid, change_id uuid, regimen_id uuid, occurrence text,
                  before text, after text, dose_event_id uuid, because jsonb)
        WHERE before <> after""",
        items,
        now=now,
    )
