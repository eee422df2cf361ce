"""What the passing of time does, and what it must not do."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from backend.database import transaction
from backend.database.sets import execute
from backend.ingest.elapse import elapse
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    another,
    count,
    doses_at_eight,
    eight,
    heard,
    labels,
    opening,
    send,
    tell,
)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OCCURRENCE = f"{MONDAY}T08:00"
Look = Callable[[datetime], str]


@pytest.fixture
def world(db: object) -> World:
    with transaction() as session:
        made = a_world(session)
        doses_at_eight(session, made)
    return made


def label_at(world: World, now: datetime) -> str:
    """The dose's label once the worker has done what is due at `now`."""
    while elapse(now):
        pass
    with transaction() as session:
        return labels(session, world)[OCCURRENCE]


def hear(world: World, at: datetime) -> None:
    with transaction() as session:
        tell(session, world, [heard(world, 0, at)], now=at)


def test_a_box_in_reach_makes_a_dose_late_and_then_missed(world: World) -> None:
    assert label_at(world, eight() + 20 * MINUTE) == "pending"

    hear(world, eight() + 31 * MINUTE)
    assert label_at(world, eight() + 31 * MINUTE) == "late"

    hear(world, eight() + 4 * HOUR + MINUTE)
    assert label_at(world, eight() + 4 * HOUR + MINUTE) == "missed"


def test_a_box_out_of_range_for_three_hours_never_led_to_missed(world: World) -> None:
    hear(world, eight() - HOUR)
    assert label_at(world, eight() + 40 * MINUTE) == "pending"
    assert label_at(world, eight() + 50 * MINUTE) == "unknown"

    back = eight() + 2 * HOUR
    with transaction() as session:
        send(session, world, [opening(world, 1, eight() + 5 * MINUTE)], now=back)
        tell(session, world, [heard(world, 1, back)], now=back)

    assert label_at(world, back) == "on_time"
    assert label_at(world, back + DAY) == "on_time"


def test_a_window_that_closed_a_moment_ago_waits_for_the_box(world: World) -> None:
    hear(world, eight() + 3 * HOUR)
    closed = eight() + 4 * HOUR

    assert label_at(world, closed + 5 * MINUTE) == "late"
    assert label_at(world, closed + 16 * MINUTE) == "unknown"


def test_looking_again_finds_nothing_to_do(world: World) -> None:
    now = eight() + 6 * HOUR
    label_at(world, now)
    with transaction() as session:
        before = count(session, "label_change")

    assert elapse(now) == 0
    with transaction() as session:
        assert count(session, "label_change") == before


def poison(world: World) -> None:
    """Let the hole of this patient's box be one that nobody can read."""
    with transaction() as session:
        execute(
            session,
            """INSERT INTO device_event (device_id, event_id, kind, recorded_at, epoch,
                sequence, detail)
            VALUES (:id, 'gap', 'gap', :now, 1, 1, '{"to": "x"}')""",
            id=world.device_id,
            now=eight(),
        )


def test_a_patient_who_cannot_be_looked_at_keeps_nobody_else_waiting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with transaction() as session:
        second = another(session, world)
        doses_at_eight(session, second)
    poison(world)
    now = eight() + 50 * MINUTE

    assert elapse(now) == 2
    assert elapse(now) == 0

    with transaction() as session:
        assert labels(session, world) == {OCCURRENCE: "pending"}
        assert labels(session, second) == {OCCURRENCE: "unknown"}
    assert "patient not looked at" in caplog.text


def test_a_patient_who_could_not_be_looked_at_is_tried_again(world: World) -> None:
    poison(world)
    assert label_at(world, eight() + 50 * MINUTE) == "pending"
    with transaction() as session:
        execute(session, "DELETE FROM device_event")

    assert label_at(world, eight() + 56 * MINUTE) == "unknown"
