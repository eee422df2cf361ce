"""When nothing ticks the operator hears of it: once, from whoever sees it."""

from datetime import timedelta
from typing import NamedTuple

import httpx
import pytest

from backend import ticker
from backend.app.create import create_app
from backend.clock import DomainClock, real_now
from backend.database import transaction
from backend.outbox.beat import begin, end
from backend.outbox.enqueue import enqueue
from backend.outbox.operators import look, tell_operator
from backend.outbox.watch import AGAIN, EVERY, UNTOLD, Notice
from backend.settings import settings
from notifications.message import SendFailed
from tests.backend.outbox.phone import REAL, Clock, Phone, a_draft
from tests.builders import NOW
from tests.serving import serving

pytestmark = pytest.mark.usefixtures("db")

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
BEAT = 10 * SECOND


class Reached(NamedTuple):
    webhook_url: str | None = None
    operator_mail: str | None = None


class Watchman:
    """A web process that looks, and a worker beside it; time is moved by hand."""

    def __init__(self) -> None:
        self.clock, self.heard = Clock(), list[Notice]()
        self.deaf = False

    def domain(self) -> DomainClock:
        return DomainClock(REAL, NOW, 1.0)

    def beat(self, name: str = "deliver", error: str | None = None) -> None:
        with transaction() as session:
            begin(session, name, every=BEAT, real=self.clock.at)
            end(session, name, done=0, error=error, real=self.clock.at)

    def look(self) -> int:
        return look(self.tell, clock=self.domain(), real=self.clock.at)

    def tell(self, notice: Notice) -> bool:
        if not self.deaf:
            self.heard.append(notice)
        return not self.deaf

    def topics(self) -> list[tuple[str, bool]]:
        return [(notice.topic, notice.wrong is not None) for notice in self.heard]


@pytest.fixture
def watchman() -> Watchman:
    watchman = Watchman()
    watchman.beat()
    return watchman


def test_while_the_worker_ticks_nobody_is_told_anything(watchman: Watchman) -> None:
    for _ in range(20):
        watchman.clock.pass_by(BEAT)
        watchman.beat()
        watchman.look()

    assert watchman.heard == []


def test_two_minutes_after_the_last_sign_of_life_the_operator_knows(
    watchman: Watchman,
) -> None:
    died = watchman.clock.at
    while not watchman.heard:
        watchman.clock.pass_by(EVERY)
        watchman.look()

    assert watchman.clock.at - died <= 2 * MINUTE - 10 * SECOND  # what a channel takes
    assert watchman.topics() == [("deliver", True)]
    assert watchman.heard[0].wrong == (
        "Nothing ticks: deliver last began at 12:00:00 UTC."
    )


def test_the_same_trouble_is_told_once_by_all_processes_and_again_hourly(
    watchman: Watchman,
) -> None:
    watchman.clock.pass_by(5 * MINUTE)

    assert [watchman.look() for _ in range(3)] == [1, 0, 0]
    watchman.clock.pass_by(AGAIN)
    assert [watchman.look() for _ in range(2)] == [1, 0]


def test_what_nobody_heard_is_told_again(watchman: Watchman) -> None:
    watchman.clock.pass_by(5 * MINUTE)
    watchman.deaf = True
    watchman.look()
    watchman.deaf = False

    assert watchman.look() == 0  # another process may be telling it
    watchman.clock.pass_by(UNTOLD)
    assert watchman.look() == 1
    assert watchman.topics() == [("deliver", True)]


def test_when_it_ticks_again_the_operator_hears_that_too(watchman: Watchman) -> None:
    watchman.clock.pass_by(5 * MINUTE)
    watchman.look()
    watchman.clock.pass_by(MINUTE)
    watchman.beat()
    watchman.look()
    watchman.look()

    assert watchman.topics() == [("deliver", True), ("deliver", False)]


def test_a_job_that_ends_with_an_error_is_told(watchman: Watchman) -> None:
    watchman.beat("seal", error="KeyError")
    watchman.look()

    assert [notice.wrong for notice in watchman.heard] == [
        "seal ends with KeyError: see its log."
    ]


def test_where_no_worker_ever_ran_that_is_said() -> None:
    watchman = Watchman()
    watchman.look()

    assert watchman.topics() == [("worker", True)]


def test_messages_that_wait_are_told_and_those_held_on_purpose_are_not(
    watchman: Watchman,
) -> None:
    with transaction() as session:
        enqueue(session, [a_draft()], now=NOW)
    watchman.clock.pass_by(MINUTE)
    watchman.beat()
    watchman.look()
    assert watchman.heard == []

    watchman.clock.pass_by(MINUTE)
    watchman.beat()
    watchman.look()
    assert watchman.topics() == [("messages by sms", True)]


def test_every_address_is_tried_and_one_that_hears_is_enough() -> None:
    hook, mail = Phone(), Phone()
    hook.failing = [SendFailed("webhook 500", retry=True)]
    notice = Notice("deliver", "Nothing ticks.", REAL)
    reached = Reached("https://ops.example/hook", "ops@example.org")

    assert tell_operator({"webhook": hook, "email": mail}, reached, notice)
    assert [message.to for message in mail.got] == ["ops@example.org"]
    assert mail.got[0].body == "Doseloop, 2026-11-23 12:00:00 UTC: Nothing ticks."

    mail.failing = [SendFailed("unreachable", retry=True)]
    hook.failing = [SendFailed("webhook 500", retry=True)]
    assert not tell_operator({"webhook": hook, "email": mail}, reached, notice)


def test_a_monitor_can_ask_whether_the_worker_ticks() -> None:
    with serving(create_app()) as client:
        assert client.get("/healthz/worker").status_code == 503
        with transaction() as session:
            begin(session, "deliver", every=BEAT, real=real_now())
        answer = client.get("/healthz/worker")

    assert (answer.status_code, answer.json()) == (200, {"state": "ticking"})


def test_a_worker_calls_the_dead_mans_switch_only_while_all_ticks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    called: list[str] = []

    def get(url: str, *, timeout: float) -> httpx.Response:
        called.append(url)
        return httpx.Response(200, request=httpx.Request("GET", url))

    monkeypatch.setattr(httpx, "get", get)
    monkeypatch.setenv("DOSELOOP_HEARTBEAT_URL", "https://alive.example/1")
    settings.cache_clear()
    [job] = [job for job in ticker.jobs() if job.name == "sign of life"]

    job.run(NOW)
    assert called == []
    with transaction() as session:
        begin(session, "deliver", every=BEAT, real=real_now())
    job.run(NOW)
    assert called == ["https://alive.example/1"]

    monkeypatch.undo()
    settings.cache_clear()
