"""What a reminder says at the moment it goes, or why it does not go.

A dose that was taken needs none. When every box of the dose's window was heard in the
second half of the delay, has told all and reported nothing, the dose is *late* and we
say so. Otherwise nobody knows, and the most we may do is ask. Before the dose is due we
only say that it is coming; a caregiver and a clinician learn that nobody answered.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session

from backend.database.sets import fetch
from backend.doses.silence import silences
from backend.outbox.arrays import array
from backend.outbox.enqueue import RESCHEDULED
from backend.outbox.message import Claimed, Dropped, Verdict, Worded
from backend.reminders.climb import AT_THE_DOSE
from backend.reminders.plan import CAREGIVER, LATE, NUDGE, UNANSWERED
from backend.reminders.together import Told, together, with_others
from backend.reminders.told import caregivers
from notifications.wording import name_dose, say, say_instant

OPEN = frozenset({"pending", "late", "unknown"})
ASK, ASK_UNHEARD, ASK_UNSURE = "ask", "ask_unheard", "ask_unsure"
ASK_NO_BOX = "ask_no_box"
KINDS = frozenset({NUDGE, LATE, ASK, CAREGIVER, UNANSWERED})


class Known(NamedTuple):
    """What the database knows of a reminder's dose at this moment.

    `plain`: each box of the window had all of it so far and has lost no record, so
    that `heard_until` is all there is to know. Otherwise see `_closer`, which finds
    out whether the window is `torn`: a dose may be in it of which nobody can know.
    `drug` is None unless the patient chose to read it.
    """

    label: str | None
    due_at: datetime | None
    zone: str
    language: str | None
    address: str | None
    consented: bool
    devices: int
    heard_until: datetime | None
    plain: bool
    torn: bool = False
    drug: str | None = None


def word(
    session: Session, claimed: Sequence[Claimed], now: datetime
) -> Mapping[UUID, Verdict]:
    """Return what each claimed reminder says or why it is dropped.

    Two round trips; four more for those of boxes that changed hands or lost records,
    one for caregivers, and two for doses that are due together. Messages of a kind that
    is no reminder's are left out.
    """
    mine = [row for row in claimed if row.kind in KINDS]
    if not mine:
        return {}
    others = with_others(session, mine)
    rows = [*mine, *others]
    known = _known(session, rows, now)
    known |= _closer(
        session, [row for row in rows if not known[row.message_id].plain], known
    )
    known |= _named(session, rows, known, now)
    said = {row.message_id: _say(row, known[row.message_id], now) for row in rows}
    said |= caregivers(session, mine, said, now)
    if not any("with" in row.params for row in mine):
        return said
    times = {key: _clock(it.due_at, it.zone) for key, it in known.items() if it.due_at}
    told = [Told(row, said[row.message_id], times.get(row.message_id)) for row in rows]
    return together(session, told, {row.message_id for row in mine}, now)


def _known(
    session: Session, rows: Sequence[Claimed], now: datetime
) -> dict[UUID, Known]:
    found = session.connection().exec_driver_sql(
        KNOWN,
        {
            "ids": array(row.message_id for row in rows),
            "patients": array(row.patient_id for row in rows),
            "clinics": array(row.clinic_id for row in rows),
            "channels": array(row.params.get("listed", row.channel) for row in rows),
            "addresses": array(row.address for row in rows),
            "regimens": array(row.params["regimen_id"] for row in rows),
            "occurrences": array(row.params["occurrence"] for row in rows),
            "now": now,
        },
    )
    return {row[0]: Known(*row[1:]) for row in found.all()}


def _closer(
    session: Session, rows: Sequence[Claimed], known: Mapping[UUID, Known]
) -> dict[UUID, Known]:
    """Return what is known where a box changed hands or its memory has holes.

    By the rules by which doses are judged, whoever has the box by now.
    """
    if not rows:
        return {}
    items = [
        {"message_id": row.message_id, "patient_id": row.patient_id, **row.params}
        for row in rows
    ]
    doses = fetch(session, DOSES, items)
    silent = silences(session, {(it["patient_id"], it["regimen_id"]) for it in doses})
    closer: dict[UUID, Known] = {}
    for dose in doses:
        silence = silent[dose["patient_id"], dose["regimen_id"]]
        closer[dose["message_id"]] = known[dose["message_id"]]._replace(
            heard_until=silence.heard_until(dose), torn=silence.torn(dose)
        )
    return closer


def _named(
    session: Session,
    rows: Sequence[Claimed],
    known: Mapping[UUID, Known],
    now: datetime,
) -> dict[UUID, Known]:
    """Return what is known where the patient chose that messages name the drug."""
    found = session.connection().exec_driver_sql(
        NAMED,
        {
            "ids": array(row.message_id for row in rows),
            "patients": array(row.patient_id for row in rows),
            "clinics": array(row.clinic_id for row in rows),
            "regimens": array(row.params["regimen_id"] for row in rows),
            "now": now,
        },
    )
    return {key: known[key]._replace(drug=drug) for key, drug in found.all()}


def _words(row: Claimed, known: Known, time: str, language: str) -> dict[str, str]:
    words = {"time": time, "reference": row.reference}
    if known.drug is not None:
        words["dose"] = name_dose(known.drug, language)
    return words


def _say(row: Claimed, known: Known, now: datetime) -> Verdict:
    due_at, address = known.due_at, known.address
    if due_at is None or known.label is None:
        return Dropped("cancelled", {"cancelled": "no longer scheduled"})
    hindered = _hindered(row, known, due_at)
    if hindered is not None:
        return Dropped("cancelled", {"cancelled": hindered})
    if row.kind == UNANSWERED or row.kind == CAREGIVER:
        return _of_others(row, known, due_at)
    if address is None:
        return Dropped("cancelled", {"cancelled": "no address"})
    if row.kind == NUDGE:
        return _nudge(row, known, due_at, address)
    return _worded(row, known, due_at, address, now)


def _hindered(row: Claimed, known: Known, due_at: datetime) -> object:
    """Return why it does not go, None when it may."""
    if known.label not in OPEN:
        return f"dose is {known.label}"
    if row.kind == NUDGE:
        moved = row.due_at - due_at > AT_THE_DOSE
    else:
        moved = due_at >= row.due_at
    if moved:
        return RESCHEDULED
    if not known.consented:
        return "no consent to reminders"
    return row.params.get("silent")


def _nudge(row: Claimed, known: Known, due_at: datetime, address: str) -> Worded:
    language = known.language or row.language
    time = _clock(due_at, known.zone)
    body = say(NUDGE, language, **_words(row, known, time, language))
    return Worded(body, NUDGE, address, {"label": known.label, "language": language})


def _of_others(row: Claimed, known: Known, due_at: datetime) -> Worded:
    """Word what is not for the patient; a caregiver's is filled in by `told`."""
    time = _clock(due_at, known.zone)
    why = {
        "label": known.label,
        "devices": known.devices,
        "heard_until": known.heard_until,
        "torn": known.torn,
    }
    body = say(row.kind, row.language, time=time, reference=row.reference, name="")
    return Worded(body, row.kind, row.address, why)


def _worded(
    row: Claimed, known: Known, due_at: datetime, address: str, now: datetime
) -> Worded:
    language = known.language or row.language
    heard = known.heard_until
    heard_from = row.due_at - (row.due_at - due_at) / 2
    why = {
        "label": known.label,
        "devices": known.devices,
        "heard_until": heard,
        "torn": known.torn,
        "late_if_heard_after": heard_from,
        "language": language,
    }
    words = _words(row, known, _clock(due_at, known.zone), language)
    if heard is None:
        key = ASK_UNHEARD if known.devices else ASK_NO_BOX
        body = say(key, language, **words)
        return Worded(body, ASK, address, why)
    if known.torn or (heard >= heard_from and known.label == "unknown"):
        body = say(ASK_UNSURE, language, **words)
        return Worded(body, ASK, address, why)
    if heard >= heard_from:
        body = say(LATE, language, **words)
        return Worded(body, LATE, address, why)
    zone = _zone(known.zone)
    since = say_instant(heard.astimezone(zone), language, today=now.astimezone(zone))
    body = say(ASK, language, since=since, **words)
    return Worded(body, ASK, address, why)


# At eight in the morning most doses share their instant and zone.
@lru_cache(maxsize=4096)
def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(_zone(zone)):%H:%M}"


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


# The number it was planned for, if it still is the patient's; otherwise their best.
# A regimen in several boxes was heard as far as the one that was heard least, and what
# a box that was handed on meanwhile has not told counts as much.
KNOWN = """
SELECT q.message_id, d.label, d.due_at, d.zone,
    (SELECT p.language FROM patient_language AS p
     WHERE p.patient_id = q.patient_id AND p.effective_from <= %(now)s
     ORDER BY p.effective_from DESC LIMIT 1),
    coalesce(
        (SELECT c.address FROM contact_point AS c
         WHERE c.patient_id = q.patient_id AND c.channel = q.channel
           AND c.address = q.address
           AND c.since <= %(now)s AND (c.until IS NULL OR c.until > %(now)s) LIMIT 1),
        (SELECT c.address FROM contact_point AS c
         WHERE c.patient_id = q.patient_id AND c.channel = q.channel
           AND c.since <= %(now)s AND (c.until IS NULL OR c.until > %(now)s)
         ORDER BY c.rank, c.since DESC LIMIT 1)),
    EXISTS (SELECT FROM consent AS s
     WHERE s.patient_id = q.patient_id AND s.purpose = 'reminders'
       AND s.recipient_id = q.clinic_id AND s.since <= %(now)s
       AND (s.until IS NULL OR s.until > %(now)s)),
    box.devices, box.heard_until, box.plain
FROM unnest(
        %(ids)s::uuid[], %(patients)s::uuid[], %(clinics)s::uuid[],
        %(channels)s::text[], %(addresses)s::text[], %(regimens)s::uuid[],
        %(occurrences)s::text[])
     AS q(message_id, patient_id, clinic_id, channel, address, regimen_id, occurrence)
LEFT JOIN scheduled_dose AS d ON d.patient_id = q.patient_id
    AND d.regimen_id = q.regimen_id AND d.occurrence = q.occurrence
LEFT JOIN LATERAL (
    SELECT count(*) AS devices,
        CASE WHEN count(*) = count(c.heard_until) THEN min(c.heard_until) END
            AS heard_until,
        bool_and(a.since <= d.window_from
            AND (a.until IS NULL OR a.until > %(now)s)
            AND NOT EXISTS (SELECT FROM device_event AS e
                WHERE e.device_id = a.device_id
                  AND e.kind IN ('gap', 'quarantine', 'conflict'))
            AND NOT EXISTS (SELECT FROM device_epoch AS p
                WHERE p.device_id = a.device_id AND p.reason IN ('reset', 'unknown'))
            AND NOT EXISTS (SELECT FROM non_monitored_span AS n
                WHERE n.patient_id = q.patient_id)) IS NOT FALSE AS plain
    FROM assignment AS a LEFT JOIN device_contact AS c ON c.device_id = a.device_id
    WHERE a.patient_id = q.patient_id AND a.regimen_id = q.regimen_id
      AND a.since < d.window_until AND (a.until IS NULL OR a.until > d.window_from)
    ) AS box ON true
"""

NAMED = """
SELECT q.message_id, g.drug
FROM unnest(%(ids)s::uuid[], %(patients)s::uuid[], %(clinics)s::uuid[],
        %(regimens)s::uuid[]) AS q(message_id, patient_id, clinic_id, regimen_id)
JOIN consent AS s ON s.patient_id = q.patient_id AND s.purpose = 'naming'
    AND s.recipient_id = q.clinic_id AND s.since <= %(now)s
    AND (s.until IS NULL OR s.until > %(now)s)
JOIN regimen AS g ON g.patient_id = q.patient_id AND g.regimen_id = q.regimen_id
"""

DOSES = """
SELECT r.message_id, s.* FROM rows(message_id uuid, patient_id uuid, regimen_id uuid,
    occurrence text)
JOIN scheduled_dose s USING (patient_id, regimen_id, occurrence)
"""
