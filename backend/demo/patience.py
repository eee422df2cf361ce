"""Waiting for what a demo needs, cut short when it is told to end."""

from collections.abc import Callable
from http import HTTPStatus
from threading import Event
from typing import TypeVar

import httpx
from sqlalchemy.exc import OperationalError

from backend.errors import Unavailable

PAUSE = 2.0  # seconds between two tries
PASSING = (httpx.TransportError, OperationalError, Unavailable)
Worked = TypeVar("Worked")


class ToldToEnd(Exception):
    """The demo was told to end while something in it waited."""


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
