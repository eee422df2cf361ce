"""The order in which records arrive never changes a label, however wide windows are."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from backend.database import engine
from backend.database.sets import execute, fetch
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    doses_at_eight,
    eight,
    heard,
    opening,
    send,
    tell,
)

HOUR = timedelta(hours=1)
FIRST = eight(MONDAY)


@contextmanager
def wide_windows(*, doses: int, every: int, hours: int) -> Generator[Any]:
    """A patient with doses every so many days, and as many hours to either side."""
    with Session(engine(), expire_on_commit=False) as session:
        world = a_world(session)
        for n in range(doses):
            doses_at_eight(session, world, first=MONDAY + n * every * DAY)
        reach = timedelta(hours=hours)
        execute(
            session,
            "UPDATE scheduled_dose "
            "SET window_from = due_at - :reach, window_until = due_at + :reach",
            reach=reach,
        )
        execute(
            session,
            "UPDATE regimen_version SET window_before_s = :s, window_after_s = :s",
            s=int(reach.total_seconds()),
        )
        yield session, world, FIRST + (doses * every + 9) * DAY
        session.rollback()


def arrive(
    session: Session, world: World, batches: Iterable[Sequence[Any]], now: datetime
) -> list[tuple[Any, ...]]:
    """Send these openings, a batch a request, and return every label there is."""
    for batch in batches:
        send(session, world, batch, now=now)
        last = max(item["sequence"] for item in batch)
        tell(session, world, [heard(world, last, now)], now=now)
    doses = fetch(
        session,
        "SELECT s.occurrence, s.label, e.sequence FROM scheduled_dose s "
        "LEFT JOIN dose_event e USING (patient_id, dose_event_id) ORDER BY 1",
    )
    events = fetch(session, "SELECT sequence, label FROM dose_event ORDER BY 1")
    return [tuple(row.values()) for row in (*doses, *events)]


@pytest.mark.parametrize("late_ones", [2, 12])
def test_a_record_that_comes_last_moves_a_whole_row_of_doses(
    db: object, late_ones: int
) -> None:
    """Each was taken late enough to be the next one's; the first was not missing."""
    hours = [1, *(48 * n + 22 for n in range(late_ones))]
    with wide_windows(doses=late_ones + 1, every=2, hours=30) as (session, world, now):
        items = [opening(world, n, FIRST + h * HOUR) for n, h in enumerate(hours)]
        arrive(session, world, [items[1:], items[:1]], now)

        rows = fetch(session, "SELECT label FROM scheduled_dose")
        assert "missed" not in {row["label"] for row in rows}


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_labels_are_the_same_in_whatever_order_records_arrive(
    db: object, data: st.DataObject
) -> None:
    doses, every = data.draw(st.integers(3, 12)), data.draw(st.integers(1, 3))
    hours = data.draw(st.sampled_from([4, 8 * every, 15 * every, 23 * every]))
    # All are taken so late (or early) that they may be the next one's, but one, and one
    # is taken twice: then a last record may move a whole row of doses.
    side = data.draw(st.sampled_from([1, -1]))
    habit = side * data.draw(st.integers(min(hours - 1, every * 24 - hours), hours - 1))
    skipped = data.draw(st.integers(0, doses - 1))
    at = {n * every * 24 + habit for n in range(doses) if n != skipped}
    twice = data.draw(st.integers(0, doses - 1))
    extra = twice * every * 24 + data.draw(st.integers(-hours, hours - 1))
    order = data.draw(st.permutations(sorted(at - {extra})))
    if data.draw(st.booleans()):
        order.sort()
    order.append(extra)
    size = data.draw(st.integers(1, len(order)))
    shape = {"doses": doses, "every": every, "hours": hours}
    numbers = {hour: n for n, hour in enumerate(sorted(order), start=1)}
    ends: list[list[tuple[Any, ...]]] = []
    for batches in [order], [order[n : n + size] for n in range(0, len(order), size)]:
        with wide_windows(**shape) as (session, world, now):
            sent = [
                [opening(world, numbers[h], FIRST + h * HOUR) for h in batch]
                for batch in batches
            ]
            ends.append(arrive(session, world, sent, now))
    assert ends[0] == ends[1]
