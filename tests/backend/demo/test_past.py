"""The past of the wearables arrives, whatever happens to the backend meanwhile."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event
from uuid import UUID

import httpx
import pytest

from backend.demo.cast import cast
from backend.demo.past import deliver_past
from backend.demo.patience import ToldToEnd, until_it_works

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ROSA = next(cast(NOW))
Answer = Callable[[httpx.Request], httpx.Response]


@contextmanager
def a_backend(answer: Answer) -> Generator[httpx.Client]:
    with httpx.Client(
        base_url="http://demo", transport=httpx.MockTransport(answer)
    ) as http:
        yield http


def delivered(answer: Answer, stopping: Event | None = None) -> int:
    with a_backend(answer) as http:
        counts = deliver_past(
            http,
            [(ROSA, UUID(int=1))],
            first=NOW - timedelta(hours=2),
            last=NOW,
            stopping=stopping or Event(),
            pause=0.001,
        )
        return sum(counts)


def test_what_a_backend_could_not_take_for_a_moment_is_sent_again() -> None:
    bodies: list[bytes] = []
    troubles: list[Exception | int] = [503, httpx.ReadTimeout("slow"), 429, 500]

    def answer(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        trouble = troubles.pop(0) if troubles else 200
        if isinstance(trouble, Exception):
            raise trouble
        return httpx.Response(trouble)

    samples = delivered(answer)

    assert samples > 60
    assert len(bodies) == 5
    assert len(set(bodies)) == 1


def test_what_a_backend_refuses_is_not_sent_again() -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(422)

    with pytest.raises(httpx.HTTPStatusError, match="422"):
        delivered(answer)

    assert len(asked) == 1


def test_a_demo_that_ends_does_not_wait_for_a_backend_that_is_gone() -> None:
    stopping = Event()

    def answer(request: httpx.Request) -> httpx.Response:
        stopping.set()
        raise httpx.ConnectError("gone")

    with pytest.raises(ToldToEnd):
        delivered(answer, stopping)


def test_nothing_is_begun_once_the_demo_ends() -> None:
    stopping = Event()
    stopping.set()

    with pytest.raises(ToldToEnd):
        until_it_works(lambda: pytest.fail("was begun"), stopping)
