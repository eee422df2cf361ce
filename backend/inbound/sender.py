"""Who wrote, and which message they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch

# How long after a message a bare "taken" is an answer to it.
ANSWERED_WITHIN = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Sender:
    """A patient whose number it is, and the last message that went there, if any.

    `spoken_to`: that message is recent enough for a bare answer.
    """

    patient_id: UUID
    clinic_id: UUID
    language: str
    message_id: UUID | None
    spoken_to: bool


def senders(session: Session, address: str, *, now: datetime) -> list[Sender]:
    """Return the patients who are reached by this number, whoever was written to last.

    Mostly one; a couple or a mother and her children may share one.
    """
    rows = fetch(
        session, SENDERS, address=address, now=now, since=now - ANSWERED_WITHIN
    )
    return [Sender(**row) for row in rows]


def quoted(
    session: Session, among: Sequence[Sender], address: str, reference: str
) -> tuple[UUID, UUID] | None:
    """Return (patient, message) of a reference that went to this number, or None."""
    rows = fetch(
        session,
        QUOTED,
        patients=[sender.patient_id for sender in among],
        address=address,
        reference=reference,
    )
    return (rows[0]["patient_id"], rows[0]["message_id"]) if rows else None


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a message went to, at which address, by which reference."""

    sender: Sender
    address: str
    reference: str


def addressee(session: Session, message_id: UUID, *, now: datetime) -> Addressee | None:
    """Return whom a message went to; None unless that is a patient in our care."""
    rows = fetch(session, ADDRESSEE, message_id=message_id, now=now)
    if not rows:
        return None
    row = dict(rows[0])
    address, reference = row.pop("address"), row.pop("reference")
    return Addressee(Sender(**row), address, reference)


SPOKEN = """
coalesce((SELECT l.language FROM patient_language AS l
    WHERE l.patient_id = p.patient_id AND l.effective_from <= :now
    ORDER BY l.effective_from DESC LIMIT 1), 'en') AS language
"""

SENDERS = f"""
SELECT p.patient_id, p.clinic_id, {SPOKEN}, m.message_id,
    coalesce(m.due_at > :since, false) AS spoken_to
FROM (SELECT DISTINCT patient_id FROM contact_point
      WHERE address = :address AND channel IN ('sms', 'voice')
        AND since <= :now AND (until IS NULL OR until > :now)) AS c
JOIN patient AS p ON p.patient_id = c.patient_id AND p.erased_at IS NULL
LEFT JOIN LATERAL (
    SELECT message_id, due_at FROM outbox_message AS o
    WHERE o.patient_id = p.patient_id AND o.address = :address
      AND o.recipient_kind = 'patient' AND o.attempt > 0 AND o.due_at <= :now
    ORDER BY o.due_at DESC, o.message_id LIMIT 1) AS m ON true
ORDER BY m.due_at DESC NULLS LAST, p.patient_id
"""  # noqa: S608

QUOTED = """
SELECT patient_id, message_id FROM outbox_message
WHERE patient_id = ANY(:patients) AND address = :address AND reference = :reference
  AND recipient_kind = 'patient' AND attempt > 0
ORDER BY due_at DESC LIMIT 1
"""

ADDRESSEE = f"""
SELECT p.patient_id, p.clinic_id, {SPOKEN}, m.message_id, true AS spoken_to,
    m.address, m.reference
FROM outbox_message AS m JOIN patient AS p USING (patient_id)
WHERE m.message_id = :message_id AND m.recipient_kind = 'patient'
  AND p.erased_at IS NULL
"""  # noqa: S608
