"""What goes wrong with devices in the field, each as a small story."""

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_bridge.spool import Spool
from tests.device_bridge.fake_backend import Item, device_id
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import (
    Json,
    World,
    a_bridge,
    a_device,
    a_plan,
    an_event,
    devices_and_backend,
    now,
    past,
    until,
)

POISONED = "/v1/dose-events: poisoned"
Story = Callable[[World], Coroutine[Any, Any, None]]


def play(plan: Json, folder: Path, story: Story, *, max_links: int = 100) -> None:
    async def told(_loop: StillLoop) -> None:
        async with devices_and_backend(plan, folder, max_links=max_links) as world:
            await story(world)

    at_once(told, sockets=True)


def dated(item: Item) -> datetime:
    return datetime.fromisoformat(item["occurred_at"])


def events_of(world: World, kind: str) -> list[Item]:
    records = world.backend.records.values()
    every = [*world.backend.events.values(), *records]
    return [item for item in every if item.get("kind") == kind]


def test_a_wrong_clock_is_measured_then_set_and_doses_are_dated_right(
    tmp_path: Path,
) -> None:
    start = now()
    late = start + timedelta(seconds=4)
    events = [*past(4, start), an_event(late)]
    plan = a_plan([a_device("B1", events, clock_offset_s=7200)], start=start)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.doses("B1")) == 5)
            await until(lambda: events_of(world, "clock_set"))
        doses = world.backend.doses("B1")
        for dose, event in zip(doses, events, strict=True):
            planned = datetime.fromisoformat(event["at"])
            assert abs(dated(dose) - planned) < timedelta(seconds=1)
        assert [dose["epoch"] for dose in doses] == [0, 0, 0, 0, 1]
        assert doses[0]["offset_s"] == pytest.approx(7200, abs=1)
        sets = events_of(world, "clock_set")
        assert [item for item in sets if item["detail"].get("by") == "bridge"]
        (clock_set,) = [item for item in sets if item["record"]]
        assert clock_set["detail"]["old_minus_new_s"] == pytest.approx(7200, abs=1)
        assert events_of(world, "clock_wrong")

    play(plan, tmp_path, story)


def test_doses_before_a_clock_jump_are_dated_by_the_jump(tmp_path: Path) -> None:
    start = now()
    events = [
        *past(3, start - timedelta(hours=5)),
        an_event(start - timedelta(hours=3), "clock_set", amount=1800),
        *past(2, start),
    ]
    plan = a_plan([a_device("B1", events)], start=start)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.records) >= 6)
        doses = world.backend.doses("B1")
        planned = [e["at"] for e in events if e["what"] == "opened"]
        assert [dose["epoch"] for dose in doses] == [0, 0, 0, 1, 1]
        for dose, at in zip(doses, planned, strict=True):
            assert abs(dated(dose) - datetime.fromisoformat(at)) < timedelta(seconds=1)

    play(plan, tmp_path, story)


def test_doses_before_a_lost_clock_stay_undated(tmp_path: Path) -> None:
    start = now()
    events = [
        *past(2, start - timedelta(hours=5)),
        an_event(start - timedelta(hours=3), "clock_set"),
        *past(1, start),
    ]
    plan = a_plan([a_device("B1", events)], start=start)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.doses("B1")) == 3)
            await until(lambda: len(events_of(world, "clock_set")) == 3)
        doses = world.backend.doses("B1")
        assert [dose["occurred_at"] for dose in doses[:2]] == [None, None]
        assert all(dose["device_time"] for dose in doses)

    play(plan, tmp_path, story)


def test_a_box_out_of_range_is_not_heard_and_catches_up_when_back(
    tmp_path: Path,
) -> None:
    start = now()
    gone, back = start + timedelta(seconds=3), start + timedelta(seconds=6)
    missed = start + timedelta(seconds=4)
    span = [[gone.isoformat(), back.isoformat()]]
    plan = a_plan([a_device("B1", [an_event(missed)], out_of_range=span)], start=start)

    async def story(world: World) -> None:
        async with a_bridge(world):
            heard = world.backend.heard
            await until(lambda: heard.get(device_id("B1")))
            await until(lambda: now() > back)
            assert all(h["at"] < gone.isoformat() for h in heard[device_id("B1")])
            await until(lambda: world.backend.doses("B1"))
            await until(lambda: heard[device_id("B1")][-1]["sequence"] == 1)
        assert abs(dated(world.backend.doses("B1")[0]) - missed) < timedelta(seconds=1)

    play(plan, tmp_path, story)


def test_heard_is_said_only_after_the_records_it_speaks_for_are_stored(
    tmp_path: Path,
) -> None:
    plan = a_plan([a_device("B1", past(50, now()))])

    async def story(world: World) -> None:
        world.backend.rejected.add(device_id("B1"))
        async with a_bridge(world):
            await until(lambda: world.backend.rejections >= 50)
            await asyncio.sleep(1)
        assert world.backend.records == {}
        assert world.backend.heard == {}
        assert world.memory.bounds("B1")[2] == 50

    play(plan, tmp_path, story)


def test_a_factory_reset_opens_an_epoch_of_the_backend(tmp_path: Path) -> None:
    start = now()
    reset = start + timedelta(seconds=3)
    events = [
        *past(6, start),
        *[an_event(reset + timedelta(seconds=s)) for s in (1, 2)],
    ]
    away = [[(start + timedelta(seconds=2.5)).isoformat()] * 2]
    away[0][1] = (start + timedelta(seconds=5.5)).isoformat()
    device = a_device("B1", events, reset=[reset.isoformat()], out_of_range=away)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.doses("B1")) == 8)
        numbers = [(d["epoch"], d["sequence"]) for d in world.backend.doses("B1")]
        assert numbers == [*((0, n) for n in range(1, 7)), (1, 1), (1, 2)]
        assert world.backend.conflicts == 0
        assert events_of(world, "reset")

    play(a_plan([device], start=start), tmp_path, story)


def test_a_strangers_box_is_left_alone(tmp_path: Path) -> None:
    plan = a_plan([a_device("B1", past(3, now())), a_device("X1", past(3, now()))])

    async def story(world: World) -> None:
        del world.backend.serials["X1"]
        async with a_bridge(world):
            await until(lambda: len(world.backend.records) == 3)
        assert world.backend.sequences("X1") == []
        assert world.memory.bonds("X1") == []
        assert world.memory.bonds("B1") != []

    play(plan, tmp_path, story)


def test_a_lost_bond_is_not_renewed_silently(tmp_path: Path) -> None:
    plan = a_plan([a_device("B1", past(2, now()))])

    async def story(world: World) -> None:
        for _ in range(2):  # the second link confirms the bond
            async with a_bridge(world):
                await until(lambda: world.backend.heard)
            world.backend.heard.clear()
        kept = world.memory.bonds("B1")
        with sqlite3.connect(tmp_path / "spool" / "bonds.sqlite") as bonds:
            bonds.execute("DELETE FROM bond")
        bonds.close()
        async with a_bridge(world):
            await until(lambda: world.refused("bond lost"))
        assert world.backend.heard == {}
        assert world.memory.bonds("B1") == kept

    play(plan, tmp_path, story)


def test_fewer_links_than_devices_take_turns(tmp_path: Path) -> None:
    plan = a_plan([a_device(f"B{n}", past(5, now())) for n in range(4)])

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.records) == 20)
            await until(lambda: len(world.backend.heard) == 4)

    play(plan, tmp_path, story, max_links=1)


def test_heart_rate_arrives_live_in_segments(tmp_path: Path) -> None:
    plan = a_plan([a_device("W1", [], kind="wearable")], speed=1)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.segments) >= 2)
            assert device_id("W1") in world.backend.heard
        beats = [v for s in world.backend.segments.values() for v in s["values"]]
        assert all(25 <= beat <= 120 for beat in beats)
        assert all(s["claimed_live"] for s in world.backend.segments.values())

    play(plan, tmp_path, story)


def test_an_unreachable_backend_costs_time_and_nothing_else(tmp_path: Path) -> None:
    plan = a_plan([a_device("B1", past(40, now()))])

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: (tmp_path / "spool" / "spool.sqlite").exists())
            world.backend.failures += [503, 500, 429, 502]
            await until(lambda: len(world.backend.records) == 40, within=300)
            assert not world.backend.failures
            await until(lambda: world.memory.bounds("B1")[2] == 0)

    play(plan, tmp_path, story)


def test_one_item_the_backend_cannot_read_does_not_hold_up_the_others(
    tmp_path: Path,
) -> None:
    plan = a_plan([a_device("B1", past(30, now()))])

    async def story(world: World) -> None:
        world.backend.poison.add(17)
        async with a_bridge(world):
            await until(lambda: len(world.backend.records) == 29)
            await until(lambda: world.backend.breaches.count(POISONED) >= 3)
        assert [r.number for r in world.memory.records("B1", 17, 17)] == [17]
        world.backend.breaches.clear()

    play(plan, tmp_path, story)


def test_an_injector_tells_amounts_primes_and_missing_measurements(
    tmp_path: Path,
) -> None:
    start = now()
    events = [
        an_event(start - timedelta(hours=3), "prime", amount=2, unit="[iU]"),
        an_event(start - timedelta(hours=2), "dispensed", amount=12.5, unit="[iU]"),
        an_event(start - timedelta(hours=1), "no_measurement", unit="[iU]"),
        an_event(start - timedelta(minutes=1), "battery_low"),
    ]
    plan = a_plan([a_device("P1", events, kind="injector")], start=start)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: len(world.backend.records) == 4)
        told = [(d["label"], d["amount"], d["unit"]) for d in world.backend.doses("P1")]
        assert told == [
            ("prime", "2", "[iU]"),
            (None, "12.5", "[iU]"),
            ("no_measurement", None, None),
        ]
        assert len(events_of(world, "battery_low")) == 1

    play(plan, tmp_path, story)


def test_records_overwritten_in_the_device_are_reported_as_a_gap(
    tmp_path: Path,
) -> None:
    plan = a_plan([a_device("B1", past(10, now()))])

    async def story(world: World) -> None:
        await until(lambda: world.memory.bounds("B1")[2] == 10)
        world.memory.delete("B1", 1, 3)
        world.memory.delete("B1", 6, 6)
        async with a_bridge(world):
            await until(lambda: len(world.backend.records) == 6)
            await until(lambda: world.memory.bounds("B1")[2] == 0)
            await until(lambda: len(events_of(world, "gap")) == 2)
        gaps = [event["detail"] for event in events_of(world, "gap")]
        assert gaps == [{"from": 1, "to": 3}, {"from": 6, "to": 6}]

    play(plan, tmp_path, story)


@pytest.mark.parametrize("hours", [-3, 3])
def test_what_is_read_by_a_wrong_clock_is_dated_right_once_the_backend_is_reached(
    tmp_path: Path, hours: int
) -> None:
    start = now()
    devices = [a_device("B1", past(5, start)), a_device("W1", [], kind="wearable")]
    plan = a_plan(devices, start=start)
    wrong = timedelta(hours=hours)

    async def story(world: World) -> None:
        world.backend.rejected.add(device_id("B1"))
        async with a_bridge(world):  # it learns of devices and of the domain clock
            await until(lambda: world.backend.rejections)
        world.backend.rejected.clear()
        (tmp_path / "spool" / "spool.sqlite").rename(tmp_path / "before")
        keep_known(tmp_path / "before", tmp_path / "spool" / "spool.sqlite")
        world.backend.segments.clear()
        world.backend.events.clear()
        world.backend.down = True
        async with a_bridge(world, lambda: now() + wrong):
            await until(lambda: spooled_count(tmp_path) == 5)
            await asyncio.sleep(1.5)  # a sign of life would have been noted by now
            assert not clock_was_set(world)
            world.backend.down = False
            await until(lambda: len(world.backend.doses("B1")) == 5)
            await until(lambda: world.backend.segments)
            await until(lambda: world.backend.events)
        doses = world.backend.doses("B1")
        for dose, event in zip(doses, devices[0]["events"], strict=True):
            planned = datetime.fromisoformat(event["at"])
            assert abs(dated(dose) - planned) < timedelta(seconds=2)
        soon = timedelta(minutes=1)
        for segment in world.backend.segments.values():
            assert abs(datetime.fromisoformat(segment["start"]) - now()) < soon
        for event in world.backend.events.values():
            assert abs(dated(event) - now()) < soon
            assert event["kind"] != "clock_wrong"
        assert not clock_was_set(world)

    play(plan, tmp_path, story)


def clock_was_set(world: World) -> bool:
    return world.memory.state("B1").epoch != 0


def spooled_count(folder: Path) -> int:
    with sqlite3.connect(folder / "spool" / "spool.sqlite") as spooled:
        (count,) = spooled.execute("SELECT count(*) FROM record").fetchone()
    spooled.close()
    return count


def keep_known(before: Path, after: Path) -> None:
    """Make a queue that knows no more than the devices and the domain clock."""
    for suffix in ("-wal", "-shm"):
        after.with_name(after.name + suffix).unlink(missing_ok=True)
    Spool(after).close()
    with sqlite3.connect(before) as old, sqlite3.connect(after) as new:
        known = old.execute(
            "SELECT * FROM meta WHERE key IN ('devices', 'domain clock')"
        ).fetchall()
        new.executemany("INSERT INTO meta VALUES (?, ?)", known)
    old.close()
    new.close()
