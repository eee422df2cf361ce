"""What planning must know of patients: how they are reached, and when they are not."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import fetch
from backend.people.zones import zone_at, zone_history
from backend.reminders.climb import NONE, Hold
from backend.reminders.ladder import WORKLIST, Step
from backend.reminders.quiet import Quiet

# A reply lies within the window of its dose, and no window is as long.
ANSWERS_SINCE = timedelta(days=3)
ReminderOf = tuple[UUID, str]  # regimen and occurrence


class Contact(NamedTuple):
    """Whom a step reaches; `listed` is the channel under which the address stands."""

    recipient_id: UUID
    address: str
    listed: str
    language: str | None = None


@dataclass(slots=True)
class Person:
    """One patient's wishes, as of the moment of planning."""

    patient_id: UUID
    clinic_id: UUID
    contacts: dict[str, Contact] = field(default_factory=dict[str, Contact])
    caregivers: list[Contact] = field(default_factory=list[Contact])
    quiet: Quiet | None = None
    adaptive: bool = False
    pauses: list[tuple[datetime, datetime | None]] = field(
        default_factory=list[tuple[datetime, datetime | None]]
    )
    holds: defaultdict[ReminderOf, list[Hold]] = field(
        default_factory=lambda: defaultdict[ReminderOf, list[Hold]](list)
    )
    skipped: set[ReminderOf] = field(default_factory=set[ReminderOf])
    shifts: dict[tuple[UUID, str], timedelta] = field(
        default_factory=dict[tuple[UUID, str], timedelta]
    )

    def contact(self, step: Step) -> Contact | None:
        """Return whom a step reaches now, None for nobody.

        A call goes to the number for texts where none is given for calls; the second
        step for a caregiver to the second one.
        """
        match step.recipient:
            case "clinic":
                return Contact(self.clinic_id, WORKLIST, WORKLIST)
            case "caregiver":
                number = int(step.rung.partition("-")[2] or 1) - 1
                fitting = [
                    one for one in self.caregivers if _listed(step.channel, one.listed)
                ]
                return fitting[number] if number < len(fitting) else None
            case "patient":
                texts = "sms" if step.channel == "voice" else step.channel
                return self.contacts.get(step.channel) or self.contacts.get(texts)

    def paused(self, at: datetime) -> bool:
        return any(
            since <= at and (until is None or at < until)
            for since, until in self.pauses
        )

    def shift(self, regimen_id: UUID, local_time: str | None) -> timedelta:
        """Return by how much habit moves what this person is told."""
        if not self.adaptive or local_time is None:
            return NONE
        return self.shifts.get((regimen_id, local_time), NONE)


def _listed(channel: str, listed: str) -> bool:
    return listed == channel or (channel == "voice" and listed == "sms")


def persons(
    session: Session, patient_ids: Collection[UUID], *, now: datetime
) -> dict[UUID, Person]:
    """Return those of these patients who allow reminders, with what they wish."""
    ids = sorted(set(patient_ids))
    consented = fetch(session, CONSENTED, ids=ids, now=now)
    found = {
        row["patient_id"]: Person(row["patient_id"], row["clinic_id"])
        for row in consented
    }
    if not found:
        return found
    ids = sorted(found)
    for row in fetch(session, CONTACTS, ids=ids, now=now):
        person = found[row["patient_id"]]
        contact = Contact(person.patient_id, row["address"], row["channel"])
        person.contacts.setdefault(row["channel"], contact)
    for row in fetch(session, CAREGIVERS, ids=ids, now=now):
        found[row["patient_id"]].caregivers.append(
            Contact(
                row["caregiver_id"], row["address"], row["channel"], row["language"]
            )
        )
    for row in fetch(session, PAUSES, ids=ids, now=now):
        found[row["patient_id"]].pauses.append((row["since"], row["until"]))
    for row in fetch(session, ANSWERS, ids=ids, since=now - ANSWERS_SINCE):
        _answered(found[row["patient_id"]], row)
    _prefer(session, found, fetch(session, PREFERENCES, ids=ids, now=now), now)
    return found


def _answered(person: Person, row: RowMapping) -> None:
    dose = row["regimen_id"], row["occurrence"]
    if row["kind"] == "skip":
        person.skipped.add(dose)
    elif row["until"] is not None:
        person.holds[dose].append(Hold(row["at"], row["until"]))


def _prefer(
    session: Session,
    found: Mapping[UUID, Person],
    rows: Iterable[RowMapping],
    now: datetime,
) -> None:
    preferences = {row["patient_id"]: row for row in rows}
    quiet = [key for key, row in preferences.items() if row["quiet_since"] is not None]
    zones = zone_history(session, quiet) if quiet else {}
    for key in quiet:
        row, zone = preferences[key], ZoneInfo(zone_at(zones[key], now))
        since = time.fromisoformat(row["quiet_since"])
        found[key].quiet = Quiet(since, time.fromisoformat(row["quiet_until"]), zone)
    adaptive = [key for key, row in preferences.items() if row["adaptive"]]
    for key in adaptive:
        found[key].adaptive = True
    for row in fetch(session, SHIFTS, ids=adaptive) if adaptive else ():
        moved = timedelta(seconds=row["shift_s"])
        found[row["patient_id"]].shifts[row["regimen_id"], row["local_time"]] = moved


CONSENTED = """
SELECT p.patient_id, p.clinic_id FROM patient AS p
WHERE p.patient_id = ANY(:ids) AND EXISTS (
    SELECT FROM consent AS s
    WHERE s.patient_id = p.patient_id AND s.purpose = 'reminders'
      AND s.recipient_id = p.clinic_id AND s.since <= :now
      AND (s.until IS NULL OR s.until > :now))
"""

CONTACTS = """
SELECT patient_id, channel, address FROM contact_point
WHERE patient_id = ANY(:ids) AND since <= :now AND (until IS NULL OR until > :now)
ORDER BY rank, since DESC
"""

CAREGIVERS = """
SELECT c.patient_id, c.caregiver_id, c.channel, c.address, c.language
FROM caregiver AS c
WHERE c.patient_id = ANY(:ids) AND c.since <= :now
  AND (c.until IS NULL OR c.until > :now)
  AND EXISTS (
    SELECT FROM consent AS s
    WHERE s.patient_id = c.patient_id AND s.purpose = 'caregiver'
      AND s.recipient_id = c.caregiver_id AND s.since <= :now
      AND (s.until IS NULL OR s.until > :now))
ORDER BY c.rank, c.since
"""

PAUSES = """
SELECT patient_id, since, coalesce(ended_at, until) AS until FROM reminder_pause
WHERE patient_id = ANY(:ids)
  AND (coalesce(ended_at, until) IS NULL OR coalesce(ended_at, until) > :now)
"""

ANSWERS = """
SELECT patient_id, regimen_id, occurrence, kind, at, until FROM reminder_answer
WHERE patient_id = ANY(:ids) AND occurrence IS NOT NULL AND at >= :since
ORDER BY at, recorded_at
"""

PREFERENCES = """
SELECT DISTINCT ON (patient_id) patient_id, quiet_since, quiet_until, adaptive
FROM reminder_preference
WHERE patient_id = ANY(:ids) AND effective_from <= :now
ORDER BY patient_id, effective_from DESC
"""

SHIFTS = """
SELECT DISTINCT ON (patient_id, regimen_id, local_time)
    patient_id, regimen_id, local_time, shift_s
FROM reminder_shift WHERE patient_id = ANY(:ids)
ORDER BY patient_id, regimen_id, local_time, since DESC
"""
