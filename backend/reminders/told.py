"""What a caregiver is told: that nobody answered, and only with a consent for them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch
from backend.outbox.message import Claimed, Dropped, Verdict, Worded
from backend.reminders.plan import CAREGIVER
from notifications.wording import say

NOT_ALLOWED = Dropped("cancelled", {"cancelled": "no consent to tell the caregiver"})


def caregivers(
    session: Session,
    claimed: Sequence[Claimed],
    said: Mapping[UUID, Verdict],
    now: datetime,
) -> dict[UUID, Verdict]:
    """Return what goes to caregivers instead of what `said` holds for them.

    Address, language and consent are those of the moment. They learn the given name
    and that a dose has no answer: neither the drug nor what it is for.
    """
    mine = [
        row
        for row in claimed
        if row.kind == CAREGIVER and isinstance(said[row.message_id], Worded)
    ]
    if not mine:
        return {}
    rows = fetch(
        session, THEIRS, [{"message_id": it.message_id} for it in mine], now=now
    )
    found = {row["message_id"]: row for row in rows}
    verdicts: dict[UUID, Verdict] = {}
    for one in mine:
        row, worded = found.get(one.message_id), said[one.message_id]
        if row is None or not isinstance(worded, Worded):
            verdicts[one.message_id] = NOT_ALLOWED
            continue
        body = say(
            CAREGIVER,
            row["language"],
            name=row["given_name"],
            reference=one.reference,
        )
        why = {**worded.why, "language": row["language"]}
        verdicts[one.message_id] = Worded(
            body, CAREGIVER, row["address"], why, to_caregiver=True
        )
    return verdicts


THEIRS = """
SELECT m.message_id, c.address, c.language, p.given_name
FROM rows(message_id uuid)
JOIN outbox_message AS m USING (message_id)
JOIN patient AS p ON p.patient_id = m.patient_id
JOIN caregiver AS c ON c.patient_id = m.patient_id AND c.caregiver_id = m.recipient_id
    AND c.since <= :now AND (c.until IS NULL OR c.until > :now)
WHERE EXISTS (
    SELECT FROM consent AS s
    WHERE s.patient_id = m.patient_id AND s.purpose = 'caregiver'
      AND s.recipient_id = c.caregiver_id AND s.since <= :now
      AND (s.until IS NULL OR s.until > :now))
"""
