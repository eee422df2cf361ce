"""Doses due together go in one message: the one claimed first speaks for the others.

Each dose keeps its own row, so that a dose that was taken takes only its own away. The
others wait behind the one that speaks until it is known to have gone: should it be
withdrawn or fail, the next of them speaks.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.outbox.message import Claimed, Dropped, Held, Verdict, Worded
from notifications.wording import say

# Longer than a lease and the grace after it: by then it is known what became of it.
BEHIND = timedelta(minutes=5)
GONE = frozenset({"leased", "sent", "delivered", "unknown"})
SAID = Dropped("cancelled", {"cancelled": "said with another dose"})
SOME = {"nudge": "nudge_some", "late": "late_some", "ask": "ask_some"}


@dataclass(frozen=True, slots=True)
class Told:
    """A reminder, its own words or why there are none, and its dose's local time."""

    row: Claimed
    said: Verdict
    time: str | None

    @property
    def key(self) -> UUID:
        return self.row.message_id


def with_others(session: Session, claimed: Sequence[Claimed]) -> list[Claimed]:
    """Return what waits to go with these and was not claimed itself, locked.

    Also what already waits behind one of these, which did not go the time before.
    What another worker is just claiming is left to it: it goes by itself.
    """
    asked = [
        {"patient_id": row.patient_id, "dedup_key": key}
        for row in claimed
        if "with" in row.params and "behind" not in row.params
        for key in _group(row)
    ]
    if not asked:
        return []
    mine = [row.message_id for row in claimed]
    found = fetch(session, WAITING, asked, mine=mine, speakers=[*map(str, mine)])
    return [Claimed._make(row.values()) for row in found]


def together(
    session: Session, told: Sequence[Told], mine: Collection[UUID], now: datetime
) -> dict[UUID, Verdict]:
    """Return the verdicts on what is `mine`, one message where several go together."""
    verdicts = {one.key: one.said for one in told if one.key in mine}
    spoken = _spoken(session, told, {str(key) for key in mine})
    waiting: dict[UUID, UUID | None] = {}  # behind whom; None: as it already does
    for one in told:
        if one.key in spoken and isinstance(one.said, Worded):
            if spoken[one.key] in GONE:
                verdicts[one.key] = SAID
            else:
                waiting[one.key] = None
    for group in _groups(one for one in told if one.key not in spoken):
        speaker = next((one for one in group if one.key in mine), None)
        if speaker is not None:
            verdicts[speaker.key] = _for_all(speaker, group)
            waiting |= {it.key: speaker.key for it in group if it is not speaker}
    if waiting:
        # Until it is known what became of the one that speaks for them.
        items = [
            {"message_id": key, "speaker": by, "later": now + BEHIND}
            for key, by in waiting.items()
        ]
        execute(session, WAIT, items)
    return verdicts | {key: Held() for key in waiting if key in mine}


def _spoken(
    session: Session, told: Iterable[Told], mine: Collection[str]
) -> Mapping[UUID, str]:
    """Return the state of who spoke for each of those that wait behind another's."""
    behind = {
        one.key: str(one.row.params["behind"])
        for one in told
        if "behind" in one.row.params and one.row.params["behind"] not in mine
    }
    if not behind:
        return {}
    rows = fetch(
        session,
        "SELECT message_id, state FROM outbox_message WHERE message_id = ANY(:ids)",
        ids=sorted(set(behind.values())),
    )
    states = {str(row["message_id"]): str(row["state"]) for row in rows}
    return {
        key: states[speaker]
        for key, speaker in behind.items()
        if states.get(speaker) in GONE | {"pending"}
    }


def _groups(told: Iterable[Told]) -> list[list[Told]]:
    """Return those with words that go together, in the order in which they are due."""
    groups: dict[tuple[object, ...], list[Told]] = {}
    for one in sorted(told, key=lambda it: (it.row.due_at, it.row.message_id)):
        if "with" in one.row.params and isinstance(one.said, Worded):
            key = one.row.patient_id, *_group(one.row)
            groups.setdefault(key, []).append(one)
    return list(groups.values())


def _for_all(speaker: Told, group: Sequence[Told]) -> Worded:
    """Return one message for all; the most careful of them decides how it speaks."""
    own = speaker.said
    worded = [one.said for one in group if isinstance(one.said, Worded)]
    assert isinstance(own, Worded)
    kinds = {one.kind for one in worded}
    kind = own.kind if len(kinds) == 1 else "ask"
    language = str(own.why.get("language") or speaker.row.language)
    times = sorted({one.time for one in group if one.time})
    body = own.body
    if kind in SOME and len(group) > 1:
        body = say(
            SOME[kind],
            language,
            count=str(len(group)),
            time=", ".join(times),
            reference=speaker.row.reference,
        )
    others = [str(one.key) for one in group if one is not speaker]
    why = {**own.why, "also_for": others}
    return own._replace(body=body, kind=kind, why=why)


def _group(row: Claimed) -> list[str]:
    """Return the dedup keys of all that go together, this one's among them."""
    keys = cast("list[str]", row.params.get("with", []))
    return [str(key) for key in keys]


WAITING = """
SELECT m.message_id, m.patient_id, m.clinic_id, m.kind, m.channel, m.address,
       m.language, m.params, m.due_at, m.valid_until, m.attempt, m.reference,
       m.priority
FROM rows(patient_id uuid, dedup_key text)
JOIN outbox_message AS m USING (patient_id, dedup_key)
WHERE m.state = 'pending' AND m.attempt = 0
  AND (NOT m.params ? 'behind' OR m.params ->> 'behind' = ANY(:speakers))
  AND m.message_id <> ALL (:mine)
FOR UPDATE OF m SKIP LOCKED
"""

WAIT = """
UPDATE outbox_message AS m
SET due_at = r.later,
    params = CASE WHEN r.speaker IS NULL THEN m.params
                  ELSE m.params || jsonb_build_object('behind', r.speaker) END
FROM rows(message_id uuid, speaker uuid, later timestamptz)
WHERE m.message_id = r.message_id
"""
