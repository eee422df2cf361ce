"""The system's Bluetooth, BlueZ: our agent with it, and notice when it goes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from bleak.exc import BleakError
from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import DBusFastError

from device_bridge.radio.agent import Agent

BLUEZ, ADAPTER = "org.bluez", "org.bluez.Adapter1"
BUS, PROPERTIES = "org.freedesktop.DBus", "org.freedesktop.DBus.Properties"
PATH = "/io/doseloop/agent"
NO_DISPLAY = "NoInputNoOutput"
WATCHED = (
    f"type='signal',sender='{BLUEZ}',member='InterfacesRemoved'",
    f"type='signal',sender='{BLUEZ}',interface='{PROPERTIES}',arg0='{ADAPTER}'",
    f"type='signal',sender='{BUS}',member='NameOwnerChanged',arg0='{BLUEZ}'",
)


@asynccontextmanager
async def system_bluetooth() -> AsyncGenerator[asyncio.Event]:
    """Be the system's pairing agent while inside; yields what is set when it has gone.

    That is when an adapter is pulled out or switched off, or bluetoothd has ended: a
    scanner on it would stay silent for ever. Raises BleakError without BlueZ.
    """
    bus, lost = MessageBus(bus_type=BusType.SYSTEM), asyncio.Event()

    def hear(message: Message) -> None:
        if message.message_type is MessageType.SIGNAL and _tells_of_loss(message):
            lost.set()

    try:
        try:
            await bus.connect()
        except (OSError, DBusFastError) as error:
            raise BleakError(f"no system bus: {error}") from error
        bus.export(PATH, Agent())
        bus.add_message_handler(hear)
        for rule in WATCHED:
            await _call(bus, (BUS, "/org/freedesktop/DBus", BUS), "AddMatch", "s", rule)
        agents = BLUEZ, "/org/bluez", "org.bluez.AgentManager1"
        await _call(bus, agents, "RegisterAgent", "os", PATH, NO_DISPLAY)
        await _call(bus, agents, "RequestDefaultAgent", "o", PATH)
        yield lost
    finally:
        bus.disconnect()


def _tells_of_loss(message: Message) -> bool:
    body: list[Any] = message.body
    match message.member:
        case "InterfacesRemoved":
            return ADAPTER in body[1]
        case "PropertiesChanged":
            powered = body[1].get("Powered")
            return body[0] == ADAPTER and powered is not None and not powered.value
        case "NameOwnerChanged":
            return body[0] == BLUEZ and not body[2]
        case _:
            return False


async def _call(
    bus: MessageBus, at: tuple[str, str, str], member: str, signature: str, *body: str
) -> None:
    destination, path, interface = at
    answer = await bus.call(
        Message(
            destination=destination,
            path=path,
            interface=interface,
            member=member,
            signature=signature,
            body=list(body),
        )
    )
    if answer.message_type is MessageType.ERROR:
        raise BleakError(f"BlueZ refuses {member}: {answer.error_name}")
