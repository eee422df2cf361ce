"""What an operator is told by webhook: trouble with a provider, and nobody's name."""

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import fetch
from backend.outbox.enqueue import Draft, enqueue
from backend.outbox.message import Claimed, Verdict, Worded
from backend.settings import settings
from notifications.wording import say

log = logging.getLogger(__name__)

OPERATOR, WEBHOOK = "operator", "webhook"
FILTERED = "operator_filtered"
ONCE_IN = timedelta(hours=1)
VALID = timedelta(days=1)
LANGUAGE = "en"  # operators are told what logs say, in their language


def tell_operator(
    session: Session, key: str, row: RowMapping, *, now: datetime
) -> bool:
    """Log that a message met with trouble, and queue a call to the operator's webhook.

    One an hour and clinic: a carrier that filters does so by the hundred. False when
    nothing was queued.
    """
    log.error("operator to look", extra={"what": key, "code": row["code"]})
    address = settings().webhook_url
    if address is None:
        return False
    before = fetch(
        session,
        TOLD,
        clinic=row["clinic_id"],
        since=now - ONCE_IN,
        kind=OPERATOR,
        what=key,
    )
    if before:
        return False
    notice = Draft(
        patient_id=row["patient_id"],
        clinic_id=row["clinic_id"],
        dedup_key=f"{OPERATOR}/{key}/{now:%Y-%m-%dT%H}",
        kind=OPERATOR,
        recipient_kind=OPERATOR,
        recipient_id=row["clinic_id"],
        channel=WEBHOOK,
        address=address,
        due_at=now,
        valid_until=now + VALID,
        language=LANGUAGE,
        params={"key": key, "code": row["code"]},
        why={"rung": OPERATOR},
    )
    return bool(enqueue(session, [notice], now=now))


def word_notices(claimed: Sequence[Claimed]) -> Mapping[UUID, Verdict]:
    """Return what the notices among these messages say."""
    return {
        row.message_id: Worded(
            say(
                str(row.params["key"]),
                row.language,
                code=str(row.params["code"]),
                reference=row.reference,
            ),
            row.kind,
            row.address,
            {},
        )
        for row in claimed
        if row.kind == OPERATOR
    }


TOLD = """
SELECT FROM outbox_message
WHERE clinic_id = :clinic AND due_at > :since AND kind = :kind
  AND params ->> 'key' = :what
LIMIT 1
"""
