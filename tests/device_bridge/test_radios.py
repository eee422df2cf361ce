"""Which radio serves a device, when one is full, fails, hangs or comes back."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from device_bridge import links
from device_bridge.errors import LostBond, LostPeripheral, UnknownPeripheral
from device_bridge.gatt.uuids import GENERIC_HEALTH_SENSOR
from device_bridge.links import HANGS_AFTER, Links
from device_bridge.radio.stack import Stack
from device_bridge.surroundings import Slots, Surroundings
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import (
    a_bridge,
    a_device,
    a_plan,
    devices_and_backend,
    now,
    past,
    until,
)

Told = Callable[["Room"], Coroutine[Any, Any, None]]


class Room:
    """Radios side by side, and over which of them each device is linked."""

    def __init__(self) -> None:
        self.linked: dict[str, str] = {}
        self.failing: dict[str, Exception] = {}
        self.known: dict[str, set[str]] = {}
        self._together: list[Links] = []
        # Nothing of them but slots and signals is needed here.
        self._around = Surroundings(*(cast("Any", None),) * 7)

    def radio(self, name: str, slots: int, *, keys: set[str] | None = None) -> Links:
        """Plug in a radio; it has keys of all, or of those named."""
        stack = Stack(
            cast("Any", None),
            adapter=name,
            knows=lambda heard: keys is None or heard.platform_data[0] in keys,
        )
        around = replace(self._around, slots=Slots(slots))
        return Links(around, stack, self._together)

    async def serve(
        self, found: BLEDevice, _profile: object, _around: object, stack: Stack
    ) -> None:
        """Be linked until the radio goes."""
        if (error := self.failing.get(stack.adapter)) is not None:
            raise error
        assert found.address not in self.linked
        self.linked[found.address] = stack.adapter
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            del self.linked[found.address]

    def advertise(self, *devices: str) -> None:
        """Let all radios hear devices that are not linked."""
        for address in devices:
            if address not in self.linked:
                for radio in list(self._together):
                    radio.heard(BLEDevice(address, None, None), _heard(address))


def _heard(address: str) -> AdvertisementData:
    services = [GENERIC_HEALTH_SENSOR]
    return AdvertisementData("box", {}, {}, services, None, -50, (address,))


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def play(monkeypatch: pytest.MonkeyPatch, story: Told) -> None:
    room = Room()
    monkeypatch.setattr(links, "serve", room.serve)

    def told(_loop: StillLoop) -> Coroutine[Any, Any, None]:
        return story(room)

    at_once(told)


def test_a_device_goes_to_a_radio_with_a_free_slot(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(room: Room) -> None:
        small, large = room.radio("small", 1), room.radio("large", 2)
        for _ in range(3):
            room.advertise("A", "B", "C")
            await settled()
        assert sorted(room.linked.values()) == ["large", "large", "small"]
        await small.close()
        await large.close()

    play(monkeypatch, story)


def test_a_device_that_waits_is_taken_by_a_radio_plugged_in_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(room: Room) -> None:
        first = room.radio("first", 1)
        room.advertise("A", "B")
        await settled()
        assert room.linked == {"A": "first"}
        second = room.radio("second", 1)
        for _ in range(2):
            room.advertise("B")
            await settled()
        assert room.linked == {"A": "first", "B": "second"}
        await first.close()
        await second.close()

    play(monkeypatch, story)


def test_the_devices_of_a_radio_that_fails_move_and_may_come_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(room: Room) -> None:
        first = room.radio("first", 2)
        room.advertise("A", "B")
        await settled()
        second = room.radio("second", 2)
        await first.close()
        room.advertise("A", "B")
        await settled()
        assert room.linked == {"A": "second", "B": "second"}
        first = room.radio("first", 2)
        await second.close()
        room.advertise("A", "B")
        await settled()
        assert room.linked == {"A": "first", "B": "first"}
        await first.close()

    play(monkeypatch, story)


def test_a_device_stays_with_the_radio_that_has_its_keys_until_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(room: Room) -> None:
        keeper = room.radio("keeper", 1, keys={"A", "B"})
        other = room.radio("other", 1, keys=set())
        for _ in range(3):
            room.advertise("A", "B")
            await settled()
        assert room.linked == {"A": "keeper"}  # B waits there: the other would pair
        await keeper.close()
        room.advertise("A")
        await settled()
        assert room.linked == {"A": "other"}
        await other.close()

    play(monkeypatch, story)


def test_a_person_who_removes_a_lost_bond_need_not_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def story(room: Room) -> None:
        keys = {"A"}
        radio = room.radio("radio", 1, keys=keys)
        room.failing["radio"] = LostBond("A")
        room.advertise("A")
        await settled()
        room.failing.clear()
        room.advertise("A")
        await settled()
        assert room.linked == {}  # tried again after minutes only
        keys.clear()
        room.advertise("A")
        await settled()
        assert room.linked == {"A": "radio"}
        await radio.close()

    play(monkeypatch, story)


@pytest.mark.parametrize(
    ("error", "hangs"),
    [
        (LostPeripheral("A", "no answer in time"), True),
        (UnknownPeripheral("A", "S1"), False),
    ],
    ids=["fails", "strangers"],
)
def test_a_radio_over_which_nothing_connects_any_more_is_opened_anew(
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    hangs: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    async def story(room: Room) -> None:
        radio = room.radio("radio", 2)
        room.failing["radio"] = error
        for _ in range(HANGS_AFTER):
            assert not radio.hangs.is_set()
            room.advertise("A")
            await asyncio.sleep(60)
        assert radio.hangs.is_set() is hangs
        await radio.close()

    play(monkeypatch, story)


@asynccontextmanager
async def two_radios(folder: Path) -> AsyncGenerator[Any]:
    serials = ["B1", "B2", "B3"]
    plan = a_plan([a_device(serial, past(5, now())) for serial in serials])
    async with devices_and_backend(plan, folder, max_links=2) as world:
        hci = f"{world.settings.hci} {world.settings.hci}"
        yield replace(world, settings=replace(world.settings, hci=hci))


def test_two_adapters_of_one_bridge_share_its_devices_and_its_bonds(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        async with two_radios(tmp_path) as world, a_bridge(world):
            await until(lambda: len(world.backend.records) == 15)
            await until(lambda: len(world.backend.heard) == 3)
            adapters = [a for a in world.air.controllers if a.name == "adapter"]
            assert sorted(len(a.le_connections) for a in adapters) == [1, 2]
            # One is pulled: what it had is read again over the other, unasked.
            bonds = {serial: world.memory.bonds(serial) for serial in ("B1", "B2")}
            adapters[0].hci_sink.pull()
            since = now().isoformat()
            await until(
                lambda: (
                    sum(
                        any(beat["at"] > since for beat in told)
                        for told in world.backend.heard.values()
                    )
                    == 3
                ),
                60,
            )
            assert bonds == {s: world.memory.bonds(s) for s in bonds}

    asyncio.run(story())
