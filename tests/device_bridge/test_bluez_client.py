"""What BlueZ's ways would do to a link, and do not."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from bleak.backends.bluezdbus import client as bleaks
from bleak.backends.characteristic import BleakGATTCharacteristic
from bleak.backends.device import BLEDevice
from bleak.exc import BleakDBusError

from device_bridge.errors import LostBond, NoBond, WeakPairing
from device_bridge.radio import bluez_client
from device_bridge.radio.bluez_client import BlueZClient, client_of
from device_bridge.radio.key_kind import KeyKind

CLOCK = cast("BleakGATTCharacteristic", SimpleNamespace(handle=45))
ADAPTER, BOX = "00:1B:DC:00:00:01", "F0:F1:F2:F3:F4:F5"
Bleaks = bleaks.BleakClientBlueZDBus


def a_client() -> BlueZClient:
    found = BLEDevice(BOX, "box", {"path": "/org/bluez/hci0/dev_1", "props": {}})
    options: Any = {"disconnected_callback": None, "timeout": 1.0, "bluez": {}}
    return client_of(ADAPTER)(found, **options)


class Bus:
    """BlueZ, that tells each value which is read to those who are notified, too."""

    def __init__(self, when: str) -> None:
        self.when = when
        self.told: Callable[[bytearray], None] | None = None

    async def start_notify(
        self, _client: object, _of: object, told: Callable[[bytearray], None]
    ) -> None:
        self.told = told

    async def read(self, _client: object, _of: object) -> bytearray:
        value, told = bytearray(b"now"), self.told
        assert told is not None
        if self.when == "before":
            told(value)
        if self.when == "after":
            asyncio.get_running_loop().call_soon(told, value)
        if self.when == "amid others":
            told(bytearray(b"set"))
            told(value)
        return bytearray(value)


@pytest.mark.parametrize(
    ("when", "heard"),
    [("before", []), ("after", []), ("amid others", [b"set"]), ("never", [])],
)
def test_what_was_read_is_not_taken_for_a_notification(
    monkeypatch: pytest.MonkeyPatch, when: str, heard: list[bytes]
) -> None:
    bus, came = Bus(when), list[bytes]()

    async def start(*words: Any) -> None:  # noqa: ANN401  as in bleak
        await bus.start_notify(*words)

    async def read(*words: Any) -> bytearray:  # noqa: ANN401  as in bleak
        return await bus.read(*words)

    monkeypatch.setattr(Bleaks, "start_notify", start)
    monkeypatch.setattr(Bleaks, "read_gatt_char", read)

    async def story() -> None:
        client = a_client()
        await client.start_notify(CLOCK, lambda value: came.append(bytes(value)))
        for _ in range(2):
            assert await client.read_gatt_char(CLOCK) == b"now"
            await asyncio.sleep(0)
            assert bus.told is not None
            bus.told(bytearray(b"later"))

    asyncio.run(story())
    assert came == [*heard, b"later"] * 2


@pytest.mark.parametrize(
    ("kind", "refusal"),
    [(KeyKind.LEGACY, WeakPairing), (KeyKind.NONE, NoBond), (KeyKind.SECURE, None)],
)
@pytest.mark.parametrize("secure", [True, False], ids=["doses", "vitals"])
def test_no_doses_are_read_by_a_bond_of_legacy_pairing(
    monkeypatch: pytest.MonkeyPatch,
    kind: KeyKind,
    refusal: type[LostBond] | None,
    secure: bool,  # noqa: FBT001  a parameter of the test
) -> None:
    forgotten = list[str]()

    async def pair(_client: BlueZClient) -> None: ...
    async def unpair(client: BlueZClient) -> None:
        forgotten.append(client.address)

    async def kept_kind(adapter: str, peripheral: str) -> KeyKind:
        assert (adapter, peripheral) == (ADAPTER, BOX)
        return kind

    monkeypatch.setattr(Bleaks, "pair", pair)
    monkeypatch.setattr(Bleaks, "unpair", unpair)
    monkeypatch.setattr(bluez_client, "kept_kind", kept_kind)
    if secure and refusal is not None:
        with pytest.raises(refusal):
            asyncio.run(a_client().pair(secure=True))
    else:
        asyncio.run(a_client().pair(secure=secure))
    assert forgotten == ([BOX] if secure and refusal is WeakPairing else [])


def test_a_peripheral_that_refuses_to_pair_has_lost_its_bond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def pair(_client: BlueZClient) -> None:
        raise BleakDBusError("org.bluez.Error.AuthenticationFailed", [])

    monkeypatch.setattr(Bleaks, "pair", pair)
    with pytest.raises(LostBond, match="pair again"):
        asyncio.run(a_client().pair(secure=True))


class Manager:
    """bleak's own picture of BlueZ, in which a peripheral has a bond or not."""

    def __init__(self, *, paired: bool) -> None:
        self.paired, self.connected = paired, True
        self.tell: Callable[[bool], None] | None = None

    def is_paired(self, _path: str) -> bool:
        return self.paired

    def is_connected(self, _path: str) -> bool:
        return self.connected

    def add_device_watcher(
        self, _path: str, changed: Callable[[bool], None], _told: object
    ) -> None:
        self.tell = changed

    def remove_device_watcher(self, _watcher: None) -> None:
        self.tell = None


def managed(monkeypatch: pytest.MonkeyPatch, manager: Manager) -> None:
    async def get() -> Manager:
        return manager

    monkeypatch.setattr(bluez_client, "get_global_bluez_manager", get)


@pytest.mark.parametrize("patience", [0, 0.05])
@pytest.mark.parametrize(
    ("paired", "lost"), [(True, True), (False, False)], ids=["bonded", "stranger"]
)
def test_a_peripheral_that_ends_each_link_before_it_is_encrypted_has_lost_its_bond(
    monkeypatch: pytest.MonkeyPatch,
    paired: bool,  # noqa: FBT001  a parameter of the test
    lost: bool,  # noqa: FBT001  a parameter of the test
    patience: float,
) -> None:
    manager = Manager(paired=paired)
    managed(monkeypatch, manager)

    async def connect(*_: Any) -> None:  # noqa: ANN401  as in bleak
        # Connect does not answer, while bluetoothd tries again and again.
        for connected in (False, True, False, True, False, True, False):
            await asyncio.sleep(0)
            if manager.tell is not None:
                manager.tell(connected)
        await asyncio.sleep(patience)
        raise TimeoutError

    monkeypatch.setattr(Bleaks, "connect", connect)
    with pytest.raises(LostBond if lost else TimeoutError):
        asyncio.run(a_client().connect(pair=False))
    assert manager.tell is None


def test_links_that_fail_now_and_then_are_no_lost_bond(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = Manager(paired=True)
    managed(monkeypatch, manager)
    ends = [True, True, False] * 3

    async def connect(*_: Any) -> None:  # noqa: ANN401  as in bleak
        assert manager.tell is not None
        manager.tell(True)
        if ends.pop(0):
            manager.tell(False)
            raise BleakDBusError("org.bluez.Error.Failed", [])

    monkeypatch.setattr(Bleaks, "connect", connect)

    async def story() -> None:
        client = a_client()
        for fails in list(ends):
            if fails:
                with pytest.raises(BleakDBusError):
                    await client.connect(pair=False)
            else:
                await client.connect(pair=False)

    asyncio.run(story())


def test_services_are_looked_for_when_bleak_has_heard_of_the_link(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = Manager(paired=True)
    managed(monkeypatch, manager)
    monkeypatch.setattr(bluez_client, "LOOK_EVERY", 0)
    manager.connected = False

    async def services(*_: Any) -> str:  # noqa: ANN401  as in bleak
        assert manager.connected
        return "services"

    monkeypatch.setattr(Bleaks, "_get_services", services)

    async def story() -> None:
        looking: Any = a_client()
        asked = asyncio.ensure_future(looking._get_services())
        await asyncio.sleep(0.01)
        manager.connected = True
        assert await asked == "services"

    asyncio.run(story())
