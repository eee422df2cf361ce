"""A worker to be killed: `crash_worker ADDRESS SPEED KIND`, KIND `ours` or `naive`.

Real time runs SPEED times faster for it, so that leases and graces end soon.
"""

import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta

from twilio.rest import Client

from backend.clock import real_now
from backend.outbox.deliver import deliver
from backend.outbox.recent import Recent
from backend.outbox.reconcile import reconcile
from notifications.channels.sms import SmsChannel
from notifications.message import Channel
from notifications.single_shot import SingleShot
from tests.backend.outbox.phone import plain
from tests.benchmarks.naive_sender import Naive
from tests.builders import NOW
from tests.notifications.fake_twilio import ACCOUNT, SENDER, TOKEN

START = datetime(2026, 1, 1, tzinfo=UTC)


def faster(speed: float) -> Callable[[], datetime]:
    """Return a real time that runs `speed` times as fast."""
    return lambda: START + (real_now() - START) * speed


@contextmanager
def texting(address: str) -> Generator[SmsChannel]:
    with closing(SingleShot(timeout=timedelta(seconds=5), at=address)) as http:
        yield SmsChannel(Client(ACCOUNT, TOKEN, http_client=http), SENDER)


def main(address: str, speed: str, kind: str) -> None:
    fast, recent = faster(float(speed)), Recent()
    with texting(address) as sms:
        channels: dict[str, Channel] = {"sms": Naive(sms) if kind == "naive" else sms}
        while True:
            done = deliver(
                channels, now=NOW, real=fast, word=plain, batch=20, recent=recent
            )
            done += reconcile(channels, now=NOW, real=fast)
            if not done:
                time.sleep(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
