"""Messages into the queue and out of it, in the transaction that causes it."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Session

from backend.database.sets import execute

# Crockford's base 32: nothing in it looks like something else.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
REFERENCE_LENGTH = 6
RESCHEDULED = "rescheduled"
# Withdrawn for one of these, a message comes back when it is planned again.
COMES_BACK = (RESCHEDULED, "snoozed", "ladder changed", "opted out")


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be, one a patient and dedup key; words come when it is sent.

    `due_at` and `valid_until` are domain time; `params` is what the words need and
    `why` what led to it. Neither names a drug.
    """

    patient_id: UUID
    clinic_id: UUID
    dedup_key: str
    kind: str
    recipient_id: UUID
    channel: str
    address: str
    due_at: datetime
    valid_until: datetime
    recipient_kind: str = "patient"
    language: str = "en"
    priority: int = 5
    params: Mapping[str, object] = field(default_factory=dict[str, object])
    why: Mapping[str, object] = field(default_factory=dict[str, object])


def enqueue(
    session: Session, drafts: Sequence[Draft], *, reopened: bool = False, now: datetime
) -> int:
    """Queue what is new and return how many rows that wrote; safe to repeat.

    A message that is still pending, or was cancelled for a reason of COMES_BACK,
    becomes what the draft says; anything else with that key stays. `reopened`: why it
    was cancelled no longer holds, so that whatever was never tried comes back.
    """
    if not drafts:
        return 0
    items = [
        {**asdict(draft), "message_id": uuid4(), "reference": reference()}
        for draft in drafts
    ]
    return execute(
        session, ENQUEUE, items, now=now, back=list(COMES_BACK), reopened=reopened
    )


def cancel(
    session: Session,
    subjects: Collection[tuple[UUID, str]],
    *,
    because: str,
    now: datetime,
) -> int:
    """Withdraw what waits of these (patient, beginning of dedup keys); return how many.

    What is pending is cancelled at once. What a worker holds is marked, and the worker
    skips it unless it is in the provider's hands already; an outcome that is unknown
    will not be sent again.
    """
    if not subjects:
        return 0
    items = [{"patient_id": patient, "subject": key} for patient, key in subjects]
    return execute(session, CANCEL, items, now=now, because=because)


def reference() -> str:
    """Return six signs by which a person and a provider's look-up find a message."""
    return "".join(secrets.choice(ALPHABET) for _ in range(REFERENCE_LENGTH))


ENQUEUE = """
INSERT INTO outbox_message AS known (
    message_id, patient_id, clinic_id, dedup_key, kind, recipient_kind, recipient_id,
    channel, address, language, priority, params, why, due_at, valid_until,
    state, attempt, reference, created_at)
SELECT message_id, patient_id, clinic_id, dedup_key, kind, recipient_kind, recipient_id,
    channel, address, language, priority, params, why, due_at, valid_until,
    'pending', 0, reference, :now
FROM rows(message_id uuid, patient_id uuid, clinic_id uuid, dedup_key text, kind text,
    recipient_kind text, recipient_id uuid, channel text, address text, language text,
    priority smallint, params jsonb, why jsonb, due_at timestamptz,
    valid_until timestamptz, reference text)
ORDER BY patient_id, dedup_key
ON CONFLICT (patient_id, dedup_key) DO UPDATE SET
    due_at = excluded.due_at, valid_until = excluded.valid_until,
    kind = excluded.kind, recipient_kind = excluded.recipient_kind,
    recipient_id = excluded.recipient_id, channel = excluded.channel,
    address = excluded.address, language = excluded.language,
    params = excluded.params, why = excluded.why, priority = excluded.priority,
    state = 'pending', settled_at = NULL
WHERE known.attempt = 0
  AND (known.due_at, known.valid_until, known.channel, known.params, known.state)
      IS DISTINCT FROM (excluded.due_at, excluded.valid_until, excluded.channel,
                        excluded.params, 'pending')
  AND (known.state = 'pending'
       OR known.state = 'cancelled'
          AND (:reopened OR known.why ->> 'cancelled' = ANY(:back)))
"""

# A range of the index in every collation: no name of a rung begins with a z.
CANCEL = """
WITH found AS (
    SELECT m.message_id
    FROM rows(patient_id uuid, subject text)
    JOIN outbox_message AS m ON m.patient_id = r.patient_id
        AND m.dedup_key >= r.subject AND m.dedup_key < r.subject || 'zz'
        AND starts_with(m.dedup_key, r.subject)
    WHERE m.state IN ('pending', 'leased', 'unknown')
    ORDER BY m.message_id
    FOR UPDATE OF m)
UPDATE outbox_message AS m
SET why = m.why || jsonb_build_object('cancelled', CAST(:because AS text)),
    state = CASE m.state WHEN 'pending' THEN 'cancelled' ELSE m.state END,
    settled_at = CASE m.state WHEN 'pending' THEN :now ELSE m.settled_at END
FROM found
WHERE m.message_id = found.message_id
"""
