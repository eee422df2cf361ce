"""Messages that are due, claimed and worded in one short transaction."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlmodel import Session

from backend.database import queue_transaction
from backend.live import Marks
from backend.outbox.arrays import array
from backend.outbox.message import (
    LEASE,
    Claimed,
    Dropped,
    Leased,
    Verdict,
    Word,
    Worded,
)

NO_WORDS = Dropped("cancelled", {"cancelled": "no words"})
TOO_LATE = Dropped("expired", {"expired": "its time was over"})


@dataclass(frozen=True, slots=True)
class Batch:
    """What one claim brought: `found` rows, of which `leased` are to be sent.

    `whose` are the patients of all of them, by clinic: who looks at their messages.
    """

    found: int
    leased: Sequence[Leased]
    whose: Marks


def claim(
    session: Session, *, now: datetime, real: datetime, word: Word, limit: int
) -> Batch:
    """Return up to `limit` messages that are due, leased to the caller and worded.

    `word` decides in the same transaction, for all of them at once, what each says,
    or that it is not to be sent. No other worker sees them until the lease ends.
    """
    found = _due(session, now=now, real=real, limit=limit)
    alive = [row for row in found if row.valid_until > now]
    said = word(session, alive, now)
    verdicts: dict[UUID, Verdict] = {
        row.message_id: said.get(row.message_id, NO_WORDS)
        if row.valid_until > now
        else TOO_LATE
        for row in found
    }
    _put_aside(session, verdicts, now=now)
    leased = _lease(session, found, verdicts, real=real)
    return Batch(len(found), leased, _whose(found))


def next_due(*, now: datetime) -> datetime | None:
    """Return when the next message after `now` is due, None when none is queued."""
    with queue_transaction() as session:
        return session.connection().execute(text(NEXT_DUE), {"now": now}).scalar()


def _due(
    session: Session, *, now: datetime, real: datetime, limit: int
) -> list[Claimed]:
    rows = session.connection().exec_driver_sql(
        DUE, {"now": now, "real": real, "limit": limit}
    )
    return [Claimed._make(row) for row in rows.all()]


def _whose(found: Sequence[Claimed]) -> Marks:
    whose: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for row in found:
        whose[row.clinic_id].add(row.patient_id)
    return whose


def _put_aside(
    session: Session, verdicts: Mapping[UUID, Verdict], *, now: datetime
) -> None:
    """Write what is not to be sent; mostly there is none, and no round trip."""
    dropped = {key: it for key, it in verdicts.items() if isinstance(it, Dropped)}
    if not dropped:
        return
    session.connection().exec_driver_sql(
        DROP,
        {
            "ids": array(dropped),
            "states": array(it.state for it in dropped.values()),
            "whys": orjson.dumps([it.why for it in dropped.values()]).decode(),
            "now": now,
        },
    )


def _lease(
    session: Session,
    found: Sequence[Claimed],
    verdicts: Mapping[UUID, Verdict],
    *,
    real: datetime,
) -> list[Leased]:
    leased: list[Leased] = []
    kinds: list[str] = []
    whys: list[Mapping[str, object]] = []
    for row in found:
        said = verdicts[row.message_id]
        if not isinstance(said, Worded):
            continue
        leased.append(
            Leased(
                row.message_id,
                row.patient_id,
                row.channel,
                said.address,
                said.body,
                row.reference,
                row.valid_until,
                row.attempt + 1,
                str(said.why.get("language") or row.language),
            )
        )
        kinds.append(said.kind)
        whys.append(said.why)
    if leased:
        session.connection().exec_driver_sql(
            LEASE_THEM,
            {
                "ids": array(row.message_id for row in leased),
                "kinds": array(kinds),
                "addresses": array(row.address for row in leased),
                "bodies": array(row.body for row in leased),
                "whys": orjson.dumps(whys).decode(),
                "until": real + LEASE,
            },
        )
    return leased


# `lease_until` of a pending message is when a provider that was busy may be asked anew.
DUE = """
SELECT message_id, patient_id, clinic_id, kind, channel, address, language, params,
       due_at, valid_until, attempt, reference
FROM outbox_message
WHERE state = 'pending' AND due_at <= %(now)s
  AND (lease_until IS NULL OR lease_until <= %(real)s)
ORDER BY due_at, message_id
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED
"""

LEASE_THEM = """
UPDATE outbox_message AS m
SET state = 'leased', attempt = m.attempt + 1, lease_until = %(until)s,
    kind = said.kind, address = said.address, body = said.body,
    why = m.why || said.why
FROM ROWS FROM (
        unnest(%(ids)s::uuid[], %(kinds)s::text[], %(addresses)s::text[],
               %(bodies)s::text[]),
        jsonb_array_elements(%(whys)s))
     AS said(message_id, kind, address, body, why)
WHERE m.message_id = said.message_id
"""

DROP = """
UPDATE outbox_message AS m
SET state = gone.state, settled_at = %(now)s, lease_until = NULL,
    why = m.why || gone.why
FROM ROWS FROM (
        unnest(%(ids)s::uuid[], %(states)s::text[]), jsonb_array_elements(%(whys)s))
     AS gone(message_id, state, why)
WHERE m.message_id = gone.message_id
"""

NEXT_DUE = """
SELECT due_at FROM outbox_message
WHERE state = 'pending' AND due_at > :now ORDER BY due_at LIMIT 1
"""
