"""Due messages to their channels: claimed, sent outside any transaction, settled."""

import logging
import random
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from backend.outbox.claim import claim
from backend.outbox.message import GRACE, Leased, Outcome, Word
from backend.outbox.settle import renew, settle
from notifications.message import Channel, Message, Receipt, SendFailed

log = logging.getLogger(__name__)

# A batch that takes longer than this writes its outcomes and looks again whether the
# rest is still wanted: a dose may have been taken since they were claimed.
PACE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=5)


def deliver(
    channels: Mapping[str, Channel],
    *,
    now: datetime,
    real: Callable[[], datetime],
    word: Word,
    batch: int = 100,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Send what is due and return how many rows were claimed.

    A crash between the send and the outcome leaves the row leased; `reconcile` finds
    it when the lease ends, asks the provider, and only then may send again.
    """
    claimed = claim(now=now, real=real(), word=word, limit=batch)
    rest = list(claimed.leased)
    while rest:
        rest = _send_for_a_while(channels, rest, now=now, real=real, stopping=stopping)
    return claimed.found


def _send_for_a_while(
    channels: Mapping[str, Channel],
    rows: Sequence[Leased],
    *,
    now: datetime,
    real: Callable[[], datetime],
    stopping: Callable[[], bool],
) -> list[Leased]:
    """Send until the pace asks to look again; return what is left and still wanted."""
    began = at = real()
    outcomes: list[Outcome] = []
    for row in rows:
        if stopping():
            break
        outcome = _send(channels, row, now=now, started_at=at, real=real)
        outcomes.append(outcome)
        at = outcome.ended_at
        # The wall clock, either way: a machine that slept has lost its leases.
        if abs(at - began) > PACE:
            break
    settle(outcomes, now=now)
    rest = rows[len(outcomes) :]
    if not rest:
        return []
    if stopping():
        settle([_unsent(row, "pending", "released", at) for row in rest], now=now)
        return []
    return _still_wanted(rest, now=now, at=real())


def _still_wanted(
    rows: Sequence[Leased], *, now: datetime, at: datetime
) -> list[Leased]:
    """Return what may still be sent, and give back the rest.

    What was withdrawn is cancelled by that; what another process took over because
    our lease had ended is known not to have gone.
    """
    still = renew(rows, real=at)
    gone = [row for row in rows if row.message_id not in still]
    settle([_unsent(row, "pending", "released", at) for row in gone], now=now)
    return [row for row in rows if row.message_id in still]


def _send(
    channels: Mapping[str, Channel],
    row: Leased,
    *,
    now: datetime,
    started_at: datetime,
    real: Callable[[], datetime],
) -> Outcome:
    channel = channels.get(row.channel)
    if channel is None:
        return _unsent(row, "failed", "failed", started_at, code="no channel")
    message = Message(
        row.message_id, row.address, row.body, row.reference, row.valid_until - now
    )
    try:
        receipt = channel.send(message)
    except SendFailed as failed:
        return _failure(row, failed, started_at, real())
    except Exception:
        # A channel's bug is an answer nobody understood, and not the end of a batch.
        log.exception("channel broke", extra={"message_id": str(row.message_id)})
        unread = SendFailed("broken channel", retry=None)
        return _failure(row, unread, started_at, real())
    return _acceptance(row, receipt, started_at, real())


def _acceptance(
    row: Leased, receipt: Receipt, started_at: datetime, ended_at: datetime
) -> Outcome:
    return Outcome(
        row.message_id,
        row.attempt,
        receipt.status,
        "sent",
        receipt.code,
        receipt.provider_id,
        started_at,
        ended_at,
        None,
    )


def _failure(
    row: Leased, failed: SendFailed, started_at: datetime, ended_at: datetime
) -> Outcome:
    match failed.retry:
        case True:
            state, name, wait = "pending", "retry", ended_at + pause(row.attempt)
        case False:
            state, name, wait = "failed", "failed", None
        case None:
            state, name, wait = "unknown", "unknown", ended_at + GRACE
    return Outcome(
        row.message_id,
        row.attempt,
        state,
        name,
        failed.code,
        None,
        started_at,
        ended_at,
        wait,
    )


def _unsent(
    row: Leased, state: str, name: str, at: datetime, *, code: str | None = None
) -> Outcome:
    return Outcome(row.message_id, row.attempt, state, name, code, None, at, at, None)


def pause(attempt: int) -> timedelta:
    """Return how long to wait after this many attempts: doubling, with jitter."""
    longest = min(timedelta(seconds=2 ** min(attempt, 12)), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.0)  # noqa: S311
