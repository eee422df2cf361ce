"""Which message a patient answers, and of which doses it spoke."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch
from backend.doses.changes import OPEN

# So long after its window a reminder is still what somebody answers.
STILL_MEANT = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class Dose:
    """A dose a message spoke of, as it stands now."""

    regimen_id: UUID
    occurrence: str
    due_at: datetime
    window_until: datetime
    zone: str
    label: str
    criticality: str
    snoozes: int

    @property
    def open(self) -> bool:
        return self.label in OPEN


@dataclass(frozen=True, slots=True)
class Asked:
    """A message to a patient and the doses it spoke of."""

    message_id: UUID
    channel: str
    address: str
    doses: tuple[Dose, ...]


def asked(
    session: Session,
    patient_id: UUID,
    *,
    message_id: UUID | None,
    reference: str = "",
    now: datetime,
) -> Asked | None:
    """Return the reminder that an answer means: the one named, else the latest sent.

    None when the patient was not reminded of anything lately. Of several doses that
    went in one message it is about all.
    """
    rows = fetch(
        session,
        MESSAGE,
        patient=patient_id,
        message=message_id,
        reference=reference,
        since=now - STILL_MEANT,
    )
    if not rows:
        return None
    (row,) = rows
    return Asked(
        row["message_id"],
        row["params"].get("listed", row["channel"]),
        row["address"],
        _doses(session, patient_id, row["message_id"]),
    )


def _doses(session: Session, patient_id: UUID, message_id: UUID) -> tuple[Dose, ...]:
    rows = fetch(
        session,
        OF_MESSAGE,
        patient=patient_id,
        message=message_id,
        speaker=str(message_id),
    )
    return tuple(Dose(**row) for row in rows)


# The one named, by id or by the reference it quotes, goes before the latest.
MESSAGE = """
SELECT message_id, channel, address, params FROM outbox_message
WHERE patient_id = :patient AND recipient_kind = 'patient'
  AND starts_with(dedup_key, 'dose/')
  AND state IN ('leased', 'sent', 'delivered', 'unknown', 'failed')
  AND (message_id = :message OR reference = :reference OR valid_until > :since)
ORDER BY (message_id = :message) IS TRUE DESC, reference = :reference DESC,
    started_at DESC NULLS LAST, due_at DESC
LIMIT 1
"""

OF_MESSAGE = """
SELECT d.regimen_id, d.occurrence, d.due_at, d.window_until, d.zone, d.label,
       g.criticality,
       (SELECT count(*) FROM reminder_answer AS a
        WHERE a.patient_id = d.patient_id AND a.regimen_id = d.regimen_id
          AND a.occurrence = d.occurrence AND a.kind = 'snooze') AS snoozes
FROM outbox_message AS m
JOIN scheduled_dose AS d ON d.patient_id = m.patient_id
    AND d.regimen_id = CAST(m.params ->> 'regimen_id' AS uuid)
    AND d.occurrence = m.params ->> 'occurrence'
JOIN regimen AS g ON g.patient_id = d.patient_id AND g.regimen_id = d.regimen_id
WHERE m.patient_id = :patient AND d.due_at IS NOT NULL
  AND (m.message_id = :message OR m.params ->> 'behind' = :speaker)
ORDER BY d.due_at, d.regimen_id
"""
