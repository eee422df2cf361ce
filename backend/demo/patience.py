"""Waiting for what a demo needs, cut short when it is told to end."""

import time
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from threading import Event
from typing import TypeVar

import httpx
from sqlalchemy.exc import OperationalError

from backend.demo.processes import Child
from backend.errors import Conflict, Unavailable

LOOK = 0.2  # seconds between two looks
TELL_EVERY = 10.0
PAUSE = 2.0  # seconds between two tries
PASSING = (httpx.TransportError, OperationalError, Unavailable)
Worked = TypeVar("Worked")


class ToldToEnd(Exception):
    """The demo was told to end while something in it waited."""


def until_ready(
    child: Child,
    ready: Callable[[], bool],
    stopping: Event,
    say: Callable[[str], None],
    *,
    clock: Callable[[], float] = time.monotonic,
    look: float = LOOK,
) -> None:
    """Wait until a process is ready, and say every ten seconds how far it is.

    Raises Conflict when it ends or its patience does, ToldToEnd when the demo ends.
    """
    began = told = now = clock()
    while child.alive() and now - began < child.patience:
        with suppress(httpx.TransportError, OSError):
            if ready():
                return
        if stopping.wait(look):
            raise ToldToEnd
        now = clock()
        if now - told >= TELL_EVERY:
            told = now
            say(f"{child.name}: waiting, {now - began:.0f} s{child.progress()}")
    raise Conflict(f"{child.name} did not start: {child.last_words()}")


def until_it_works(
    act: Callable[[], Worked], stopping: Event, *, pause: float = PAUSE
) -> Worked:
    """Return what `act` returns, tried again after what passes by itself.

    That is a web process or a database that is being started again. Raises what does
    not pass, such as a refusal, and ToldToEnd when the demo ends.
    """
    while not stopping.is_set():
        try:
            return act()
        except PASSING:
            pass
        except httpx.HTTPStatusError as error:
            if not _passes(error.response.status_code):
                raise
        stopping.wait(pause)
    raise ToldToEnd


def _passes(status: int) -> bool:
    return status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500
