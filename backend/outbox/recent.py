"""What went to whom in the last hour: one row a batch, each read once.

A row a message and a look at each cost a tenth of all that sending a message takes.
A batch is a row of what stands for its recipients; whoever claims reads the rows it has
not read yet, and looks in its own memory.
"""

from array import array as numbers
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import blake2b

from sqlmodel import Session

from backend.outbox.arrays import array

REMEMBERED = timedelta(hours=1)
SIGNED_64 = "q"  # of `array`: eight octets each


def recipient(channel: str, address: str) -> int:
    """Return what stands for a place that messages go to, 64 bits with a sign."""
    digest = blake2b(f"{channel}{address}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def packed(recipients: Iterable[int]) -> bytes:
    """Return recipients as a row keeps them: eight octets each."""
    return numbers(SIGNED_64, recipients).tobytes()


class Recent:
    """The sends of the last hour, as far as they were committed when last read."""

    def __init__(self) -> None:
        self._batches: dict[int, tuple[datetime, numbers[int]]] = {}
        self._everybody: set[int] = set()
        self._began: datetime | None = None

    def read(self, session: Session, *, now: datetime) -> None:
        """Read what this worker and others have added, and once an hour all of it.

        Also what this transaction has added: after this it must not wait for anything
        that would have it tried anew.
        """
        if self._began is None or now - self._began > REMEMBERED:
            self._batches, self._everybody, self._began = {}, set(), now
        rows = session.connection().exec_driver_sql(
            ADDED, {"since": now - REMEMBERED, "known": array(self._batches)}
        )
        for batch_id, at, recipients in rows:
            batch = numbers(SIGNED_64, recipients)
            self._batches[batch_id] = at, batch
            self._everybody.update(batch)

    def sent_to(self, recipients: Collection[int]) -> Mapping[int, list[datetime]]:
        """Return when each of these was sent to, ascending; others are left out."""
        met = self._everybody.intersection(recipients)
        sent: defaultdict[int, list[datetime]] = defaultdict(list)
        if met:
            for at, batch in sorted(self._batches.values(), key=lambda it: it[0]):
                for each in batch:
                    if each in met:
                        sent[each].append(at)
        return sent


def forget(session: Session, *, now: datetime) -> int:
    """Delete what no limit looks at any more; return how many batches that were."""
    before = {"before": now - REMEMBERED}
    return session.connection().exec_driver_sql(FORGET, before).rowcount


ADDED = """
SELECT batch_id, at, recipients FROM recent_send
WHERE at > %(since)s AND batch_id <> ALL(%(known)s::bigint[])
"""

FORGET = "DELETE FROM recent_send WHERE at <= %(before)s"
