"""The outcome of attempts, written in one statement and fenced by the attempt."""

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from psycopg.errors import LockNotAvailable
from sqlalchemy.exc import OperationalError
from sqlmodel import Session

from backend.database import queue_transaction
from backend.outbox.arrays import array
from backend.outbox.message import LEASE, Leased, Outcome
from backend.outbox.recent import packed

T = TypeVar("T")
TRIES = 20
BETWEEN_TRIES = 0.05  # seconds


def settle(outcomes: Sequence[Outcome], *, owner: UUID, now: datetime) -> None:
    """Write outcomes in a transaction of their own."""
    if outcomes:
        giving_way(lambda session: write(session, outcomes, owner=owner, now=now))


def giving_way(work: Callable[[Session], T]) -> T:
    """Return what `work` does in a transaction that never makes another one fail.

    It gives up a wait for a row long before a deadlock is looked for (1 s) and tries
    anew: whoever else holds the row is storing doses and must not be the one to fail.
    """
    for tries_left in reversed(range(TRIES)):
        try:
            with queue_transaction() as session:
                session.connection().exec_driver_sql(PATIENCE)
                return work(session)
        except OperationalError as error:
            if not tries_left or not isinstance(error.orig, LockNotAvailable):
                raise
        time.sleep(BETWEEN_TRIES)
    raise AssertionError("unreachable")


def renew(rows: Sequence[Leased], *, real: datetime) -> Collection[UUID]:
    """Return which of these may still be sent, with a lease of full length.

    Missing are those that were withdrawn, and all whose lease had ended.
    """
    with queue_transaction() as session:
        still = session.connection().exec_driver_sql(
            RENEW,
            {
                "ids": array(row.message_id for row in rows),
                "attempts": array(row.attempt for row in rows),
                "until": real + LEASE,
            },
        )
        return frozenset(still.scalars())


def write(
    session: Session, outcomes: Sequence[Outcome], *, owner: UUID, now: datetime
) -> None:
    """Write outcomes, and a row for each attempt that was no plain yes; one statement.

    What was accepted counts towards what its recipient can bear, whatever its fence;
    other workers read it, and `owner` need not.

    An outcome counts while its attempt is the message's last and nobody has decided
    otherwise. An acceptance also counts when a resend is already planned: it is not
    needed then.
    """
    ids, attempts, states, names, codes, providers, starts, ends, waits, to = zip(
        *outcomes, strict=True
    )
    session.connection().exec_driver_sql(
        SETTLE_SENT if set(names) == {"sent"} else SETTLE,
        {
            "ids": array(ids),
            "attempts": array(attempts),
            "states": array(states),
            "outcomes": array(names),
            "codes": array(codes),
            "providers": array(providers),
            "starts": array(starts),
            "ends": array(ends),
            "waits": array(waits),
            "now": now,
            "owner": owner,
            "recipients": packed(it for it in to if it is not None),
        },
    )


PATIENCE = "SET LOCAL lock_timeout = '200ms'"

_WITH = """
WITH outcome AS (
    SELECT * FROM unnest(
        %(ids)s::uuid[], %(attempts)s::smallint[], %(states)s::text[],
        %(outcomes)s::text[], %(codes)s::text[], %(providers)s::text[],
        %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(waits)s::timestamptz[])
    AS o(message_id, attempt, state, outcome, code, provider_id, started_at, ended_at,
         wait_until)
), remembered AS (
    INSERT INTO recent_send (owner, at, recipients)
    SELECT %(owner)s, %(now)s, sent.recipients FROM (VALUES (%(recipients)s::bytea))
        AS sent(recipients)
    WHERE sent.recipients <> ''
)
"""
_UPDATE = """
    UPDATE outbox_message AS m
    SET state = CASE WHEN o.state = 'pending' AND m.why ? 'cancelled'
                     THEN 'cancelled' ELSE o.state END,
        code = o.code, lease_until = o.wait_until,
        provider_id = coalesce(o.provider_id, m.provider_id),
        started_at = CASE o.outcome WHEN 'released' THEN m.started_at
                                    ELSE o.started_at END,
        ended_at = CASE o.outcome WHEN 'released' THEN m.ended_at ELSE o.ended_at END,
        settled_at = CASE WHEN o.state IN ('pending', 'unknown') THEN NULL
                          ELSE %(now)s::timestamptz END
    FROM outcome AS o
    WHERE m.message_id = o.message_id AND m.attempt = o.attempt
      AND (m.state IN ('leased', 'unknown')
           OR m.state = 'pending' AND o.state = 'sent')
"""
SETTLE_SENT = _WITH + _UPDATE
SETTLE = f"""{_WITH}, settled AS ({_UPDATE} RETURNING m.patient_id, o.*)
INSERT INTO message_attempt AS known (message_id, attempt, patient_id, started_at,
                                      ended_at, outcome, code, provider_id)
SELECT message_id, attempt, patient_id, started_at, ended_at, outcome, code, provider_id
FROM settled WHERE outcome <> 'sent'
ON CONFLICT (message_id, attempt) DO UPDATE
SET started_at = excluded.started_at, ended_at = excluded.ended_at,
    outcome = excluded.outcome, code = excluded.code,
    provider_id = excluded.provider_id
"""  # noqa: S608

RENEW = """
UPDATE outbox_message AS m SET lease_until = %(until)s
FROM unnest(%(ids)s::uuid[], %(attempts)s::smallint[]) AS ours(message_id, attempt)
WHERE m.message_id = ours.message_id AND m.attempt = ours.attempt
  AND m.state = 'leased' AND NOT m.why ? 'cancelled'
RETURNING m.message_id
"""
