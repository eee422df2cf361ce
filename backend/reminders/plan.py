"""The rungs of every timed dose of a patient who wants reminders, planned ahead.

Whether one goes, and what it says, is decided when it is due: see `word`. Planning
looks at all doses ahead of a patient, for those that are due together go together.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.outbox.enqueue import Draft, cancel, enqueue
from backend.regimens.tables import ScheduledDose
from backend.reminders.climb import NONE, Due, Rung, rungs
from backend.reminders.ladder import Ladder, default_ladder, ladder_of
from backend.reminders.person import Contact, Person, persons

NUDGE, LATE, CAREGIVER, UNANSWERED = "nudge", "late", "caregiver", "unanswered"
PRIORITY = {"critical": 1, "high": 3, "standard": 5}
APART = timedelta(seconds=1)  # the first of those that go together is claimed first
CHANGED = "ladder changed"

DoseKey = tuple[UUID, UUID, str]  # patient, regimen, occurrence


def plan(session: Session, doses: Sequence[ScheduledDose], *, now: datetime) -> int:
    """Queue the rungs of these doses and return how many rows that wrote.

    None for doses without a time, for patients without consent or contact, and none
    whose moment has passed: history never rings.
    """
    timed = {dose.patient_id for dose in doses if dose.due_at is not None}
    return replan(session, timed, now=now)


def replan(session: Session, patient_ids: Collection[UUID], *, now: datetime) -> int:
    """Queue what is missing for the doses ahead of these patients; safe to repeat.

    For whoever has just consented, given an address, or answered.
    """
    if not patient_ids:
        return 0
    return enqueue(session, _drafts(session, patient_ids, now), now=now)


def renew(
    session: Session,
    patient_ids: Collection[UUID],
    *,
    because: str = CHANGED,
    now: datetime,
) -> None:
    """Plan anew, and withdraw what waits and is not planned any more.

    For whoever changed a ladder, or an address. What is due already, or was tried, goes
    as it is.
    """
    drafts = _drafts(session, patient_ids, now)
    wanted: defaultdict[UUID, list[str]] = defaultdict(list)
    for draft in drafts:
        wanted[draft.patient_id].append(draft.dedup_key)
    ahead = [
        {
            "patient_id": row["patient_id"],
            "subject": subject(row["regimen_id"], row["occurrence"]),
            "wanted": wanted[row["patient_id"]],
        }
        for row in fetch(session, DOSES, ids=sorted(patient_ids), now=now)
    ]
    execute(session, WITHDRAW, ahead, because=because, now=now)
    enqueue(session, drafts, now=now)


def hush(session: Session, patient_id: UUID) -> None:
    """Have what waits to go another way heed the pauses as they stand now.

    No plan holds it: rungs are told by `replan`.
    """
    execute(session, HUSH, patient=patient_id)


def reopen(session: Session, doses: Collection[DoseKey], *, now: datetime) -> int:
    """Queue again the rungs of doses that were held for taken, as they were planned.

    While their moments lie ahead; one that was ever tried stays.
    """
    if not doses:
        return 0
    patients = {patient_id for patient_id, _, _ in doses}
    theirs = {(patient, subject(regimen, key)) for patient, regimen, key in doses}
    drafts = [
        draft
        for draft in _drafts(session, patients, now)
        if (draft.patient_id, draft.dedup_key.rpartition("/")[0] + "/") in theirs
    ]
    return enqueue(session, drafts, reopened=True, now=now)


def cancel_for(
    session: Session, doses: Collection[DoseKey], *, because: str, now: datetime
) -> int:
    """Withdraw every rung of these doses that waits; return how many.

    Because of `rescheduled` or `snoozed`, a later plan of the same dose may bring them
    back; because the dose was taken, only `reopen`.
    """
    subjects = {
        (patient_id, subject(regimen_id, occurrence))
        for patient_id, regimen_id, occurrence in doses
    }
    return cancel(session, subjects, because=because, now=now)


def subject(regimen_id: UUID, occurrence: str) -> str:
    """Return what the dedup keys of a dose's rungs begin with."""
    return f"dose/{regimen_id}/{occurrence}/"


def ladder(row: RowMapping) -> Ladder:
    """Return the ladder of a regimen: the one written for it, or that of its drug.

    `row` holds criticality, remind_after_s, steps and ladder_version.
    """
    if row["steps"]:
        return ladder_of(row["steps"], f"regimen/{row['ladder_version']}")
    seconds = row["remind_after_s"]
    after = None if seconds is None else timedelta(seconds=seconds)
    return default_ladder(row["criticality"], after)


def _drafts(
    session: Session, patient_ids: Collection[UUID], now: datetime
) -> list[Draft]:
    who = persons(session, patient_ids, now=now)
    drafts: list[Draft] = []
    for row in fetch(session, DOSES, ids=sorted(who), now=now) if who else ():
        drafts += _of_dose(row, who[row["patient_id"]], now)
    return _together(drafts)


def _of_dose(row: RowMapping, person: Person, now: datetime) -> Iterable[Draft]:
    dose = row["regimen_id"], row["occurrence"]
    if dose in person.skipped:
        return
    climbed = ladder(row)
    due = Due(
        row["due_at"],
        row["window_until"],
        tuple(person.holds.get(dose, ())),
        None if row["criticality"] == "critical" else person.quiet,
        NONE if row["fixed"] else person.shift(row["regimen_id"], row["local_time"]),
    )
    for rung in rungs(climbed.steps, due):
        contact = person.contact(rung.step)
        if contact is not None and rung.at > now:
            paused = person.paused(rung.at)
            silenced = replace(rung, silent="paused") if paused else rung
            yield _draft(row, silenced, contact, climbed)


def _draft(row: RowMapping, rung: Rung, contact: Contact, climbed: Ladder) -> Draft:
    step = rung.step
    params: dict[str, object] = {
        "regimen_id": str(row["regimen_id"]),
        "occurrence": row["occurrence"],
    }
    if contact.listed != step.channel:
        params["listed"] = contact.listed
    if rung.silent:
        params["silent"] = rung.silent
    return Draft(
        patient_id=row["patient_id"],
        clinic_id=row["clinic_id"],
        dedup_key=subject(row["regimen_id"], row["occurrence"]) + step.rung,
        kind=_kind(rung, row["due_at"]),
        recipient_kind=step.recipient,
        recipient_id=contact.recipient_id,
        channel=step.channel,
        address=contact.address,
        language=contact.language or "en",
        due_at=rung.at,
        valid_until=rung.valid_until,
        priority=PRIORITY.get(row["criticality"], 5),
        params=params,
        why={
            "rung": step.rung,
            "ladder": climbed.origin,
            "dose_due_at": row["due_at"].isoformat(),
            "delay_s": int((rung.at - row["due_at"]).total_seconds()),
            **({"moved": rung.moved} if rung.moved else {}),
        },
    )


def _kind(rung: Rung, due_at: datetime) -> str:
    match rung.step.recipient:
        case "clinic":
            return UNANSWERED
        case "caregiver":
            return CAREGIVER
        case "patient":
            return NUDGE if rung.at <= due_at else LATE


def _together(drafts: Sequence[Draft]) -> list[Draft]:
    """Let those that go to one address at one moment know of each other.

    They go a second apart, the most critical first: it takes the others with it.
    """
    groups: defaultdict[tuple[object, ...], list[Draft]] = defaultdict(list)
    for one in drafts:
        alone = one.dedup_key if one.kind == UNANSWERED or "silent" in one.params else 0
        groups[
            one.patient_id, one.due_at, one.channel, one.address, one.kind, alone
        ].append(one)
    told: list[Draft] = []
    for group in groups.values():
        ordered = sorted(group, key=lambda one: (one.priority, one.dedup_key))
        told += [_with(one, n, ordered) for n, one in enumerate(ordered)]
    return told


def _with(one: Draft, number: int, group: Sequence[Draft]) -> Draft:
    if len(group) == 1:
        return one
    params = {**one.params, "with": [it.dedup_key for it in group]}
    return replace(one, due_at=one.due_at + number * APART, params=params)


DOSES = """
SELECT d.patient_id, d.regimen_id, d.occurrence, d.due_at, d.window_until,
       substr(d.local_time, 12, 5) AS local_time, g.clinic_id, g.criticality,
       v.remind_after_s, l.steps, l.version AS ladder_version, l.fixed
FROM scheduled_dose AS d
JOIN regimen AS g ON g.patient_id = d.patient_id AND g.regimen_id = d.regimen_id
JOIN regimen_version AS v ON v.patient_id = d.patient_id
    AND v.regimen_id = d.regimen_id AND v.version = d.version
LEFT JOIN LATERAL (
    SELECT steps, version, fixed FROM regimen_ladder AS l
    WHERE l.patient_id = d.patient_id AND l.regimen_id = d.regimen_id
    ORDER BY version DESC LIMIT 1) AS l ON true
WHERE d.patient_id = ANY(:ids) AND d.label IN ('pending', 'late', 'unknown')
  AND d.window_until > :now AND d.due_at IS NOT NULL
ORDER BY d.patient_id, d.due_at, d.regimen_id
"""

WITHDRAW = """
UPDATE outbox_message AS m
SET state = 'cancelled', settled_at = :now,
    why = m.why || jsonb_build_object('cancelled', CAST(:because AS text))
FROM rows(patient_id uuid, subject text, wanted text[])
WHERE m.patient_id = r.patient_id AND m.state = 'pending'
  AND m.due_at > :now AND m.attempt = 0
  AND NOT m.params ? 'behind' AND NOT m.why ? 'after'
  AND m.dedup_key >= r.subject AND m.dedup_key < r.subject || 'zz'
  AND starts_with(m.dedup_key, r.subject) AND m.dedup_key <> ALL (r.wanted)
"""

HUSH = """
UPDATE outbox_message AS m
SET params = CASE WHEN EXISTS (
        SELECT FROM reminder_pause AS p
        WHERE p.patient_id = m.patient_id AND p.since <= m.due_at
          AND coalesce(p.ended_at, p.until, 'infinity') > m.due_at)
    THEN m.params || '{"silent": "paused"}' ELSE m.params - 'silent' END
WHERE m.patient_id = :patient AND m.state = 'pending' AND m.why ? 'after'
"""
