"""The bridge on the real BlueZ: D-Bus, bluetoothd, the kernel, one virtual radio."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_bridge.check.requirement import Verdict
from device_bridge.check.run import examine, found
from device_bridge.virtual.server import address_of
from tests.device_bridge.fake_backend import device_id
from tests.device_bridge.stories import (
    Json,
    World,
    a_bridge,
    a_device,
    a_plan,
    now,
    past,
    until,
)
from tests.radio.world import (
    a_world,
    bluetoothctl,
    bond_of,
    drop_links,
    spooled,
)

pytestmark = pytest.mark.radio
SECOND = timedelta(seconds=1)
PATIENCE = 90.0  # an emulated processor takes its time
Story = Callable[[World], Coroutine[Any, Any, None]]


def play(plan: Json, folder: Path, story: Story) -> None:
    async def told() -> None:
        async with a_world(plan, folder) as world:
            await story(world)

    asyncio.run(told())


async def emptied(world: World, serial: str, count: int) -> None:
    """Return when so many records are at the backend, and none in the box."""
    backend = world.backend
    await until(lambda: len(backend.sequences(serial)) == count, PATIENCE)
    await until(lambda: world.memory.bounds(serial)[2] == 0, PATIENCE)
    assert backend.sequences(serial) == list(range(1, count + 1))


async def heard_again(world: World, serial: str) -> None:
    """Return when the bridge has linked to the box anew, and all of it is read."""
    since = now()

    def heard() -> bool:
        told = world.backend.heard.get(device_id(serial), [])
        return any(datetime.fromisoformat(one["at"]) > since for one in told)

    await until(heard, PATIENCE)


def test_what_a_box_has_stored_arrives_once_and_is_deleted(tmp_path: Path) -> None:
    start = now()
    events = past(200, start)
    plan = a_plan([a_device("B1", events)], start=start)

    async def story(world: World) -> None:
        async with a_bridge(world):
            await emptied(world, "B1", 200)
            await until(lambda: world.backend.heard, PATIENCE)
        assert world.backend.known == 0
        for dose, event in zip(world.backend.doses("B1"), events, strict=True):
            planned = datetime.fromisoformat(event["at"])
            dated = datetime.fromisoformat(dose["occurred_at"])
            assert abs(dated - planned) < SECOND

    play(plan, tmp_path, story)


def test_pairing_is_by_secure_connections_and_is_done_once(tmp_path: Path) -> None:
    plan = a_plan([a_device("B2", past(5, now()))])

    async def story(world: World) -> None:
        async with a_bridge(world):
            await emptied(world, "B2", 5)
        bond = bond_of("B2")
        assert {"EDiv=0", "Rand=0", "EncSize=16"} <= set(bond.split())
        kept = world.memory.bonds("B2")
        async with a_bridge(world):
            await heard_again(world, "B2")
        assert world.memory.bonds("B2") == kept
        assert bond_of("B2") == bond

    play(plan, tmp_path, story)


def test_a_link_that_drops_in_mid_transfer_heals(tmp_path: Path) -> None:
    plan = a_plan([a_device("B3", past(700, now()))])

    async def story(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: 0 < spooled(world) < 700, PATIENCE)
            drop_links(world)
            await emptied(world, "B3", 700)

    play(plan, tmp_path, story)


def test_an_adapter_that_is_switched_off_and_on_is_used_again(tmp_path: Path) -> None:
    plan = a_plan([a_device("B4", past(5, now()))])

    async def story(world: World) -> None:
        async with a_bridge(world):
            await emptied(world, "B4", 5)
            await bluetoothctl("power", "off")
            await bluetoothctl("power", "on")
            await heard_again(world, "B4")

    play(plan, tmp_path, story)


def test_a_box_is_checked_over_the_systems_bluetooth(tmp_path: Path) -> None:
    plan = a_plan([a_device("B5", past(30, now()))])

    async def story(world: World) -> None:
        del world  # its devices are all that is needed
        name = address_of("B5").to_string(with_type_qualifier=False)
        async with found(name, "", changes=True, within=PATIENCE) as box:
            findings = [finding async for finding in examine(box)]
        verdicts = {finding.number: finding.verdict for finding in findings}
        failed = [f for f in findings if f.verdict is Verdict.FAIL]
        assert failed == []
        # BlueZ keeps these from us: it pairs when it is refused, and chooses how.
        assert {"P2", "P3"} <= {n for n, v in verdicts.items() if v == "untested"}
        assert {"P4", "P5", "X3", "R7", "C7", "L3", "D1"} <= {
            n for n, v in verdicts.items() if v is Verdict.PASS
        }

    play(plan, tmp_path, story)
