"""Two at once, in real transactions: nothing is lost, doubled or blocked for good."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from random import Random
from threading import Barrier, Thread

import pytest

from backend.database import transaction
from backend.database.sets import fetch
from backend.ingest.elapse import elapse
from backend.ingest.screen import screen_due, screen_silent, wake_alerts
from backend.supply.use import dispense
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

DAYS = 5
NOW = eight(MONDAY + (DAYS - 1) * DAY) + timedelta(hours=10)
PATIENCE = 60.0


@pytest.fixture
def world(db: object) -> World:
    with transaction() as session:
        made = a_world(session)
        doses_at_eight(session, made, days=DAYS)
        dispense(
            session,
            made.patient_id,
            made.product.gtin,
            Decimal(8),
            cause="start",
            at=eight() - DAY,
            now=eight() - DAY,
        )
    return made


def together(*works: Callable[[], object]) -> None:
    """Run these at once; fail when one fails or does not come to an end."""
    start = Barrier(len(works))
    failed: list[BaseException] = []

    def one(work: Callable[[], object]) -> None:
        try:
            start.wait(PATIENCE)
            work()
        except BaseException as error:
            failed.append(error)
            raise

    threads = [Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads)
    assert failed == []


def bridge(world: World, seed: int, *, epoch: int = 1) -> Callable[[], None]:
    """A bridge that sends all records of the box in requests of its own choosing."""

    def run() -> None:
        chance = Random(seed)
        numbers = [*range(1, DAYS + 1)]
        chance.shuffle(numbers)
        while numbers:
            taken = [numbers.pop() for _ in range(min(len(numbers), 2))]
            items = [
                opening(world, n, eight(MONDAY + (n - 1) * DAY), epoch=epoch)
                for n in taken
            ]
            with transaction() as session:
                send(session, world, items, now=NOW)
        with transaction() as session:
            tell(session, world, [heard(world, DAYS, NOW)], now=NOW)

    return run


def worker() -> None:
    for _ in range(4):
        elapse(NOW)
        screen_due(NOW)
        screen_silent(NOW)
        wake_alerts(NOW)


@pytest.mark.parametrize("seed", range(3))
def test_two_bridges_and_two_workers_on_one_box(world: World, seed: int) -> None:
    together(
        bridge(world, seed),
        bridge(world, seed + 100, epoch=2),
        worker,
        worker,
    )

    with transaction() as session:
        assert set(labels(session, world).values()) == {"on_time"}
        assert count(session, "dose_event") == DAYS
        assert count(session, "device_record") == DAYS
        assert fetch(session, "SELECT on_hand FROM stock")[0]["on_hand"] == 8 - DAYS
        assert count(session, "reorder") == 1
        assert count(session, "feed_row") == 1
        rules = [row["rule"] for row in fetch(session, "SELECT rule FROM decision")]
        assert rules.count("reorder") == 1
        assert not [rule for rule in rules if "missed" in rule]
        said = {
            row["after"] for row in fetch(session, "SELECT after FROM label_change")
        }
        assert "missed" not in said


def test_two_batches_with_the_same_boxes_in_opposite_order(db: object) -> None:
    with transaction() as session:
        first = a_world(session)
        worlds = [first, *(another(session, first) for _ in range(5))]
        for world in worlds:
            doses_at_eight(session, world, days=DAYS)

    def sender(order: list[World], offset: int) -> Callable[[], None]:
        def run() -> None:
            for n in range(5):
                at = eight() + timedelta(minutes=20 * n + offset)
                items = [opening(one, 10 * n + offset, at) for one in order]
                with transaction() as session:
                    send(session, order[0], items, now=NOW)
                with transaction() as session:
                    told = [heard(one, 10 * n + offset, at) for one in order]
                    tell(session, order[0], told, now=NOW)

        return run

    together(sender(worlds, 1), sender(worlds[::-1], 2), worker)

    with transaction() as session:
        assert count(session, "device_record") == 60
