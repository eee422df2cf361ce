"""One reminder for each timed dose of a patient who wants them, planned ahead.

Whether it goes, and what it says, is decided when it is due: see `word`.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session, col, select

from backend.database.sets import fetch
from backend.outbox.enqueue import Draft, cancel, enqueue
from backend.regimens.tables import ScheduledDose

LATE = "late"
DELAY = timedelta(minutes=30)
PRIORITY = {"critical": 1, "high": 3, "standard": 5}


def plan(session: Session, doses: Sequence[ScheduledDose], *, now: datetime) -> int:
    """Queue the reminders of these doses and return how many rows that wrote.

    None for doses without a time, for patients without consent or contact, and none
    whose moment has passed: history never rings.
    """
    items = [
        {
            "patient_id": dose.patient_id,
            "regimen_id": dose.regimen_id,
            "occurrence": dose.occurrence,
        }
        for dose in doses
        if dose.due_at is not None
    ]
    if not items:
        return 0
    return enqueue(session, _drafts(session, items, now), now=now)


def reopen(
    session: Session, doses: Collection[tuple[UUID, UUID, str]], *, now: datetime
) -> int:
    """Queue again the reminders of (patient, regimen, occurrence) held for taken.

    As it was planned, while its moment lies ahead; one that was ever tried stays.
    """
    if not doses:
        return 0
    items = [
        {"patient_id": patient_id, "regimen_id": regimen_id, "occurrence": occurrence}
        for patient_id, regimen_id, occurrence in doses
    ]
    return enqueue(session, _drafts(session, items, now), reopened=True, now=now)


def replan(session: Session, patient_ids: Collection[UUID], *, now: datetime) -> int:
    """Queue what is missing for the doses ahead of these patients; safe to repeat.

    For whoever has just consented, or given an address.
    """
    ahead = select(ScheduledDose).where(
        col(ScheduledDose.patient_id).in_(patient_ids),
        col(ScheduledDose.label) == "pending",
        col(ScheduledDose.window_until) > now,
    )
    return plan(session, session.exec(ahead).all(), now=now)


def cancel_for(
    session: Session,
    doses: Collection[tuple[UUID, UUID, str]],
    *,
    because: str,
    now: datetime,
) -> int:
    """Withdraw the reminders of these (patient, regimen, occurrence); return how many.

    Because of `rescheduled`, a later plan of the same dose may bring one back; because
    the dose was taken, only `reopen`.
    """
    keys = {
        (patient_id, dedup_key(regimen_id, occurrence))
        for patient_id, regimen_id, occurrence in doses
    }
    return cancel(session, keys, because=because, now=now)


def dedup_key(regimen_id: UUID, occurrence: str) -> str:
    return f"dose/{regimen_id}/{occurrence}/{LATE}"


def remind_at(
    due_at: datetime, window_until: datetime, remind_after: timedelta
) -> datetime | None:
    """Return when to remind: after the delay, half the window where that is shorter.

    None when the window closes with the dose.
    """
    window = window_until - due_at
    if window <= timedelta(0):
        return None
    return due_at + (remind_after if remind_after < window else window / 2)


def _drafts(
    session: Session, items: Sequence[Mapping[str, object]], now: datetime
) -> list[Draft]:
    rows = fetch(session, PLANNED, items, now=now)
    return [draft for row in rows if (draft := _draft(row, now=now)) is not None]


def _draft(row: RowMapping, *, now: datetime) -> Draft | None:
    seconds = row["remind_after_s"]
    delay = DELAY if seconds is None else timedelta(seconds=seconds)
    at = remind_at(row["due_at"], row["window_until"], delay)
    if at is None or at <= now:
        return None
    return Draft(
        patient_id=row["patient_id"],
        clinic_id=row["clinic_id"],
        dedup_key=dedup_key(row["regimen_id"], row["occurrence"]),
        kind=LATE,
        recipient_id=row["patient_id"],
        channel=row["channel"],
        address=row["address"],
        due_at=at,
        valid_until=row["window_until"],
        priority=PRIORITY.get(row["criticality"], 5),
        params={"regimen_id": row["regimen_id"], "occurrence": row["occurrence"]},
        why={"rung": LATE, "dose_due_at": row["due_at"], "delay_s": delay.seconds},
    )


PLANNED = """
SELECT d.patient_id, d.regimen_id, d.occurrence, d.due_at, d.window_until,
       g.clinic_id, g.criticality, v.remind_after_s, contact.channel, contact.address
FROM rows(patient_id uuid, regimen_id uuid, occurrence text)
JOIN scheduled_dose AS d USING (patient_id, regimen_id, occurrence)
JOIN regimen AS g ON g.patient_id = d.patient_id AND g.regimen_id = d.regimen_id
JOIN regimen_version AS v ON v.patient_id = d.patient_id
    AND v.regimen_id = d.regimen_id AND v.version = d.version
JOIN LATERAL (
    SELECT channel, address FROM contact_point AS c
    WHERE c.patient_id = d.patient_id AND c.since <= :now
      AND (c.until IS NULL OR c.until > :now) AND c.channel = 'sms'
    ORDER BY c.rank, c.since DESC LIMIT 1) AS contact ON true
WHERE d.label = 'pending' AND d.window_until > :now AND d.due_at IS NOT NULL
  AND EXISTS (
    SELECT FROM consent AS s
    WHERE s.patient_id = d.patient_id AND s.purpose = 'reminders'
      AND s.recipient_id = g.clinic_id AND s.since <= :now
      AND (s.until IS NULL OR s.until > :now))
"""
