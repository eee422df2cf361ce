"""What any message says at the moment it goes: reminders, and warnings of limits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import fetch
from backend.ingest.guard import KIND, watched
from backend.outbox.message import Claimed, Dropped, Verdict, Worded
from backend.reminders.word import word as word_reminders
from notifications.wording import say, say_instant


def word(
    session: Session, claimed: Sequence[Claimed], now: datetime
) -> Mapping[UUID, Verdict]:
    """Return what each claimed message says, or why it is dropped.

    One round trip for reminders, and three more where limits were passed.
    """
    said = dict(word_reminders(session, claimed, now))
    mine = [row for row in claimed if row.kind == KIND]
    if mine:
        said |= _limits(session, mine, now)
    return said


def _limits(
    session: Session, rows: Sequence[Claimed], now: datetime
) -> dict[UUID, Verdict]:
    items = [
        {
            "message_id": row.message_id,
            "patient_id": row.patient_id,
            "clinic_id": row.clinic_id,
            "channel": row.channel,
            "address": row.address,
            "dose_event_id": row.params["dose_event_id"],
        }
        for row in rows
    ]
    known = {row["message_id"]: row for row in fetch(session, REACHED, items, now=now)}
    beyond = {
        one.row["dose_event_id"] for one in watched(session, items) if one.limits()
    }
    return {
        row.message_id: _say(row, known[row.message_id], now)
        if UUID(str(row.params["dose_event_id"])) in beyond
        else Dropped("cancelled", {"cancelled": "the dose was within limits"})
        for row in rows
    }


def _say(row: Claimed, known: RowMapping, now: datetime) -> Verdict:
    if not known["consented"]:
        return Dropped("cancelled", {"cancelled": "no consent to reminders"})
    if known["address"] is None:
        return Dropped("cancelled", {"cancelled": "no address"})
    language = known["language"] or row.language
    zone = ZoneInfo(known["zone"])
    until = say_instant(
        row.valid_until.astimezone(zone), language, today=now.astimezone(zone)
    )
    body = say(KIND, language, until=until, reference=row.reference)
    return Worded(body, KIND, known["address"], {"language": language})


REACHED = """
SELECT r.message_id,
    (SELECT p.language FROM patient_language p
     WHERE p.patient_id = r.patient_id AND p.effective_from <= :now
     ORDER BY p.effective_from DESC LIMIT 1) AS language,
    COALESCE((SELECT z.zone FROM patient_zone z
     WHERE z.patient_id = r.patient_id AND z.effective_from <= :now
     ORDER BY z.effective_from DESC LIMIT 1), c.zone) AS zone,
    (SELECT t.address FROM contact_point t
     WHERE t.patient_id = r.patient_id AND t.channel = r.channel AND t.since <= :now
       AND (t.until IS NULL OR t.until > :now)
     ORDER BY t.address = r.address DESC, t.rank, t.since DESC LIMIT 1) AS address,
    EXISTS (SELECT FROM consent s
     WHERE s.patient_id = r.patient_id AND s.purpose = 'reminders'
       AND s.recipient_id = r.clinic_id AND s.since <= :now
       AND (s.until IS NULL OR s.until > :now)) AS consented
FROM rows(message_id uuid, patient_id uuid, clinic_id uuid, channel text, address text)
JOIN clinic c USING (clinic_id)
"""
