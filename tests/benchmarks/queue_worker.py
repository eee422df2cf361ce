"""One worker of the reminder benchmark: waits for the second and drains.

`python -m tests.benchmarks.queue_worker MODE AT BATCH`; at the real instant AT domain
time is EIGHT. Prints CPU-seconds and lags.
"""

import gc
import json
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Self

import psycopg

from backend.clock import real_now
from backend.database import queue_engine
from backend.outbox.deliver import deliver
from backend.outbox.recent import Recent
from backend.reminders.word import word
from notifications.message import ChannelSettings, Message, Receipt

EIGHT = datetime(2026, 3, 4, 8, 30, tzinfo=UTC)

# Written for the index that is there, as whoever writes such a loop would.
CLAIM = """
WITH due AS (
    SELECT message_id FROM outbox_message
    WHERE state = 'pending' AND channel = 'sms' AND priority = 5 AND due_at <= %(now)s
    ORDER BY due_at, message_id LIMIT %(batch)s FOR UPDATE SKIP LOCKED)
UPDATE outbox_message AS m SET state = %(state)s FROM due
WHERE m.message_id = due.message_id RETURNING m.message_id, m.due_at
"""
FINISH = "UPDATE outbox_message SET state = 'sent' WHERE message_id = ANY(%s)"


class Yes:
    """A provider that accepts at once."""

    per_second: float | None = None
    at_once = 1

    def __init__(self) -> None:
        self.sent = 0

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self:  # noqa: ARG003
        return cls()

    def send(self, message: Message) -> Receipt:
        self.sent += 1
        return Receipt(f"SM{message.message_id.hex}")

    def look_up(self, message: Message) -> Sequence[Receipt]:  # noqa: ARG002
        return ()


class Bare:
    """Claim a batch and update it: nothing is decided, sent or kept."""

    def __init__(
        self, batch: int, *, twice: bool, domain_now: Callable[[], datetime]
    ) -> None:
        self._now = domain_now
        url = queue_engine().url.set(drivername="postgresql")
        self._connection = psycopg.connect(
            url.render_as_string(hide_password=False),
            autocommit=True,
            prepare_threshold=None,
        )
        self._batch, self._twice = batch, twice
        self.lags: list[float] = []

    def __call__(self) -> int:
        state = "leased" if self._twice else "sent"
        asked = {"now": self._now(), "batch": self._batch, "state": state}
        rows = self._connection.execute(CLAIM, asked).fetchall()
        at = self._now()
        self.lags += [(at - due).total_seconds() for _, due in rows]
        if rows and self._twice:
            self._connection.execute(FINISH, ([key for key, _ in rows],))
        return len(rows)


def main(mode: str, at: str, batch: str) -> None:
    begins = datetime.fromisoformat(at)
    offset = EIGHT - begins
    lags: list[float] = []
    step: Callable[[], int]
    if mode == "full":
        step = partial(_deliver, Yes(), Recent(), offset, int(batch))
    else:
        step = bare = Bare(
            int(batch),
            twice=mode == "claim, update",
            domain_now=lambda: real_now() + offset,
        )
        lags = bare.lags
    step()
    gc.freeze()  # as `work` does
    print("ready", flush=True)
    while real_now() < begins:
        time.sleep(0.001)
    cpu = time.process_time()
    idle_since = None
    while idle_since is None or time.monotonic() - idle_since < 1.5:
        if step():
            idle_since = None
        else:
            idle_since = idle_since or time.monotonic()
            time.sleep(0.01)
    cpu = time.process_time() - cpu
    print(json.dumps({"cpu": cpu, "lags": lags}), flush=True)
    sys.stdin.readline()  # its connections count until the clocks were read


def _deliver(channel: Yes, recent: Recent, offset: timedelta, batch: int) -> int:
    return deliver(
        {"sms": channel},
        now=real_now() + offset,
        real=real_now,
        word=word,
        batch=batch,
        recent=recent,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
