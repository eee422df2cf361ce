"""What keeping figures of adherence in the state row costs an accepted dose.

The accepting transaction as it is beside the same one without the figures (the rows of
14 days instead of 30, no extra doses, nothing computed), by days in turn, in one run.
CPU of this process and of PostgreSQL; patients have had a dose a day for five weeks.
"""

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from statistics import median
from typing import Any
from unittest.mock import patch

from backend.database import transaction
from backend.state import refresh
from tests.backend.ingest.world import (
    World,
    a_world,
    another,
    doses_at_eight,
    eight,
    opening,
    send,
)
from tests.benchmarks.machine import Machine, machine

PATIENTS, PAST, ROUNDS = 60, 35, 16
FIRST = date(2026, 3, 2)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MOST = 0.15  # of what an accepted dose costs without the figures

Row = tuple[str, str, str, bool]


def run() -> list[Row]:
    """Return rows of (name, figure, bound, whether it was met)."""
    with machine() as at:
        worlds = list(_clinic())
        alone = _compared(at, worlds, PAST, together=False)
        batch = _compared(at, worlds, PAST + ROUNDS, together=True)
    return [
        _row("one dose a transaction", *alone, MOST),
        _row(f"{PATIENTS} doses of as many patients", *batch, None),
    ]


def _row(what: str, kept: float, without: float, most: float | None) -> Row:
    more = kept / without - 1
    return (
        f"state row: figures of adherence, {what}: more CPU an accepted dose",
        f"{more:.1%} ({1e3 * kept:.2f} ms over {1e3 * without:.2f})",
        "" if most is None else f"<= {most:.0%}",
        most is None or more <= most,
    )


def _clinic() -> Iterator[World]:
    with transaction() as session:
        first = a_world(session)
        worlds = [first, *(another(session, first) for _ in range(PATIENTS - 1))]
        for world in worlds:
            doses_at_eight(session, world, first=FIRST, days=PAST + 2 * ROUNDS + 2)
    for n in range(PAST):
        with transaction() as session:
            send(session, worlds[0], _openings(worlds, n), now=_taken(n))
    yield from worlds


def _compared(
    at: Machine, worlds: list[World], begin: int, *, together: bool
) -> tuple[float, float]:
    """Return the CPU-seconds an accepted dose with the figures, and without."""
    spent: dict[bool, list[float]] = {True: [], False: []}
    for n in range(begin, begin + ROUNDS):
        kept = n % 2 == 0
        items = _openings(worlds, n)
        parts = [items] if together else [[item] for item in items]
        with _as_is() if kept else _without():
            began = at.cpu_seconds() + time.process_time()
            for part in parts:
                with transaction() as session:
                    send(session, worlds[0], part, now=_taken(n))
            ended = at.cpu_seconds() + time.process_time()
        spent[kept].append((ended - began) / len(items))
    return median(spent[True]), median(spent[False])


def _openings(worlds: list[World], n: int) -> list[dict[str, Any]]:
    return [opening(world, n + 1, eight(FIRST + n * DAY)) for world in worlds]


def _taken(n: int) -> Any:  # noqa: ANN401
    return eight(FIRST + n * DAY) + HOUR / 6


def _nothing(*_: object, **__: object) -> dict[object, object]:
    return {}


@contextmanager
def _as_is() -> Generator[None]:
    yield


@contextmanager
def _without() -> Generator[None]:
    with (
        patch.object(refresh, "LOOK_BACK", refresh.STRIP_DAYS),
        patch.object(refresh, "_extras", _nothing),
        patch.object(refresh, "figures", _nothing),
    ):
        yield
