"""Messages that are due, claimed and worded in one short transaction."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlmodel import Session

from backend.clock import DomainClock
from backend.database import queue_transaction, run
from backend.live import Marks
from backend.outbox.arrays import array
from backend.outbox.message import (
    LEASE,
    Claimed,
    Dropped,
    Leased,
    Word,
    Worded,
)
from backend.outbox.pace import Going, limited, room, spend, too_soon
from backend.outbox.recent import Recent

# The last message claimed of each priority: when it was due, and which it is.
Reached = Mapping[int, tuple[datetime, UUID]]
# What goes, in which words, and what stands for its recipient if that one has limits.
Ready = tuple[Claimed, Worded, int | None]

FIRST = datetime.min.replace(tzinfo=UTC), UUID(int=0)
NO_WORDS = Dropped("cancelled", {"cancelled": "no words"})
TOO_LATE = Dropped("expired", {"expired": "its time was over"})


@dataclass(frozen=True, slots=True)
class Queue:
    """The messages of one channel, which may send `per_second` of them; None: any.

    `speed` is that of domain time.
    """

    channel: str
    per_second: float | None = None
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Batch:
    """What one claim brought: `found` rows, of which `leased` are to be sent.

    `whose` are the patients of all of them, by clinic: who looks at their messages.
    `reached` is how far this claim and those of its round before it have come.
    """

    found: int
    leased: Sequence[Leased]
    whose: Marks
    reached: Reached


@dataclass(slots=True)
class Round:
    """What claims in quick succession know of each other.

    They do not look back before what they have `reached`: what was claimed stays in the
    index for a while, and a wave would step over all of itself again and again. What
    comes to lie there meanwhile is found by the next round, a batch later at most.
    """

    recent: Recent
    reached: Reached = field(default_factory=dict[int, tuple[datetime, UUID]])


def claim(
    session: Session,
    queue: Queue,
    seen: Round,
    *,
    now: datetime,
    real: datetime,
    word: Word,
    limit: int,
) -> Batch:
    """Return up to `limit` messages that are due, leased to the caller and worded.

    The most urgent come first, and no more than the channel's rate leaves room for.
    `word` decides in the same transaction, for all of them at once, what each says,
    or that it is not to be sent. What its recipient could not bear now waits. No other
    worker sees them until the lease ends.
    """
    left = room(session, queue.channel, queue.per_second, real=real)
    limit = limit if left is None else min(limit, left)
    found = _due(session, queue.channel, seen.reached, now=now, real=real, limit=limit)
    said = word(session, [row for row in found if row.valid_until > now], now)
    going: list[Ready] = []
    dropped: dict[UUID, Dropped] = {}
    for row in found:
        alive = row.valid_until > now
        verdict = said.get(row.message_id, NO_WORDS) if alive else TOO_LATE
        if isinstance(verdict, Worded):
            going.append((row, verdict, limited(row.channel, verdict.address)))
        elif isinstance(verdict, Dropped):
            dropped[row.message_id] = verdict
    _put_aside(session, dropped, now=now)
    waiting = _hold(session, going, seen.recent, speed=queue.speed, now=now, real=real)
    if waiting:
        going = [it for it in going if it[0].message_id not in waiting]
    leased = _lease(session, going, real=real)
    if queue.per_second is not None and leased:
        spend(session, queue.channel, queue.per_second, len(leased), real=real)
    # They come in the order of their queues.
    further = {row.priority: (row.due_at, row.message_id) for row in found}
    return Batch(len(found), leased, _whose(found), {**seen.reached, **further})


def due_channels(*, now: datetime, real: datetime) -> list[str]:
    """Return the channels that have messages to send now."""
    with queue_transaction() as session:
        rows = session.connection().execute(
            text(DUE_CHANNELS), {"now": now, "real": real}
        )
        return list(rows.scalars())


def next_due(*, now: datetime) -> datetime | None:
    """Return when the next message after `now` is due, None when none is queued."""
    with queue_transaction() as session:
        return session.connection().execute(text(NEXT_DUE), {"now": now}).scalar()


def waiting(
    session: Session, *, clock: DomainClock, real: datetime, longer: timedelta
) -> list[tuple[str, datetime]]:
    """Return the channels with messages that are due for so long, and since when.

    Not counted is what waits on purpose. `longer` is real time.
    """
    now = clock.at(real)
    before = now - longer * clock.speed
    rows = session.connection().execute(
        text(WAITING), {"now": now, "real": real, "before": before}
    )
    return [(channel, due_at) for channel, due_at in rows.all()]


def _due(
    session: Session,
    channel: str,
    reached: Reached,
    *,
    now: datetime,
    real: datetime,
    limit: int,
) -> list[Claimed]:
    if not limit:
        return []
    froms = [reached.get(priority, FIRST) for priority in range(1, 10)]
    rows = run(
        session,
        DUE,
        {
            "channel": channel,
            "dues": array(due_at for due_at, _ in froms),
            "ids": array(message_id for _, message_id in froms),
            "now": now,
            "real": real,
            "limit": limit,
        },
    )
    return [Claimed._make(row) for row in rows.fetchall()]


def _whose(found: Sequence[Claimed]) -> Marks:
    whose: defaultdict[UUID, set[UUID]] = defaultdict(set)
    for row in found:
        whose[row.clinic_id].add(row.patient_id)
    return whose


def _put_aside(
    session: Session, dropped: Mapping[UUID, Dropped], *, now: datetime
) -> None:
    """Write what is not to be sent; mostly there is none, and no round trip."""
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


def _hold(
    session: Session,
    going: Sequence[Ready],
    recent: Recent,
    *,
    speed: float,
    now: datetime,
    real: datetime,
) -> Collection[UUID]:
    """Have those wait whose recipient got enough for now, and return which."""
    waiting = too_soon(
        session,
        [
            Going(row.message_id, row.channel, to, row.priority)
            for row, _, to in going
            if to is not None
        ],
        recent,
        now=now,
    )
    if waiting:
        session.connection().exec_driver_sql(
            HOLD,
            {
                "ids": array(waiting),
                "untils": array(
                    real + (until - now) / speed for until in waiting.values()
                ),
            },
        )
    return waiting.keys()


def _lease(session: Session, going: Sequence[Ready], *, real: datetime) -> list[Leased]:
    leased = [
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
            said.to_caregiver,
            to,
        )
        for row, said, to in going
    ]
    if leased:
        session.connection().exec_driver_sql(
            LEASE_THEM,
            {
                "ids": array(row.message_id for row in leased),
                "kinds": array(said.kind for _, said, _ in going),
                "addresses": array(row.address for row in leased),
                "bodies": array(row.body for row in leased),
                "whys": orjson.dumps([said.why for _, said, _ in going]).decode(),
                "until": real + LEASE,
            },
        )
    return leased


# `lease_until` of a pending message is when a provider that was busy may be asked anew,
# or its recipient be written to again. The queue of a priority is read only when those
# before it are empty: the outer loop is over nine rows, and a limit asks for no more
# than it needs, so no other rows are locked. What was claimed stays in the index until
# nobody can see it any more: stepping over that was half of a claim's time in a wave.
DUE = """
SELECT due.* FROM unnest(%(dues)s::timestamptz[], %(ids)s::uuid[]) WITH ORDINALITY
    AS urgency(due_at, message_id, priority), LATERAL (
    SELECT message_id, patient_id, clinic_id, kind, channel, address, language, params,
           due_at, valid_until, attempt, reference, priority
    FROM outbox_message AS m
    WHERE m.state = 'pending' AND m.channel = %(channel)s
      AND m.priority = urgency.priority AND m.due_at <= %(now)s
      AND (m.due_at, m.message_id) > (urgency.due_at, urgency.message_id)
      AND (m.lease_until IS NULL OR m.lease_until <= %(real)s)
    ORDER BY m.due_at, m.message_id
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED) AS due
LIMIT %(limit)s
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

HOLD = """
UPDATE outbox_message AS m SET lease_until = waiting.until
FROM unnest(%(ids)s::uuid[], %(untils)s::timestamptz[]) AS waiting(message_id, until)
WHERE m.message_id = waiting.message_id
"""

# Channels are few and messages many: from one channel the index is entered anew at the
# next.
CHANNELS = """
WITH RECURSIVE queued(channel) AS (
    (SELECT channel FROM outbox_message WHERE state = 'pending'
     ORDER BY channel LIMIT 1)
    UNION ALL
    SELECT (SELECT m.channel FROM outbox_message AS m
            WHERE m.state = 'pending' AND m.channel > queued.channel
            ORDER BY m.channel LIMIT 1)
    FROM queued WHERE queued.channel IS NOT NULL)
"""

DUE_CHANNELS = f"""
{CHANNELS}
SELECT channel FROM queued
WHERE channel IS NOT NULL AND EXISTS (
    SELECT FROM generate_series(1, 9) AS urgency(priority), LATERAL (
        SELECT FROM outbox_message AS m
        WHERE m.state = 'pending' AND m.channel = queued.channel
          AND m.priority = urgency.priority AND m.due_at <= :now
          AND (m.lease_until IS NULL OR m.lease_until <= :real)
        LIMIT 1) AS due)
ORDER BY channel
"""  # noqa: S608

WAITING = f"""
{CHANNELS}
SELECT channel, min(late.due_at)
FROM queued, generate_series(1, 9) AS urgency(priority), LATERAL (
    SELECT m.due_at FROM outbox_message AS m
    WHERE m.state = 'pending' AND m.channel = queued.channel
      AND m.priority = urgency.priority AND m.due_at <= :before
      AND m.valid_until > :now
      AND (m.lease_until IS NULL OR m.lease_until <= :real)
    ORDER BY m.due_at LIMIT 1) AS late
GROUP BY channel ORDER BY channel
"""  # noqa: S608

NEXT_DUE = f"""
{CHANNELS}
SELECT min(coming.due_at)
FROM queued, generate_series(1, 9) AS urgency(priority), LATERAL (
    SELECT m.due_at FROM outbox_message AS m
    WHERE m.state = 'pending' AND m.channel = queued.channel
      AND m.priority = urgency.priority AND m.due_at > :now
    ORDER BY m.due_at LIMIT 1) AS coming
"""  # noqa: S608
