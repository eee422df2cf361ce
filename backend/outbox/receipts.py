"""What a provider says later about a message it had accepted."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.live import touch

# Providers repeat themselves, mix up the order, and know more states than matter.
# A call that was answered is delivered, whoever or whatever answered.
ACCEPTED = frozenset({"accepted", "queued", "sending", "sent"}) | {
    *("initiated", "ringing", "in-progress")
}
DELIVERED = frozenset({"delivered", "read", "completed"})
FAILED = frozenset({"undelivered", "failed", "canceled", "busy", "no-answer"})


def receive(
    session: Session,
    *,
    message_id: UUID,
    provider_id: str,
    status: str,
    code: str | None,
    now: datetime,
    real: datetime,
) -> bool:
    """Keep a receipt and return whether it was new; the message follows it.

    Any receipt proves that the provider has the message, so an unknown outcome is
    known from here on. Delivered and failed are final, whatever comes after.
    """
    known = execute(
        session,
        KEEP,
        provider_id=provider_id,
        status=status,
        message_id=message_id,
        code=code,
        real=real,
    )
    state = _state(status)
    if not known or state is None:
        return bool(known)
    rows = fetch(
        session,
        FOLLOW,
        message_id=message_id,
        provider_id=provider_id,
        state=state,
        code=code,
        now=now,
    )
    touch(session, {row["clinic_id"]: {row["patient_id"]} for row in rows})
    return True


def _state(status: str) -> str | None:
    if status in DELIVERED:
        return "delivered"
    if status in FAILED:
        return "failed"
    return "sent" if status in ACCEPTED else None


KEEP = """
INSERT INTO receipt (provider_id, status, message_id, code, received_at)
VALUES (:provider_id, :status, :message_id, :code, :real)
ON CONFLICT DO NOTHING
"""

# A resend that is planned is not needed any more; a message of another acceptance
# (the first of two, reported as doubled) does not speak for this one.
FOLLOW = """
UPDATE outbox_message
SET state = :state, provider_id = :provider_id, code = :code, settled_at = :now,
    lease_until = NULL
WHERE message_id = :message_id
  AND (provider_id IS NULL OR provider_id = :provider_id)
  AND (state IN ('leased', 'unknown')
       OR state = 'pending' AND attempt > 0
       OR state = 'failed' AND code = 'unsure'
       OR state = 'sent' AND :state <> 'sent')
RETURNING clinic_id, patient_id
"""
