"""The bridge on the real BlueZ: D-Bus, bluetoothd, the kernel, virtual boxes.

One world for all: it starts once, and each test puts boxes of its own on the air.
"""

import asyncio
import platform
from collections.abc import Callable, Coroutine, Generator
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any

import pytest
from bumble import hci

from device_bridge.check.requirement import Verdict
from device_bridge.check.run import examine, found
from device_bridge.radio.key_kind import KeyKind
from device_bridge.virtual.server import address_of
from tests.device_bridge.fake_backend import device_id
from tests.device_bridge.stories import (
    World,
    a_bridge,
    a_device,
    now,
    past,
    until,
)
from tests.radio.world import (
    FIRST,
    PATIENCE,
    SECOND,
    a_box,
    a_world,
    an_adapter,
    bluetoothctl,
    bond_of,
    drop_links,
    emptied,
    heard_again,
    kind_of_bond,
    restart_bluetoothd,
    spooled,
)

pytestmark = pytest.mark.radio
ACCURACY = timedelta(seconds=1)
# Below it the kernel corrupts a list of its own when a bonded peripheral refuses keys.
SOUND_KERNEL = (6, 12)
Story = Callable[[], Coroutine[Any, Any, None]]


class Gateway:
    """A world with an adapter, and the loop in which it lives."""

    def __init__(self, runner: asyncio.Runner, world: World) -> None:
        self.run = runner.run
        self.world = world
        self._plugged: dict[hci.Address, AsyncExitStack] = {}

    async def plug(self, own: hci.Address) -> None:
        """Plug an adapter in."""
        self._plugged[own] = AsyncExitStack()
        await self._plugged[own].enter_async_context(an_adapter(self.world.air, own))

    async def pull(self, own: hci.Address) -> None:
        """Pull an adapter out."""
        await self._plugged.pop(own).aclose()

    async def pull_all(self) -> None:
        """Leave the kernel without adapters."""
        for own in list(self._plugged):
            await self.pull(own)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Gateway]:
    with asyncio.Runner() as runner:
        opened = AsyncExitStack()
        folder = tmp_path_factory.mktemp("world")
        world = runner.run(opened.enter_async_context(a_world(folder)))
        made = Gateway(runner, world)
        runner.run(made.plug(FIRST))
        yield made
        runner.run(made.pull_all())
        runner.run(opened.aclose())


@pytest.fixture(scope="module")
def bridged(gateway: Gateway) -> Generator[Gateway]:
    """The gateway while its bridge runs."""
    opened = AsyncExitStack()
    gateway.run(opened.enter_async_context(a_bridge(gateway.world)))
    yield gateway
    gateway.run(opened.aclose())


def test_a_box_is_checked_over_the_systems_bluetooth(gateway: Gateway) -> None:
    async def story() -> None:
        box = a_device("B0", past(30, now()))
        name = address_of("B0").to_string(with_type_qualifier=False)
        async with (
            a_box(gateway.world, box, registered=False),
            found(name, "", changes=True, within=PATIENCE) as checked,
        ):
            findings = [finding async for finding in examine(checked)]
        verdicts = {finding.number: finding.verdict for finding in findings}
        failed = [f for f in findings if f.verdict is Verdict.FAIL]
        assert failed == []
        # BlueZ keeps these from us: it pairs when it is refused, and chooses how.
        assert {"P2", "P3"} <= {n for n, v in verdicts.items() if v == "untested"}
        assert {"P4", "P5", "X3", "R7", "C7", "L3", "D1"} <= {
            n for n, v in verdicts.items() if v is Verdict.PASS
        }

    gateway.run(story())


def test_what_a_box_has_stored_arrives_once_and_is_deleted(bridged: Gateway) -> None:
    async def story() -> None:
        world, events = bridged.world, past(60, now())
        async with a_box(world, a_device("B1", events)):
            await emptied(world, "B1", 60)
            await heard_again(world, "B1")
        assert world.backend.known == 0
        for dose, event in zip(world.backend.doses("B1"), events, strict=True):
            planned = datetime.fromisoformat(event["at"])
            dated = datetime.fromisoformat(dose["occurred_at"])
            assert abs(dated - planned) < ACCURACY

    bridged.run(story())


def test_a_box_that_knows_legacy_pairing_alone_is_not_read(bridged: Gateway) -> None:
    async def story() -> None:
        world = bridged.world
        weak, sound = (a_device(name, past(5, now())) for name in ("W1", "S1"))
        async with a_box(world, weak, legacy=True), a_box(world, sound):
            await until(lambda: world.refused("no LE Secure Connections"), PATIENCE)
            await emptied(world, "S1", 5)
            assert world.backend.sequences("W1") == []
            assert world.memory.bounds("W1")[2] == 5
            assert kind_of_bond("W1") is KeyKind.NONE
            assert kind_of_bond("S1") is KeyKind.SECURE
            told = world.backend.events
            await until(
                lambda: any(e["kind"] == "fault" for e in told.values()), PATIENCE
            )
            assert {e["device_id"] for e in told.values() if e["kind"] == "fault"} == {
                device_id("W1")
            }

    bridged.run(story())


def test_a_link_that_drops_in_mid_transfer_heals(bridged: Gateway) -> None:
    async def story() -> None:
        world = bridged.world
        async with a_box(world, a_device("B2", past(300, now()))):
            await until(lambda: 0 < spooled(world) < 300, PATIENCE)
            drop_links(world)
            await emptied(world, "B2", 300)

    bridged.run(story())


def test_links_heal_by_the_bonds_of_before_whatever_goes_and_comes(
    bridged: Gateway,
) -> None:
    async def story() -> None:
        world, names = bridged.world, ("B3", "B4")
        async with AsyncExitStack() as boxes:
            for name in names:
                box = a_box(world, a_device(name, past(5, now())))
                await boxes.enter_async_context(box)
            for name in names:
                await emptied(world, name, 5)
            bonds = [bond_of(name) for name in names]
            kept = [world.memory.bonds(name) for name in names]
            await bluetoothctl("power", "off")
            await bluetoothctl("power", "on")
            await heard_again(world, *names)
            await bridged.pull(FIRST)
            await bridged.plug(FIRST)
            await heard_again(world, *names)
            await restart_bluetoothd()
            await heard_again(world, *names)
            assert [bond_of(name) for name in names] == bonds
            assert [world.memory.bonds(name) for name in names] == kept
        # One at a time: BlueZ would have refused the others.
        assert not world.refused("InProgress")

    bridged.run(story())


def test_boxes_move_to_another_adapter_when_theirs_is_pulled_and_back(
    bridged: Gateway,
) -> None:
    async def story() -> None:
        world = bridged.world
        async with a_box(world, a_device("B6", past(5, now()))):
            await emptied(world, "B6", 5)
            await bridged.plug(SECOND)
            await bridged.pull(FIRST)
            await heard_again(world, "B6")
            # Each adapter is another gateway to the box: it was paired anew.
            assert kind_of_bond("B6", SECOND) is KeyKind.SECURE
            await bridged.plug(FIRST)
            await bridged.pull(SECOND)
            await heard_again(world, "B6")

    bridged.run(story())


@pytest.mark.skipif(
    tuple(map(int, platform.release().split(".")[:2])) < SOUND_KERNEL,
    reason="this kernel breaks when a bonded peripheral refuses its keys",
)
def test_a_bond_that_a_box_has_lost_is_reported_and_renewed_by_a_person(
    bridged: Gateway,
) -> None:
    async def story() -> None:
        world = bridged.world
        address = address_of("B7").to_string(with_type_qualifier=False)
        async with a_box(world, a_device("B7", past(5, now()))):
            await emptied(world, "B7", 5)
            for peer, _ in world.memory.bonds("B7"):
                world.memory.drop_bond("B7", peer)
            drop_links(world)
            await until(lambda: world.refused("bond lost"), PATIENCE)
            assert world.memory.bonds("B7") == []
            await bluetoothctl("remove", address)
            await heard_again(world, "B7")
            assert world.memory.bonds("B7") != []

    bridged.run(story())
