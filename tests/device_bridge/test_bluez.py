"""BlueZ's adapters as they come and go, told by a bus that is played."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, cast

import pytest
from bleak.backends.scanner import AdvertisementData
from dbus_fast import Message, MessageType, Variant

from device_bridge.errors import LostRadio
from device_bridge.radio.bluez import ADAPTER, BLUEZ, SystemBluetooth

ADDRESS = "00:1B:DC:00:00:0"
Told = Callable[["PlayedBus"], Coroutine[Any, Any, None]]


class PlayedBus:
    """A system bus with a BlueZ on it that has adapters, switched on or off."""

    def __init__(self, **adapters: bool) -> None:
        self.adapters = adapters
        self.agents = 0
        self.connected = True
        self.calls: list[tuple[str, list[Any]]] = []
        self._hear: Callable[[Message], None] | None = None

    def export(self, _path: str, _interface: object) -> None: ...

    def add_message_handler(self, hear: Callable[[Message], None]) -> None:
        self._hear = hear

    async def call(self, asked: Message) -> Message:
        self.calls.append((asked.member or "", asked.body))
        body: list[Any] = []
        match asked.member:
            case "RegisterAgent":
                self.agents += 1
            case "GetManagedObjects":
                body = [self._objects()]
            case "Set":
                self.switch(str(asked.path)[-4:], on=asked.body[2].value)
            case _:
                pass
        return Message(
            message_type=MessageType.METHOD_RETURN, reply_serial=1, body=body
        )

    def switch(self, name: str, *, on: bool) -> None:
        """Switch an adapter on or off, and say so."""
        self.adapters[name] = on
        changed: list[Any] = [ADAPTER, {"Powered": Variant("b", on)}, []]
        self.say("PropertiesChanged", changed, f"/org/bluez/{name}")

    def pull(self, name: str) -> None:
        """Remove an adapter."""
        del self.adapters[name]
        self.say("InterfacesRemoved", [f"/org/bluez/{name}", [ADAPTER]])

    def plug(self, name: str) -> None:
        """Add an adapter that is switched on."""
        self.adapters[name] = True
        self.say("InterfacesAdded", [f"/org/bluez/{name}", {ADAPTER: {}}])

    def restart(self) -> None:
        """Let bluetoothd end and begin anew."""
        self.say("NameOwnerChanged", [BLUEZ, ":1.1", ""])
        self.say("NameOwnerChanged", [BLUEZ, "", ":1.2"])

    def say(self, member: str, body: list[Any], path: str = "/") -> None:
        message = Message(
            message_type=MessageType.SIGNAL,
            interface="any.interface",
            member=member,
            path=path,
        )
        message.body = body
        assert self._hear is not None
        self._hear(message)

    def _objects(self) -> dict[str, dict[str, dict[str, Variant]]]:
        return {
            f"/org/bluez/{name}": {
                ADAPTER: {
                    "Powered": Variant("b", on),
                    "Address": Variant("s", f"{ADDRESS}{name[-1]}"),
                }
            }
            for name, on in self.adapters.items()
        } | {"/org/bluez": {"org.bluez.AgentManager1": {}}}


def play(
    bus: PlayedBus, story: Callable[[SystemBluetooth], Coroutine[Any, Any, None]]
) -> None:
    async def told() -> None:
        system = SystemBluetooth(cast("Any", bus))
        await system.begin()
        watching = asyncio.create_task(system.watch())
        async with asyncio.timeout(5):
            await story(system)
        watching.cancel()
        await asyncio.wait((watching,))

    asyncio.run(told())


GOES: dict[str, tuple[Callable[[PlayedBus], None], Callable[[PlayedBus], None]]] = {
    "switched off": (
        lambda bus: bus.switch("hci0", on=False),
        lambda bus: bus.switch("hci0", on=True),
    ),
    "pulled": (lambda bus: bus.pull("hci0"), lambda bus: bus.plug("hci0")),
}


@pytest.mark.parametrize("how", GOES)
def test_an_adapter_that_goes_is_lost_and_waited_for(how: str) -> None:
    bus = PlayedBus(hci0=True)
    goes, comes = GOES[how]

    async def story(system: SystemBluetooth) -> None:
        async with system.radio("hci0") as stack:
            assert not stack.lost.is_set()
            goes(bus)
            assert stack.lost.is_set()
        waiting = asyncio.ensure_future(system.radio("hci0").__aenter__())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        comes(bus)
        assert not (await waiting).lost.is_set()

    play(bus, story)


def test_a_new_bluetoothd_is_told_of_our_agent_and_its_adapters_are_opened_anew() -> (
    None
):
    bus = PlayedBus(hci0=True)

    async def story(system: SystemBluetooth) -> None:
        async with system.radio("hci0") as stack:
            bus.restart()
            assert stack.lost.is_set()
        async with system.radio("hci0") as stack:
            assert not stack.lost.is_set()
        assert bus.agents == 2

    play(bus, story)


def test_an_adapter_that_is_switched_off_is_none_until_it_is_on() -> None:
    bus = PlayedBus(hci0=True, hci1=False)

    async def story(system: SystemBluetooth) -> None:
        assert system.seen == {"hci0"}
        bus.switch("hci1", on=True)
        async with system.radio("hci1") as stack:
            assert stack.adapter == "hci1"
        assert system.seen == {"hci0", "hci1"}

    play(bus, story)


def test_a_bond_counts_as_bluez_has_it_now() -> None:
    # A scanner's BLEDevice still says what was so when it was first heard.
    async def story(system: SystemBluetooth) -> None:
        async with system.radio("hci0") as stack:
            for paired in (False, True, False):
                found = ("/org/bluez/hci0/dev_1", {"Paired": paired})
                heard = AdvertisementData(None, {}, {}, [], None, -50, found)
                assert stack.knows(heard) is paired

    play(PlayedBus(hci0=True), story)


def test_an_adapter_that_hangs_is_switched_off_and_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("device_bridge.radio.bluez.OFF_FOR", 0)
    bus = PlayedBus(hci0=True)

    async def story(system: SystemBluetooth) -> None:
        async with system.radio("hci0") as stack:
            await stack.restart()
            assert stack.lost.is_set()
        set_to = [body[2].value for member, body in bus.calls if member == "Set"]
        assert set_to == [False, True]

    play(bus, story)


def test_without_bluez_there_is_no_radio() -> None:
    class NoBlueZ(PlayedBus):
        async def call(self, asked: Message) -> Message:
            if asked.destination != BLUEZ:
                return await super().call(asked)
            return Message(
                message_type=MessageType.ERROR,
                reply_serial=1,
                error_name="org.freedesktop.DBus.Error.ServiceUnknown",
            )

    async def story(_system: SystemBluetooth) -> None: ...

    with pytest.raises(LostRadio, match="ServiceUnknown"):
        play(NoBlueZ(), story)
