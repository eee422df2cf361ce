"""What went to whom in the last hour: one row a batch, which each worker reads once.

A row a message, and a look at each, cost a tenth of all that sending a message takes.
"""

import time
from array import array as numbers
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from uuid import uuid4

from sqlmodel import Session

from backend.outbox.arrays import array

REMEMBERED = timedelta(hours=1)
TIDIED = timedelta(minutes=10)  # of domain time, how often memory is
SIGNED_64 = "q"  # of `array`: eight octets each
# Real seconds within which a transaction that has added a row has committed. Of one
# that took longer the other workers may not learn: the worst is a text too soon.
COMMITTED = 10.0


def recipient(channel: str, address: str) -> int:
    """Return what stands for a place that messages go to, 64 bits with a sign."""
    digest = blake2b(f"{channel}{address}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def packed(recipients: Iterable[int]) -> bytes:
    """Return recipients as a row keeps them: eight octets each."""
    return numbers(SIGNED_64, recipients).tobytes()


class Recent:
    """The sends of the last hour: those of its owner, and of others as committed.

    Its owner tells it what it sends and writes rows under `owner`; such rows are not
    read, so a transaction that is undone leaves nothing here that was not sent.
    """

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self.owner = uuid4()
        self._seconds = seconds
        self._sent: dict[int, tuple[datetime, ...]] = {}
        self._tidied: datetime | None = None
        # Rows up to `_after` were read; above it those in `_read`, for a row may be
        # committed after one that was numbered later.
        self._read: set[int] = set()
        self._after = self._newest = 0
        self._moved = seconds()

    def add(self, at: datetime, recipients: Sequence[int]) -> None:
        """Remember that each of these got one, or as many as it is named times."""
        added = dict.fromkeys(recipients, (at,))
        if len(added) == len(recipients) and self._sent.keys().isdisjoint(added):
            self._sent.update(added)
            return
        for each in recipients:
            self._sent[each] = (*self._sent.get(each, ()), at)

    def read(self, session: Session, *, now: datetime) -> None:
        """Read what others have committed since the last time."""
        since = now - REMEMBERED
        rows = session.connection().exec_driver_sql(
            ADDED,
            {
                "after": self._after,
                "read": array(self._read),
                "since": since,
                "owner": self.owner,
            },
        )
        for batch_id, at, recipients in rows:
            self._read.add(batch_id)
            self.add(at, numbers(SIGNED_64, recipients))
        self._move_on(session)
        self._tidy(since, now)

    def sent_to(self, recipients: Collection[int]) -> dict[int, list[datetime]]:
        """Return when each of these was sent to, ascending; others are left out."""
        met = self._sent.keys() & recipients
        return {each: sorted(self._sent[each]) for each in met}

    def _move_on(self, session: Session) -> None:
        """Leave behind what had a number the last time: it was committed since."""
        if self._seconds() - self._moved < COMMITTED:
            return
        newest = session.connection().exec_driver_sql(NEWEST).scalar_one()
        self._after, self._newest = self._newest, newest
        self._read = {it for it in self._read if it > self._after}
        self._moved = self._seconds()

    def _tidy(self, since: datetime, now: datetime) -> None:
        if self._tidied is not None and abs(now - self._tidied) < TIDIED:
            return
        kept = {
            each: tuple(at for at in sent if at > since)
            for each, sent in self._sent.items()
        }
        self._sent = {each: sent for each, sent in kept.items() if sent}
        self._tidied = now


def forget(session: Session, *, now: datetime) -> int:
    """Delete what no limit looks at any more; return how many batches that were."""
    before = {"before": now - REMEMBERED}
    return session.connection().exec_driver_sql(FORGET, before).rowcount


ADDED = """
SELECT batch_id, at, recipients FROM recent_send
WHERE batch_id > %(after)s AND batch_id <> ALL(%(read)s::bigint[])
  AND at > %(since)s AND owner <> %(owner)s
"""

NEWEST = "SELECT coalesce(max(batch_id), 0) FROM recent_send"

FORGET = "DELETE FROM recent_send WHERE at <= %(before)s"
