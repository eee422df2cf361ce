"""The system's Bluetooth, BlueZ: its adapters as they come and go, and our agent."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from bleak.backends.scanner import AdvertisementData
from dbus_fast import BusType, Message, MessageType, Variant
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

from device_bridge.errors import LostRadio
from device_bridge.radio.agent import Agent
from device_bridge.radio.bluez_client import client_of
from device_bridge.radio.stack import Stack

log = logging.getLogger(__name__)

BLUEZ, ADAPTER = "org.bluez", "org.bluez.Adapter1"
BUS, PROPERTIES = "org.freedesktop.DBus", "org.freedesktop.DBus.Properties"
OBJECTS = "org.freedesktop.DBus.ObjectManager"
AGENT = "/io/doseloop/agent"
NO_DISPLAY = "NoInputNoOutput"
WATCHED = (
    f"type='signal',sender='{BLUEZ}',interface='{OBJECTS}'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',arg0='{ADAPTER}'",
    f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
)
ASK_AGAIN = 2.0  # seconds
OFF_FOR = 1.0  # seconds; an adapter that hangs is off for so long


@dataclass(slots=True)
class Adapter:
    """An adapter that is switched on. `lost`: it no longer is."""

    name: str
    address: str
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    # BlueZ fails a second connection while one is made, and says only when services
    # are known that it is free.
    connecting: asyncio.Lock = field(default_factory=asyncio.Lock)


class SystemBluetooth:
    """BlueZ while it is watched: `adapters` by name are those that are switched on."""

    def __init__(self, bus: MessageBus) -> None:
        self.adapters: dict[str, Adapter] = {}
        self.seen: set[str] = set()
        self.changed = asyncio.Condition()
        self._bus = bus
        self._stale = asyncio.Event()
        self._anew = True  # bluetoothd knows nothing of our agent

    async def begin(self) -> None:
        """Be the pairing agent, find the adapters; raises LostRadio without BlueZ."""
        self._bus.export(AGENT, Agent())
        self._bus.add_message_handler(self._hear)
        bus = BUS, "/org/freedesktop/DBus", BUS
        for rule in WATCHED:
            await self._call(bus, "AddMatch", "s", rule)
        await self._look()

    async def watch(self) -> None:
        """Keep `adapters` current until cancelled; raises LostRadio without a bus."""
        told = ""
        while self._bus.connected:
            with suppress(TimeoutError):
                async with asyncio.timeout(ASK_AGAIN if told else None):
                    await self._stale.wait()
            self._stale.clear()
            try:
                await self._look()
                told = ""
            except LostRadio as error:
                if str(error) != told:
                    log.warning("no Bluetooth", extra={"why": str(error)})
                told = str(error)
        raise LostRadio("the system bus has ended")

    @asynccontextmanager
    async def radio(self, name: str) -> AsyncGenerator[Stack]:
        """Yield an adapter as soon as it is there and switched on."""
        async with self.changed:
            await self.changed.wait_for(lambda: name in self.adapters)
        adapter = self.adapters[name]
        yield Stack(
            client_of(adapter.address),
            lost=adapter.lost,
            adapter=name,
            connecting=adapter.connecting,
            knows=_bonded,
            restart=partial(self.restart, name),
        )

    async def restart(self, name: str) -> None:
        """Switch an adapter off and on: the links it has end, and what hung with them.

        Raises LostRadio when BlueZ refuses.
        """
        for powered in (False, True):
            at = BLUEZ, f"/org/bluez/{name}", PROPERTIES
            power = Variant("b", powered)
            await self._call(at, "Set", "ssv", ADAPTER, "Powered", power)
            await asyncio.sleep(0 if powered else OFF_FOR)

    async def _look(self) -> None:
        if self._anew:
            agents = BLUEZ, "/org/bluez", "org.bluez.AgentManager1"
            await self._call(agents, "RegisterAgent", "os", AGENT, NO_DISPLAY)
            await self._call(agents, "RequestDefaultAgent", "o", AGENT)
            self._anew = False
        listed = await self._call((BLUEZ, "/", OBJECTS), "GetManagedObjects", "")
        objects: dict[str, dict[str, dict[str, Variant]]] = listed.body[0]
        found = {
            path.rpartition("/")[2]: interfaces[ADAPTER]
            for path, interfaces in objects.items()
            if ADAPTER in interfaces and interfaces[ADAPTER]["Powered"].value
        }
        for name in self.adapters.keys() - found.keys():
            self._lose(name)
        for name in found.keys() - self.adapters.keys():
            self.adapters[name] = Adapter(name, found[name]["Address"].value)
        self.seen |= found.keys()
        async with self.changed:
            self.changed.notify_all()

    def _hear(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        body: list[Any] = message.body
        match message.member:
            case "InterfacesAdded" if ADAPTER in body[1]:
                self._stale.set()
            case "InterfacesRemoved" if ADAPTER in body[1]:
                self._lose(body[0].rpartition("/")[2])
            case "PropertiesChanged" if body[0] == ADAPTER and "Powered" in body[1]:
                self._stale.set()
                if not body[1]["Powered"].value:
                    self._lose((message.path or "").rpartition("/")[2])
            case "NameOwnerChanged" if body[0] == BLUEZ:
                self._anew = True
                for name in list(self.adapters):
                    self._lose(name)
                self._stale.set()
            case _:
                pass

    def _lose(self, name: str) -> None:
        # A scanner on it would stay silent for ever, also when it is soon there again.
        if (adapter := self.adapters.pop(name, None)) is not None:
            adapter.lost.set()
        self._stale.set()

    async def _call(
        self, at: tuple[str, str, str], member: str, signature: str, *body: object
    ) -> Message:
        destination, path, interface = at
        try:
            answer = await self._bus.call(
                Message(
                    destination=destination,
                    path=path,
                    interface=interface,
                    member=member,
                    signature=signature,
                    body=list(body),
                )
            )
        except (DBusFastError, EOFError, OSError) as error:
            raise LostRadio(f"no system bus: {error}") from error
        if answer.message_type is MessageType.ERROR:
            raise LostRadio(f"BlueZ refuses {member}: {answer.error_name}")
        return answer


@asynccontextmanager
async def system_bluetooth() -> AsyncGenerator[SystemBluetooth]:
    """Watch BlueZ while inside, as its pairing agent; raises LostRadio without it."""
    bus = MessageBus(bus_type=BusType.SYSTEM)
    try:
        try:
            await bus.connect()
        except (OSError, DBusFastError) as error:
            raise LostRadio(f"no system bus: {error}") from error
        system = SystemBluetooth(bus)
        await system.begin()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(system.watch())
            yield system
            watching.cancel()
    except* LostRadio as lost:
        raise lost.exceptions[0] from lost
    finally:
        bus.disconnect()


@asynccontextmanager
async def system_radios() -> AsyncGenerator[list[Stack]]:
    """Yield the adapters that are switched on now; raises LostRadio if none is."""
    async with system_bluetooth() as system, AsyncExitStack() as opened:
        if not system.adapters:
            raise LostRadio("no adapter is switched on (bluetoothctl power on)")
        names = sorted(system.adapters)
        yield [await opened.enter_async_context(system.radio(n)) for n in names]


def _bonded(advertised: AdvertisementData) -> bool:
    """Return whether BlueZ has a bond with an advertiser now.

    bleak's BLEDevice keeps what was so when it was first heard.
    """
    _path, properties = advertised.platform_data
    return bool(properties.get("Paired"))
