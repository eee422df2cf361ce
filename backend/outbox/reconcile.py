"""Messages of which nobody knows whether they went: asked for at the provider.

The worker that sent them died, or the provider's answer was lost. Such a message
rests for a grace, then the provider is asked by recipient and reference, and only
when it knows nothing the message is sent again, within its validity.

This loses nothing and doubles nothing as long as a provider that accepts a message
shows it in look-ups within its time-out + lease + grace; what falls outside is in
`report`, which looks again a day later.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database import queue_transaction
from backend.database.sets import execute, fetch
from backend.live import touch
from backend.outbox.message import GRACE, LEASE, PACE
from notifications.codes import UNSURE
from notifications.message import Channel, Message, Receipt, SendFailed

log = logging.getLogger(__name__)


class Doubt(NamedTuple):
    """A message with an unknown outcome that this process asks about."""

    message_id: UUID
    attempt: int
    channel: str
    message: Message
    again: bool
    withdrawn: bool


@dataclass(frozen=True, slots=True)
class Discrepancy:
    """Accepted by the provider, and not what the message's row says.

    `kind` is `doubled` (accepted more than once) or `unexpected` (accepted, though
    the message stands as not sent).
    """

    message_id: UUID
    kind: str
    provider_ids: tuple[str, ...]


def reconcile(
    channels: Mapping[str, Channel],
    *,
    now: datetime,
    real: Callable[[], datetime],
    limit: int = 100,
) -> int:
    """Decide for about a second what is unknown; return how many messages it touched.

    One message at a time: a provider may take ten seconds for a look-up, and what was
    claimed long before it is asked about would be another worker's by then, for ever.
    """
    began = real()
    with queue_transaction() as session:
        lost = execute(
            session, LOSE, real=began, rest=began + GRACE, lease=LEASE, limit=limit
        )
    if lost:
        log.warning("leases lost", extra={"count": lost})
    asked = 0
    while abs(real() - began) <= PACE and asked < limit:
        if not _ask_about_one(channels, now=now, real=real()):
            break
        asked += 1
    return lost + asked


def _ask_about_one(
    channels: Mapping[str, Channel], *, now: datetime, real: datetime
) -> bool:
    """Ask about the message that rests longest; False when none is due."""
    with queue_transaction() as session:
        rows = fetch(session, ASK, real=real, until=real + LEASE)
    if not rows:
        return False
    decided = _decide(channels, _doubt(rows[0], now=now))
    if decided is not None:
        with queue_transaction() as session:
            execute(session, DECIDE, [decided], until=real + LEASE, now=now)
            touch(session, {rows[0]["clinic_id"]: {rows[0]["patient_id"]}})
    return True


def report(
    channels: Mapping[str, Channel],
    *,
    now: datetime,
    real: datetime,
    since: timedelta = timedelta(days=2),
) -> list[Discrepancy]:
    """Return what providers accepted beyond what we know, and keep it as receipts.

    Looks at the messages that were ever in doubt since then; run it nightly.
    """
    with queue_transaction() as session:
        rows = fetch(session, DOUBTED, since=real - since)
    found = [
        discrepancy
        for row in rows
        if (discrepancy := _compare(channels, row, now=now)) is not None
    ]
    if found:
        log.error("messages beyond the ledger", extra={"count": len(found)})
        items = [
            {"provider_id": provider_id, "kind": it.kind, "message_id": it.message_id}
            for it in found
            for provider_id in it.provider_ids
        ]
        with queue_transaction() as session:
            execute(session, KEEP, items, real=real)
    return found


def found_since(session: Session, first: date | None) -> Sequence[RowMapping]:
    """Return what `report` has found since a day (UTC), with the columns `FOUND`."""
    return fetch(session, KEPT, first=first)


def _doubt(row: RowMapping, *, now: datetime) -> Doubt:
    return Doubt(
        row["message_id"],
        row["attempt"],
        row["channel"],
        _message(row, now=now),
        again=row["valid_until"] > now,
        withdrawn=row["withdrawn"],
    )


def _message(row: RowMapping, *, now: datetime) -> Message:
    return Message(
        row["message_id"],
        row["address"],
        row["body"] or "",
        row["reference"],
        row["valid_until"] - now,
    )


def _decide(channels: Mapping[str, Channel], doubt: Doubt) -> dict[str, object] | None:
    """Return the next state of a message in doubt, None when nobody can tell yet."""
    channel = channels.get(doubt.channel)
    if channel is None:
        return _next(doubt, "failed", code="no channel")
    try:
        receipts = channel.look_up(doubt.message)
    except SendFailed as failed:
        log.warning("look-up failed", extra={"code": failed.code})
        return None
    if receipts is None:  # at most once: nobody can tell, so that the next way is taken
        return _next(doubt, "failed", code=UNSURE)
    if receipts:
        best = _best(receipts)
        return _next(doubt, best.status, code=best.code, provider_id=best.provider_id)
    if doubt.withdrawn:
        return _next(doubt, "cancelled")
    return _next(doubt, "pending" if doubt.again else "expired")


def _best(receipts: Sequence[Receipt]) -> Receipt:
    return max(
        receipts, key=lambda it: ("failed", "sent", "delivered").index(it.status)
    )


def _next(
    doubt: Doubt,
    state: str,
    *,
    code: str | None = None,
    provider_id: str | None = None,
) -> dict[str, object]:
    return {
        "message_id": doubt.message_id,
        "attempt": doubt.attempt,
        "state": state,
        "code": code,
        "provider_id": provider_id,
    }


def _compare(
    channels: Mapping[str, Channel], row: RowMapping, *, now: datetime
) -> Discrepancy | None:
    channel = channels.get(row["channel"])
    if channel is None:
        return None
    try:
        receipts = channel.look_up(_message(row, now=now))
    except SendFailed as failed:
        log.warning("look-up failed", extra={"code": failed.code})
        return None
    ids = tuple(receipt.provider_id for receipt in receipts or ())
    if len(ids) > 1:
        return Discrepancy(row["message_id"], "doubled", ids)
    if ids and row["provider_id"] != ids[0]:
        return Discrepancy(row["message_id"], "unexpected", ids)
    return None


LOSE = """
WITH lost AS (
    UPDATE outbox_message AS m
    SET state = 'unknown', lease_until = :rest
    FROM (SELECT message_id, lease_until FROM outbox_message
          WHERE state = 'leased' AND lease_until <= :real
          ORDER BY lease_until LIMIT :limit FOR UPDATE SKIP LOCKED) AS old
    WHERE m.message_id = old.message_id
    RETURNING m.message_id, m.attempt, m.patient_id, old.lease_until
)
INSERT INTO message_attempt (message_id, attempt, patient_id, started_at, outcome)
SELECT message_id, attempt, patient_id, lease_until - CAST(:lease AS interval), 'lost'
FROM lost
ON CONFLICT (message_id, attempt) DO NOTHING
"""

# While it is asked about, a message rests: a second process leaves it alone, and this
# one is fenced by the instant it wrote.
ASK = """
UPDATE outbox_message AS m SET lease_until = :until
FROM (SELECT message_id FROM outbox_message
      WHERE state = 'unknown' AND lease_until <= :real
      ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED) AS found
WHERE m.message_id = found.message_id
RETURNING m.message_id, m.clinic_id, m.patient_id, m.attempt, m.channel, m.address,
          m.body, m.reference, m.valid_until, m.why ? 'cancelled' AS withdrawn
"""

DECIDE = """
UPDATE outbox_message AS m
SET state = CASE WHEN r.state = 'pending' AND m.why ? 'cancelled' THEN 'cancelled'
                 ELSE r.state END,
    code = r.code, provider_id = coalesce(r.provider_id, m.provider_id),
    lease_until = NULL, settled_at = CASE r.state WHEN 'pending' THEN NULL ELSE :now END
FROM rows(message_id uuid, attempt smallint, state text, code text, provider_id text)
WHERE m.message_id = r.message_id AND m.attempt = r.attempt
  AND m.state = 'unknown' AND m.lease_until = :until
"""

DOUBTED = """
SELECT m.message_id, m.channel, m.address, m.body, m.reference, m.valid_until,
       m.provider_id
FROM outbox_message AS m
WHERE m.message_id IN (
    SELECT message_id FROM message_attempt
    WHERE outcome IN ('unknown', 'lost') AND started_at >= :since)
  AND m.state NOT IN ('unknown', 'leased')
ORDER BY m.message_id
"""

FOUND = ("found_at", "kind", "message_id", "channel", "state", "provider_id")

KEPT = """
SELECT r.received_at AS found_at, r.status AS kind, r.message_id, m.channel, m.state,
       r.provider_id
FROM receipt AS r JOIN outbox_message AS m USING (message_id)
WHERE r.status IN ('doubled', 'unexpected')
  AND (CAST(:first AS date) IS NULL
       OR r.received_at >= CAST(:first AS date)::timestamp AT TIME ZONE 'UTC')
ORDER BY r.received_at, r.message_id, r.provider_id
"""

KEEP = """
INSERT INTO receipt (provider_id, status, message_id, received_at)
SELECT provider_id, kind, message_id, :real
FROM rows(provider_id text, kind text, message_id uuid)
ON CONFLICT DO NOTHING
"""
