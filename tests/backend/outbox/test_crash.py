"""Workers are killed at any moment, the provider fails, and its ledger has the say."""

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import pytest
from sqlmodel import col, func, select

from backend.database import transaction
from backend.outbox.enqueue import enqueue
from backend.outbox.reconcile import report
from backend.outbox.tables import MessageAttempt, OutboxMessage
from tests.backend.outbox.crash_worker import faster, texting
from tests.backend.outbox.phone import a_draft
from tests.builders import NOW
from tests.conftest import PROJECT
from tests.notifications.fake_twilio import Faults, Provider, serving

pytestmark = pytest.mark.usefixtures("db")

SPEED = 60.0  # of the workers' real time: a lease is a second, a grace two


def a_provider(*, seed: int, post_takes_s: float, late: float = 0.0) -> Provider:
    """A provider as bad as they get; what it took shows within a minute of its time.

    `late` is the share that it takes and shows only after the bound that we state.
    """
    faults = Faults(
        rate_limited=0.05,
        accepted_then_503=0.03,
        accepted_then_disconnect=0.03,
        accepted_late=late,
        visible_after_s=60 / SPEED,
        takes_s=post_takes_s,
        seed=seed,
    )
    return Provider(faults)


def queue_reminders(count: int) -> set[str]:
    addresses = [f"+4179{number:07}" for number in range(count)]
    with transaction() as session:
        enqueue(session, [a_draft(address=to) for to in addresses], now=NOW)
    return set(addresses)


def states() -> Counter[str]:
    with transaction() as session:
        rows = session.exec(
            select(OutboxMessage.state, func.count()).group_by(col(OutboxMessage.state))
        )
        return Counter(dict(rows.all()))


def addresses_of(message_ids: Iterable[UUID]) -> set[str]:
    with transaction() as session:
        return set(
            session.exec(
                select(OutboxMessage.address).where(
                    col(OutboxMessage.message_id).in_(message_ids)
                )
            )
        )


def a_worker(address: str, kind: str) -> subprocess.Popen[bytes]:
    module = "tests.backend.outbox.crash_worker"
    command = [sys.executable, "-m", module, address, str(SPEED), kind]
    return subprocess.Popen(command, cwd=PROJECT)


def drain(
    address: str, *, kills: int, seed: int, limit_s: float, kind: str = "ours"
) -> None:
    """Run two workers until nothing is open, killing one every little while.

    Each of them has up to sixteen texts with the provider when it dies.
    """
    chance = random.Random(seed)
    workers = [a_worker(address, kind) for _ in range(2)]
    until = time.monotonic() + limit_s
    next_kill = time.monotonic() + 1.5
    try:
        while sum(states()[state] for state in ("pending", "leased", "unknown")):
            assert time.monotonic() < until, states()
            time.sleep(0.05)
            if kills and time.monotonic() > next_kill:
                victim = chance.randrange(2)
                workers[victim].kill()
                workers[victim].wait()
                workers[victim] = a_worker(address, kind)
                kills -= 1
                next_kill = time.monotonic() + chance.uniform(0.2, 1.2)
        assert not kills, "all was sent before the last kill"
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def nothing_lost_nothing_doubled(
    *,
    count: int,
    kills: int,
    seed: int,
    post_takes_s: float,
    limit_s: float,
    late: float = 0.0,
) -> None:
    """What is doubled is what was taken after the bound, and the report says so."""
    addresses = queue_reminders(count)
    provider = a_provider(seed=seed, post_takes_s=post_takes_s, late=late)
    with serving(provider) as address:
        drain(address, kills=kills, seed=seed, limit_s=limit_s)
        provider.show_all()
        with texting(address) as sms:
            reported = report({"sms": sms}, now=NOW, real=faster(SPEED)())

    assert states() == {"sent": count}
    got = provider.per_recipient()
    assert got.keys() == addresses
    beyond = {to for to, times in got.items() if times > 1}
    assert bool(beyond) == bool(late)
    assert {it.kind for it in reported} <= {"doubled"}
    assert addresses_of(it.message_id for it in reported) == beyond


@pytest.mark.slow
def test_nothing_is_lost_or_doubled_when_workers_are_killed() -> None:
    nothing_lost_nothing_doubled(
        count=200, kills=5, seed=1, post_takes_s=0.3, limit_s=120
    )
    with transaction() as session:
        outcomes = set(session.exec(select(MessageAttempt.outcome)))
    assert {"retry", "unknown"} <= outcomes


@pytest.mark.slow
def test_what_is_taken_after_the_stated_bound_is_in_the_report() -> None:
    nothing_lost_nothing_doubled(
        count=100, kills=0, seed=3, post_takes_s=0.0, limit_s=120, late=0.1
    )


@pytest.mark.slow
def test_the_same_faults_make_a_naive_sender_double() -> None:
    addresses = queue_reminders(100)
    provider = a_provider(seed=2, post_takes_s=0.0)
    with serving(provider) as address:
        drain(address, kills=0, seed=2, limit_s=60, kind="naive")

    got = provider.per_recipient()
    assert got.keys() == addresses
    assert got.total() > len(addresses)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_nothing_of_twelve_thousand_is_lost_or_doubled(seed: int) -> None:
    nothing_lost_nothing_doubled(
        count=12_000,
        kills=25,
        seed=seed,
        post_takes_s=0.05,
        limit_s=900,
        late=0.01 if seed % 2 else 0.0,
    )
