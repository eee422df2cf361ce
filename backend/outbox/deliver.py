"""Due messages to their channels: claimed, sent outside any transaction, settled."""

import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from queue import Empty, SimpleQueue
from uuid import UUID

from sqlmodel import Session

from backend.live import Marks, mark
from backend.outbox.claim import Batch, Queue, Round, claim
from backend.outbox.message import GRACE, PACE, Leased, Outcome, Word
from backend.outbox.recent import Recent
from backend.outbox.settle import giving_way, renew, settle, write
from notifications.message import Channel, Message, Receipt, SendFailed

log = logging.getLogger(__name__)

FEWEST, MOST = 20, 500  # messages one claim takes
# What a message says, to whom and whether at all is decided when it is claimed. With a
# slow provider the rest of a batch is given back after this time, to be decided anew.
FRESH = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Sender:
    """What sending by one channel needs; the channel may not exist any more."""

    queue: Queue
    channel: Channel | None
    now: datetime
    began: datetime
    real: Callable[[], datetime]
    word: Word
    recent: Recent
    stopping: Callable[[], bool]

    def domain(self, real: datetime) -> datetime:
        """Return the domain time at an instant of real time."""
        elapsed, speed = real - self.began, self.queue.speed
        return self.now + (elapsed if speed == 1 else elapsed * speed)


def deliver(
    channels: Mapping[str, Channel | None],
    *,
    now: datetime,
    real: Callable[[], datetime],
    word: Word,
    batch: int = FEWEST,
    speed: float = 1.0,
    recent: Recent | None = None,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """Send what is due by these channels; return how many rows were claimed.

    One channel after the other, each for about a second. What goes by a channel that
    is None fails. `speed` is that of domain time. Who calls again and again hands in
    the same `recent`, and what went out in the last hour is read but once. One thread
    at a time may use it.
    """
    began, recent = real(), recent or Recent()
    found = 0
    for name, channel in channels.items():
        rate = None if channel is None else channel.per_second
        queue = Queue(name, rate, speed)
        sender = Sender(queue, channel, now, began, real, word, recent, stopping)
        found += _deliver(sender, batch)
    return found


def _deliver(sender: Sender, batch: int) -> int:
    """Send what is due by one channel for about a second.

    The first claim takes `batch` messages, the next ones as many as a second allows.
    The outcomes of one batch are written in the transaction that claims the next. A
    crash between a send and its outcome leaves the row leased; `reconcile` finds it
    when the lease ends, asks the provider, and only then may send again.
    """
    began, found, size = sender.real(), 0, batch
    outcomes: list[Outcome] = []
    whose: Marks = {}
    seen = Round(sender.recent)
    while not sender.stopping() and abs(sender.real() - began) <= PACE:
        turn_began = time.monotonic()
        claimed = _turn(sender, outcomes, size, seen)
        mark(whose)  # their outcomes are written now
        found += claimed.found
        outcomes, whose = _send_all(sender, claimed.leased), claimed.whose
        seen.reached = claimed.reached
        if claimed.found < size:
            break
        size = _a_second_worth(claimed.found, time.monotonic() - turn_began)
    _settle(sender, outcomes)
    mark(whose)
    return found


def _turn(sender: Sender, outcomes: Sequence[Outcome], size: int, seen: Round) -> Batch:
    """Write the outcomes of the last batch and claim the next: one commit for both."""

    def both(session: Session) -> Batch:
        if outcomes:
            write(session, outcomes, owner=sender.recent.owner, now=sender.now)
        real = sender.real()
        return claim(
            session,
            sender.queue,
            seen,
            now=sender.domain(real),
            real=real,
            word=sender.word,
            limit=size,
        )

    return giving_way(both)


def _a_second_worth(found: int, took: float) -> int:
    return min(max(int(found / max(took, 0.001)), FEWEST), MOST)


def _send_all(sender: Sender, rows: Sequence[Leased]) -> list[Outcome]:
    """Send a batch and return the outcomes that are not written yet."""
    claimed_at = sender.real()
    outcomes: list[Outcome] = []
    rest = rows
    while rest:
        outcomes = _send_for_a_while(sender, rest)
        got = [it.recipient for it in outcomes if it.recipient is not None]
        sender.recent.add(sender.now, got)
        rest = rest[len(outcomes) :]
        if rest:
            _settle(sender, outcomes)
            outcomes = []
            rest = _still_wanted(sender, rest, claimed_at)
    return outcomes


def _send_for_a_while(sender: Sender, rows: Sequence[Leased]) -> list[Outcome]:
    """Send until the pace asks to look again, or the worker is to stop.

    As many at once as the channel takes; of the rows the first ones have gone then.
    """
    waiting: SimpleQueue[Leased] = SimpleQueue()
    for row in rows:
        waiting.put(row)
    began = sender.real()
    at_once = 1 if sender.channel is None else min(sender.channel.at_once, len(rows))
    if at_once == 1:
        return _send_from(sender, waiting, began)
    with ThreadPoolExecutor(at_once, thread_name_prefix="send") as threads:
        sent = [
            threads.submit(_send_from, sender, waiting, began) for _ in range(at_once)
        ]
    return [outcome for each in sent for outcome in each.result()]


def _send_from(
    sender: Sender, waiting: SimpleQueue[Leased], began: datetime
) -> list[Outcome]:
    """Send one message after the other while there are some and the pace allows it."""
    at = sender.real()
    outcomes: list[Outcome] = []
    # The wall clock, either way: a machine that slept has lost its leases.
    while not sender.stopping() and abs(at - began) <= PACE:
        try:
            row = waiting.get_nowait()
        except Empty:
            break
        outcomes.append(_send(sender, row, started_at=at))
        at = outcomes[-1].ended_at
    return outcomes


def _settle(sender: Sender, outcomes: Sequence[Outcome]) -> None:
    settle(outcomes, owner=sender.recent.owner, now=sender.now)


def _still_wanted(
    sender: Sender, rows: Sequence[Leased], claimed_at: datetime
) -> list[Leased]:
    """Return what may still be sent, and give back the rest.

    What was withdrawn is cancelled by that; what another process took over because
    our lease had ended is known not to have gone.
    """
    at = sender.real()
    stale = abs(at - claimed_at) > FRESH
    still = frozenset[UUID]() if stale or sender.stopping() else renew(rows, real=at)
    gone = [row for row in rows if row.message_id not in still]
    _settle(sender, [_unsent(row, "pending", "released", at) for row in gone])
    return [row for row in rows if row.message_id in still]


def _send(sender: Sender, row: Leased, *, started_at: datetime) -> Outcome:
    if sender.channel is None:
        return _unsent(row, "failed", "failed", started_at, code="no channel")
    dies_in = row.valid_until - sender.domain(started_at)
    if dies_in <= timedelta(0):
        return _unsent(row, "expired", "released", started_at)
    message = Message(
        row.message_id,
        row.address,
        row.body,
        row.reference,
        dies_in,
        row.language,
        row.to_caregiver,
    )
    try:
        receipt = sender.channel.send(message)
    except SendFailed as failed:
        return _failure(row, failed, started_at, sender.real())
    except Exception:
        # A channel's bug is an answer nobody understood, and not the end of a batch.
        log.exception("channel broke", extra={"message_id": str(row.message_id)})
        unread = SendFailed("broken channel", retry=None)
        return _failure(row, unread, started_at, sender.real())
    return _acceptance(row, receipt, started_at, sender.real())


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
        row.recipient,
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
