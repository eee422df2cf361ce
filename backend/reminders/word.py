"""What a reminder says at the moment it goes, or why it does not go.

A dose that was taken needs none. When every box of the dose's window was heard in the
second half of the delay, has told all and reported nothing, the dose is *late* and we
say so. Otherwise nobody knows, and the most we may do is ask. Before the dose is due we
only say that it is coming; a caregiver and a clinician learn that nobody answered.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache, reduce
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session

from backend.database import run
from backend.database.sets import fetch
from backend.doses.silence import silences
from backend.outbox.arrays import array
from backend.outbox.enqueue import RESCHEDULED
from backend.outbox.message import Claimed, Dropped, Verdict, Worded
from backend.people.reachable import AS_KEPT, AT_THE_MOMENT
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
    `kept`: how the patient is reached was known without looking at its history.
    `place` is that of the reminder among those asked for, from 1.
    `drug` is None unless the patient chose to read it.
    """

    place: int
    label: str | None
    due_at: datetime | None
    zone: str
    language: str | None
    address: str | None
    consented: bool
    devices: int
    heard_until: datetime | None
    plain: bool
    kept: bool
    drug: str | None
    torn: bool = False


def word(
    session: Session, claimed: Sequence[Claimed], now: datetime
) -> Mapping[UUID, Verdict]:
    """Return what each claimed reminder says or why it is dropped.

    One round trip; one more for patients to whom a change lies ahead, four for those
    of boxes that changed hands or lost records, one for caregivers, and two for doses
    that are due together. Messages of a kind that is no reminder's are left out.
    """
    mine = [row for row in claimed if row.kind in KINDS]
    if not mine:
        return {}
    others = with_others(session, mine)
    rows = [*mine, *others]
    known = _closer(session, rows, _known(session, rows, now))
    said = {
        row.message_id: _say(row, it, now) for row, it in zip(rows, known, strict=True)
    }
    said |= caregivers(session, mine, said, now)
    if not any("with" in row.params for row in mine):
        return said
    told = [
        Told(
            row, said[row.message_id], _clock(it.due_at, it.zone) if it.due_at else None
        )
        for row, it in zip(rows, known, strict=True)
    ]
    return together(session, told, {row.message_id for row in mine}, now)


def _known(session: Session, rows: Sequence[Claimed], now: datetime) -> list[Known]:
    """Return what is known for each of these rows."""
    known = _ask(session, KNOWN, rows, now)
    changing = [place for place, it in enumerate(known) if not it.kept]
    closer = _ask(session, KNOWN_AT_THE_MOMENT, [rows[it] for it in changing], now)
    for place, it in zip(changing, closer, strict=True):
        known[place] = it
    return known


def _ask(
    session: Session, statement: str, rows: Sequence[Claimed], now: datetime
) -> list[Known]:
    if not rows:
        return []
    found = run(
        session,
        statement,
        {
            "patients": array(row.patient_id for row in rows),
            "clinics": array(row.clinic_id for row in rows),
            "channels": array(row.params.get("listed", row.channel) for row in rows),
            "addresses": array(row.address for row in rows),
            "regimens": array(row.params["regimen_id"] for row in rows),
            "occurrences": array(row.params["occurrence"] for row in rows),
            "now": now,
        },
    )
    # No order is asked of the database: it is that of the rows, or nearly so.
    known = sorted((Known(*row) for row in found.fetchall()), key=_place)
    if len(known) > len(rows):
        return [reduce(_also, boxes) for _, boxes in groupby(known, key=_place)]
    return known


_place = attrgetter("place")


def _also(known: Known, box: Known) -> Known:
    """Add what another box of the window tells: the one that was heard least counts."""
    heard = [it.heard_until for it in (known, box) if it.heard_until is not None]
    return known._replace(
        devices=known.devices + box.devices,
        heard_until=min(heard) if len(heard) == 2 else None,
        plain=known.plain and box.plain,
    )


def _closer(
    session: Session, rows: Sequence[Claimed], known: Sequence[Known]
) -> Sequence[Known]:
    """Look closer where a box changed hands or its memory has holes.

    By the rules by which doses are judged, whoever has the box by now.
    """
    torn = {
        row.message_id: place
        for place, (row, it) in enumerate(zip(rows, known, strict=True))
        if not it.plain
    }
    if not torn:
        return known
    items = [
        {"message_id": key, "patient_id": rows[at].patient_id, **rows[at].params}
        for key, at in torn.items()
    ]
    doses = fetch(session, DOSES, items)
    silent = silences(session, {(it["patient_id"], it["regimen_id"]) for it in doses})
    closer = list(known)
    for dose in doses:
        silence, at = (
            silent[dose["patient_id"], dose["regimen_id"]],
            torn[dose["message_id"]],
        )
        closer[at] = known[at]._replace(
            heard_until=silence.heard_until(dose), torn=silence.torn(dose)
        )
    return closer


def _body(
    key: str, row: Claimed, known: Known, language: str, *, since: str = ""
) -> str:
    assert known.due_at is not None
    time = _clock(known.due_at, known.zone)
    sentence = _sentence(key, language, time, known.drug, since)
    return sentence.replace(_REFERENCE, row.reference)


# At eight in the morning most sentences differ by their reference alone. What stands
# for it can be in no drug's name: the database stores no such sign.
_REFERENCE = "\0"


@lru_cache(maxsize=4096)
def _sentence(key: str, language: str, time: str, drug: str | None, since: str) -> str:
    words = {"time": time, "since": since, "reference": _REFERENCE}
    if drug is not None:
        words["dose"] = name_dose(drug, language)
    return say(key, language, **words)


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
        return _nudge(row, known, address)
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


def _nudge(row: Claimed, known: Known, address: str) -> Worded:
    language = known.language or row.language
    body = _body(NUDGE, row, known, language)
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
    if heard is None:
        key = ASK_UNHEARD if known.devices else ASK_NO_BOX
        body = _body(key, row, known, language)
        return Worded(body, ASK, address, why)
    if known.torn or (heard >= heard_from and known.label == "unknown"):
        body = _body(ASK_UNSURE, row, known, language)
        return Worded(body, ASK, address, why)
    if heard >= heard_from:
        body = _body(LATE, row, known, language)
        return Worded(body, LATE, address, why)
    zone = _zone(known.zone)
    since = say_instant(heard.astimezone(zone), language, today=now.astimezone(zone))
    body = _body(ASK, row, known, language, since=since)
    return Worded(body, ASK, address, why)


# At eight in the morning most doses share their instant and zone.
@lru_cache(maxsize=4096)
def _clock(at: datetime, zone: str) -> str:
    return f"{at.astimezone(_zone(zone)):%H:%M}"


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


# One row for each box of the window, at least one.
# The number it was planned for, if it still is the patient's; otherwise their best.
# A regimen in several boxes was heard as far as the one that was heard least, and what
# a box that was handed on meanwhile has not told counts as much.
_KNOWN = """
SELECT q.place, d.label, d.due_at, d.zone, reach.language,
    CASE WHEN reach.addresses -> q.channel ? q.address THEN q.address
         ELSE reach.addresses -> q.channel ->> 0 END,
    q.clinic_id = ANY(reach.reminders),
    CASE WHEN a.device_id IS NULL THEN 0 ELSE 1 END, c.heard_until,
    a.device_id IS NULL OR a.since <= d.window_from
        AND (a.until IS NULL OR a.until > %(now)s)
        AND NOT EXISTS (SELECT FROM device_event AS e
            WHERE e.device_id = a.device_id
              AND e.kind IN ('gap', 'quarantine', 'conflict'))
        AND NOT EXISTS (SELECT FROM device_epoch AS p
            WHERE p.device_id = a.device_id AND p.reason IN ('reset', 'unknown'))
        AND NOT EXISTS (SELECT FROM non_monitored_span AS n
            WHERE n.patient_id = q.patient_id),
    reach.patient_id IS NOT NULL,
    CASE WHEN q.clinic_id = ANY(reach.naming) THEN (
        SELECT g.drug FROM regimen AS g
        WHERE g.patient_id = q.patient_id AND g.regimen_id = q.regimen_id) END
FROM unnest(
        %(patients)s::uuid[], %(clinics)s::uuid[], %(channels)s::text[],
        %(addresses)s::text[], %(regimens)s::uuid[], %(occurrences)s::text[])
     WITH ORDINALITY
     AS q(patient_id, clinic_id, channel, address, regimen_id, occurrence, place)
{reach}
LEFT JOIN scheduled_dose AS d ON d.patient_id = q.patient_id
    AND d.regimen_id = q.regimen_id AND d.occurrence = q.occurrence
LEFT JOIN assignment AS a ON a.patient_id = q.patient_id
    AND a.regimen_id = q.regimen_id
    AND a.since < d.window_until AND (a.until IS NULL OR a.until > d.window_from)
LEFT JOIN device_contact AS c ON c.device_id = a.device_id
"""
KNOWN = _KNOWN.format(reach=AS_KEPT)
KNOWN_AT_THE_MOMENT = _KNOWN.format(reach=AT_THE_MOMENT)

DOSES = """
SELECT r.message_id, s.* FROM rows(message_id uuid, patient_id uuid, regimen_id uuid,
    occurrence text)
JOIN scheduled_dose s USING (patient_id, regimen_id, occurrence)
"""
