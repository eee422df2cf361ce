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
    """Whose number it is, and the last message that went there, if any.

    `spoken_to`: that message is recent enough for a bare answer. `caregiver_id`: it is
    somebody whom the patient named.
    """

    patient_id: UUID
    clinic_id: UUID
    language: str
    message_id: UUID | None = None
    spoken_to: bool = False
    caregiver_id: UUID | None = None


def senders(session: Session, address: str, *, now: datetime) -> list[Sender]:
    """Return the patients whose number this is, whoever was written to last first.

    Also those who stopped our messages there. Mostly it is one person's; a couple
    may share one, or a mother and her children.
    """
    rows = fetch(
        session, SENDERS, address=address, now=now, since=now - ANSWERED_WITHIN
    )
    return [Sender(**row) for row in rows]


def caregivers(session: Session, address: str, *, now: datetime) -> list[Sender]:
    """Return the caregivers whose number this is, one for each patient of theirs."""
    rows = fetch(session, CAREGIVERS, address=address, now=now)
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
    """Return whom a message went to, None when they are nobody's any more.

    That is a patient in our care, or a caregiver whom one still names.
    """
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
FROM (SELECT patient_id FROM contact_point
      WHERE address = :address AND channel IN ('sms', 'voice')
        AND since <= :now AND (until IS NULL OR until > :now)
      UNION SELECT patient_id FROM opt_out
      WHERE address = :address AND channel = 'sms' AND until IS NULL) AS c
JOIN patient AS p ON p.patient_id = c.patient_id AND p.erased_at IS NULL
LEFT JOIN LATERAL (
    SELECT message_id, due_at FROM outbox_message AS o
    WHERE o.patient_id = p.patient_id AND o.address = :address
      AND o.recipient_kind = 'patient' AND o.attempt > 0 AND o.due_at <= :now
    ORDER BY o.due_at DESC, o.message_id LIMIT 1) AS m ON true
ORDER BY m.due_at DESC NULLS LAST, p.patient_id
"""  # noqa: S608

CAREGIVERS = """
SELECT c.patient_id, p.clinic_id, c.language, c.caregiver_id
FROM caregiver AS c JOIN patient AS p USING (patient_id)
WHERE c.address = :address AND c.channel IN ('sms', 'voice') AND p.erased_at IS NULL
  AND c.since <= :now AND (c.until IS NULL OR c.until > :now)
ORDER BY c.patient_id, c.caregiver_id
"""

QUOTED = """
SELECT patient_id, message_id FROM outbox_message
WHERE patient_id = ANY(:patients) AND address = :address AND reference = :reference
  AND recipient_kind = 'patient' AND attempt > 0
ORDER BY due_at DESC LIMIT 1
"""

ADDRESSEE = f"""
SELECT p.patient_id, p.clinic_id, {SPOKEN}, m.message_id, true AS spoken_to,
    m.address, m.reference, NULL::uuid AS caregiver_id
FROM outbox_message AS m JOIN patient AS p USING (patient_id)
WHERE m.message_id = :message_id AND m.recipient_kind = 'patient'
  AND p.erased_at IS NULL
UNION ALL
SELECT p.patient_id, p.clinic_id, c.language, m.message_id, true, m.address,
    m.reference, c.caregiver_id
FROM outbox_message AS m JOIN patient AS p USING (patient_id)
JOIN caregiver AS c ON c.patient_id = m.patient_id AND c.caregiver_id = m.recipient_id
WHERE m.message_id = :message_id AND m.recipient_kind = 'caregiver'
  AND p.erased_at IS NULL AND c.since <= :now AND (c.until IS NULL OR c.until > :now)
"""  # noqa: S608
