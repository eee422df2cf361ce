"""All virtual devices of a plan, playing: advertising, coming and going, recording."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from bumble.device import Connection

from device_bridge.clock import real_now
from device_bridge.errors import BadSettings
from device_bridge.gatt import uuids
from device_bridge.radio.apart import apart
from device_bridge.virtual.air import Air, open_door
from device_bridge.virtual.glucose_sensor import GlucoseSensor
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.monitor import Monitor
from device_bridge.virtual.plan import Plan, PlannedDevice, load_plan
from device_bridge.virtual.recorder import Recorder
from device_bridge.virtual.server import NOTIFY, READ, GattDevice
from device_bridge.virtual.wearable import Wearable

log = logging.getLogger(__name__)

ADVERTISING_INTERVAL_MS = 400.0
LONGEST_WAIT = 3600.0
FIRMWARE = b"1.0.0"


class Performer(Protocol):
    """A device's own behaviour: a box, an injector, a wearable or a sensor."""

    gatt: GattDevice
    recorder: Recorder

    @property
    def advertising_data(self) -> bytes: ...
    def linked(self, connection: Connection) -> None: ...
    def unlinked(self, connection: Connection) -> None: ...
    def next_due(self) -> float | None: ...
    def act(self) -> Coroutine[Any, Any, None]: ...


class Actor:
    """One device on the stage: what it does, and whether it is in range."""

    def __init__(self, performer: Performer) -> None:
        self._performer = performer
        self._device = performer.gatt.device
        self._changed = asyncio.Event()
        self._advertising = False
        self._advertised: bytes = b""
        self._device.on("connection", self._on_connection)

    async def run(self) -> None:
        """Play until cancelled."""
        await apart(self._device.power_on())
        while True:
            self._changed.clear()
            await apart(self._performer.act())
            present = self._in_range(self._performer.recorder.now)
            await apart(self._be_present(present))
            waits = [self._performer.next_due(), self._until_range_changes()]
            soonest = min((w for w in waits if w is not None), default=LONGEST_WAIT)
            try:
                async with asyncio.timeout(min(soonest, LONGEST_WAIT)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def look_again(self) -> None:
        """Act now: the plan has changed."""
        self._changed.set()

    def _on_connection(self, connection: Connection) -> None:
        self._advertising = False  # a controller stops when it is connected
        self._performer.linked(connection)
        memory, serial = (
            self._performer.gatt.memory,
            self._performer.recorder.plan.serial,
        )

        def encrypted() -> None:
            # While pairing, the bond is not kept yet: this confirms one that came back.
            if connection.is_encrypted:
                memory.confirm_bond(serial, str(connection.peer_address))

        def ended(_reason: int) -> None:
            self._performer.unlinked(connection)
            self._changed.set()

        connection.on("connection_encryption_change", encrypted)
        connection.on("disconnection", ended)
        self._changed.set()

    async def _be_present(self, present: bool) -> None:  # noqa: FBT001
        if not present:
            self._performer.gatt.controller.drop_links()
            if self._advertising:
                self._advertising = False
                await self._device.stop_advertising()
            return
        if self._performer.gatt.connections:
            return
        data = self._performer.advertising_data
        if self._advertising and data == self._advertised:
            return
        self._advertising = True
        self._advertised = data
        await self._device.start_advertising(
            advertising_data=data,
            advertising_interval_min=ADVERTISING_INTERVAL_MS,
            advertising_interval_max=ADVERTISING_INTERVAL_MS,
        )

    def _in_range(self, now: datetime) -> bool:
        spans = self._performer.recorder.plan.out_of_range
        return not any(start <= now < end for start, end in spans)

    def _until_range_changes(self) -> float | None:
        recorder = self._performer.recorder
        now, speed = recorder.now, recorder.clock.speed
        edges = [edge for span in recorder.plan.out_of_range for edge in span]
        ahead = [(edge - now).total_seconds() / speed for edge in edges if edge > now]
        return min(ahead, default=None)


def performer(
    plan: PlannedDevice,
    everything: Plan,
    memory: Memory,
    air: Air,
    made_by: Callable[[PlannedDevice, Memory, Air], GattDevice] = GattDevice,
    read_real: Callable[[], datetime] = real_now,
) -> Performer:
    """Return a device of a plan, with the services that all of them have."""
    gatt = made_by(plan, memory, air)
    recorder = Recorder(plan, memory, everything.clock, read_real)
    make = gatt.characteristic
    texts = {
        uuids.MAKER: plan.maker,
        uuids.MODEL: plan.model,
        uuids.SERIAL: plan.serial,
    }
    information = [
        make(where, READ, read=lambda _, text=text: text.encode())
        for where, text in texts.items()
    ]
    information.append(make(uuids.FIRMWARE, READ, read=lambda _: FIRMWARE))
    gatt.add(uuids.DEVICE_INFORMATION, information)
    level = make(
        uuids.BATTERY_LEVEL, READ | NOTIFY, read=lambda _: bytes([recorder.battery()])
    )
    gatt.add(uuids.BATTERY_SERVICE, [level])
    if plan.glucose is not None and plan.kind == "cgm":
        return GlucoseSensor(gatt, recorder, plan.glucose)
    return (
        Wearable(gatt, recorder) if plan.kind == "wearable" else Monitor(gatt, recorder)
    )


async def play(
    plan: Plan,
    memory: Memory,
    air: Air,
    read_real: Callable[[], datetime] = real_now,
) -> None:
    """Play a plan until cancelled; events that are past are recorded first."""
    actors: list[Actor] = []
    for planned in plan.devices:
        made = performer(planned, plan, memory, air, read_real=read_real)
        made.recorder.play(made.recorder.now)
        actors.append(Actor(made))
    log.info("devices ready", extra={"devices": len(actors)})
    async with asyncio.TaskGroup() as group:
        for actor in actors:
            group.create_task(actor.run())


def read_transport(text: str) -> tuple[str, int]:
    """Return host and port of `tcp-server:HOST:PORT`; raises BadSettings."""
    kind, _, where = text.partition(":")
    host, _, port = where.rpartition(":")
    if kind != "tcp-server" or not host or not port.isdigit():
        raise BadSettings(f"transport {text!r}: want tcp-server:HOST:PORT")
    return host, int(port)


async def simulate(plan_path: Path, transport: str, state: Path) -> None:
    """Serve the devices of a plan file on an HCI socket until cancelled."""
    host, port = read_transport(transport)
    plan = load_plan(plan_path)
    memory = Memory(state / "devices.sqlite")
    async with AsyncExitStack() as stack:
        stack.callback(memory.close)
        air = Air()
        door = await open_door(air, host, port)
        stack.callback(door.close)
        await play(plan, memory, air)
