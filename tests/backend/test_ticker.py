import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from backend import ticker
from backend.clock import domain_now, real_now, start_demo
from backend.database import transaction
from backend.ingest.worklist import Worklist
from backend.outbox.beat import beats, begin
from backend.outbox.enqueue import enqueue
from backend.outbox.tables import OutboxMessage
from backend.settings import settings
from backend.ticker import Job, run, tick
from notifications.channels.log import LogChannel
from notifications.channels.sms import SmsChannel
from tests.backend.outbox.phone import REAL, a_draft

pytestmark = pytest.mark.usefixtures("db")

DEADLINE = 20.0  # seconds
HOUR = timedelta(hours=1)


def never() -> bool:
    return False


def queue_due(*, after: timedelta = timedelta(0)) -> None:
    at = domain_now() + after
    with transaction() as session:
        enqueue(session, [a_draft(due_at=at, valid_until=at + HOUR)], now=at)


def states() -> list[str]:
    with transaction() as session:
        return [it.state for it in session.exec(select(OutboxMessage))]


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + DEADLINE
    while not what():
        assert time.monotonic() < until, "nothing happened"
        time.sleep(0.02)


@contextmanager
def a_worker() -> Generator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "work"],
        env=dict(os.environ),
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_a_tick_does_every_job_and_says_how_much() -> None:
    queue_due()

    done = {name: (count, error) for name, count, error in tick()}

    assert done["deliver"] == (1, None)
    assert done["reconcile"] == (0, None)
    assert states() == ["cancelled"]  # a note has no words here


@pytest.fixture
def twilio_is_set_up(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    for name, value in ("ACCOUNT", "AC1"), ("TOKEN", "secret"), ("SENDER", "+1555"):
        monkeypatch.setenv(f"DOSELOOP_TWILIO_{name}", value)
    forget_settings()
    yield
    monkeypatch.undo()
    forget_settings()


def forget_settings() -> None:
    settings.cache_clear()
    ticker.operators_channels.cache_clear()


@pytest.mark.usefixtures("twilio_is_set_up")
def test_from_a_demos_database_no_message_leaves_the_house() -> None:
    assert isinstance(ticker.channels()["sms"], SmsChannel)

    with transaction() as session:
        start_demo(session, speed=1, real=real_now())

    channels = ticker.channels()
    assert isinstance(channels.pop("worklist"), Worklist)  # our own, and always there
    assert {type(channel) for channel in channels.values()} == {LogChannel}


def test_a_job_goes_on_until_nothing_is_due() -> None:
    left = [3, 2, 0, 7]
    job = Job("count", timedelta(seconds=1), lambda _now: left.pop(0))

    run(job, never)

    assert left == [7]
    with transaction() as session:
        assert [(it.name, it.done) for it in beats(session)] == [("count", 5)]


def test_a_job_that_raises_is_noted_and_runs_again() -> None:
    fails = [True, False]

    def job(now: datetime) -> int:
        if fails.pop(0):
            raise KeyError("a patient's name")
        return 0

    for _ in range(2):
        run(Job("sometimes", timedelta(seconds=1), job), never)

    assert fails == []
    with transaction() as session:
        assert [it.error for it in beats(session)] == ["KeyError"]


def test_what_runs_daily_runs_in_one_worker_a_day() -> None:
    ran: list[datetime] = []

    def job(now: datetime) -> int:
        ran.append(now)
        return 0

    for _ in range(3):
        run(Job("nightly", timedelta(days=1), job), never)

    assert len(ran) == 1


def test_the_next_run_is_allowed_when_the_time_is_over() -> None:
    with transaction() as session:
        assert begin(session, "x", every=HOUR, real=REAL)
        assert not begin(session, "x", every=HOUR, real=REAL + HOUR / 2)
        assert begin(session, "x", every=HOUR, real=REAL + HOUR)


@pytest.mark.slow
def test_a_worker_takes_up_what_falls_due_and_ends_when_told() -> None:
    with a_worker() as process:
        wait_for(lambda: "deliver" in _beating())
        queue_due(after=timedelta(seconds=0.3))
        wait_for(lambda: states() == ["cancelled"])
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=DEADLINE)

    assert process.returncode == 0
    events = [json.loads(line)["event"] for line in said.splitlines()]
    assert (events[0], events[-1]) == ("working", "stopped")


def _beating() -> set[str]:
    with transaction() as session:
        return {it.name for it in beats(session)}


def test_every_job_has_a_name_of_its_own() -> None:
    names = [job.name for job in ticker.jobs()]

    assert len(set(names)) == len(names)
