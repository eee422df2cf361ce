"""How fast messages go: as a sender may, and as often as a recipient can bear.

A sender's bucket is one row that says until when its rate is spent (the generic cell
rate algorithm, ITU-T I.371). All workers draw on it in the transaction that claims, so
that what they send together stays within the rate.

A recipient's is what went there in the last hour (`recent`), kept without the address.
Two workers may both find room, and the worst that follows is a text too soon.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import floor
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session

from backend.outbox.recent import Recent, recipient

BURST = timedelta(seconds=2)  # what a bucket holds, at least one message
URGENT = 1  # messages of this priority are counted but never held for a recipient


class Limit(NamedTuple):
    """At most so many messages within any span of this length."""

    most: int
    within: timedelta


def _limits(minute: int, quarter: int, hour: int) -> tuple[Limit, ...]:
    return (
        Limit(minute, timedelta(minutes=1)),
        Limit(quarter, timedelta(minutes=15)),
        Limit(hour, timedelta(hours=1)),
    )


# Texts as GoAlert throttles them; a call that rings asks for more of a person.
PER_RECIPIENT: Mapping[str, Sequence[Limit]] = {
    "sms": _limits(1, 5, 11),
    "voice": _limits(1, 3, 7),
}


class Going(NamedTuple):
    """A message that is about to go by a channel whose recipients have limits."""

    message_id: UUID
    channel: str
    recipient: int
    priority: int


def limited(channel: str, address: str) -> int | None:
    """Return what stands for a recipient, None when a channel may write at will."""
    return recipient(channel, address) if channel in PER_RECIPIENT else None


def room(
    session: Session, channel: str, per_second: float | None, *, real: datetime
) -> int | None:
    """Return how many messages a channel may send now, None when it has no rate.

    Until this transaction ends no other worker is told.
    """
    if per_second is None:
        return None
    spent = session.connection().exec_driver_sql(
        SPENT, {"sender": channel, "real": real}
    )
    gap = timedelta(seconds=1 / per_second)
    left = real + max(BURST, gap) - max(spent.scalar_one(), real)
    return max(floor(left / gap), 0)


def spend(
    session: Session, channel: str, per_second: float, count: int, *, real: datetime
) -> None:
    """Take `count` messages from a channel's bucket."""
    took = timedelta(seconds=count / per_second)
    session.connection().exec_driver_sql(
        SPEND, {"sender": channel, "real": real, "took": took}
    )


def too_soon(
    session: Session, going: Sequence[Going], recent: Recent, *, now: datetime
) -> dict[UUID, datetime]:
    """Return until when (domain time) which of these must wait for their recipient."""
    if not going:
        return {}
    recipients = {it.recipient for it in going}
    recent.read(session, now=now)
    sent = recent.sent_to(recipients)
    if not sent and len(recipients) == len(going):
        return {}  # nobody got anything lately, and nobody gets two
    waiting: dict[UUID, datetime] = {}
    for it in going:
        before = sent.setdefault(it.recipient, [])
        at = allowed(before, PER_RECIPIENT[it.channel], now)
        if at > now and it.priority > URGENT:
            waiting[it.message_id] = at
        else:
            before.append(now)
    return waiting


def allowed(
    sent: Sequence[datetime], limits: Sequence[Limit], now: datetime
) -> datetime:
    """Return the first instant from `now` on at which one more keeps every limit.

    `sent` ascends.
    """
    if not sent:
        return now
    ends = [
        sent[-limit.most] + limit.within for limit in limits if len(sent) >= limit.most
    ]
    return max([now, *ends])


SPENT = """
INSERT INTO sender_pace AS known (sender, spent_until) VALUES (%(sender)s, %(real)s)
ON CONFLICT (sender) DO UPDATE SET spent_until = known.spent_until
RETURNING spent_until
"""

SPEND = """
UPDATE sender_pace SET spent_until = greatest(spent_until, %(real)s) + %(took)s
WHERE sender = %(sender)s
"""
