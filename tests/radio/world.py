"""Virtual devices before adapters of the kernel's, a backend behind the bridge."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from unittest.mock import patch

from bumble import hci, ll, smp
from bumble.transport import open_transport

from device_bridge import bonding, peripheral
from device_bridge.log import EventFormatter
from device_bridge.radio.key_kind import KEPT, KeyKind, kind_of
from device_bridge.radio.secure import without_secure_connections
from device_bridge.virtual.air import Air, VirtualController
from device_bridge.virtual.plan import read_plan
from device_bridge.virtual.server import address_of
from device_bridge.virtual.stage import Actor, performer
from tests.device_bridge.fake_backend import device_id
from tests.device_bridge.stories import (
    Json,
    World,
    a_plan,
    backend_for,
    devices_and_backend,
    now,
    until,
)

ATTEMPTS, LOOKS = 6, 24
PATIENCE = 150.0  # seconds; an emulated processor takes its time
AT_LEISURE = {
    (peripheral, "CONNECT_WITHIN"): 60.0,
    (peripheral, "SET_UP_WITHIN"): 90.0,
    (bonding, "PAIR_WITHIN"): 60.0,
}
DUPLICATES_AFTER = 1.0  # seconds
LOG = "/out/bridge.log"
DAEMON = ("/usr/libexec/bluetooth/bluetoothd", "-n")
FIRST, SECOND = (
    hci.Address(f"00:1B:DC:00:00:0{n}", hci.Address.PUBLIC_DEVICE_ADDRESS)
    for n in (1, 2)
)


class Adapter(VirtualController):
    """A controller with a public address of its own, as adapters for sale have one.

    While it scans, the kernel gives it a new random address for every question; on our
    link those who are connected know it by the one address that it has.
    """

    def on_hci_le_set_random_address_command(
        self, command: hci.HCI_Packet
    ) -> hci.HCI_StatusReturnParameters:
        del command  # never used: the kernel connects by the public address
        return hci.HCI_StatusReturnParameters(hci.HCI_ErrorCode.SUCCESS)

    def on_advertising_pdu(self, pdu: ll.AdvInd | ll.AdvExtInd) -> None:
        # The kernel wants no duplicates; each is a signal on the bus to be read.
        now, sender = asyncio.get_running_loop().time(), pdu.advertiser_address
        wanted = self.pending_le_connection is not None
        if wanted or now >= self._reported.get(sender, 0.0) + DUPLICATES_AFTER:
            self._reported[sender] = now
            super().on_advertising_pdu(pdu)

    @cached_property
    def _reported(self) -> dict[hci.Address, float]:
        return {}


@asynccontextmanager
async def an_adapter(air: Air, own: hci.Address = FIRST) -> AsyncGenerator[Adapter]:
    """Plug an adapter into the kernel, and out at the end; it hears those on `air`.

    The kernel drops one that does not answer within two seconds, which happens where
    the processor is emulated and busy: then it is plugged in anew.
    """
    for _ in range(ATTEMPTS):
        async with await open_transport("vhci") as transport:
            plugged = Adapter("adapter", transport.source, transport.sink, air, own)
            plugged.random_address = own
            try:
                if await _taken(own):
                    yield plugged
                    return
            finally:
                plugged.unplug()
    raise TimeoutError("the kernel does not take the adapter")


async def bluetoothctl(*words: str) -> str:
    """Return what BlueZ's own tool says to a command."""
    asked = await asyncio.create_subprocess_exec(
        "bluetoothctl", *words, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asked.communicate()
    return told.decode()


async def restart_bluetoothd() -> None:
    """Kill the daemon, and let another take its place."""
    await (await asyncio.create_subprocess_exec("pkill", "bluetoothd")).wait()
    with Path("/out/bluetoothd-2.log").open("wb") as log:
        await asyncio.create_subprocess_exec(*DAEMON, stdout=log, stderr=log)


async def _taken(own: hci.Address) -> bool:
    """Return whether BlueZ has the adapter and has switched it on, before long."""
    address = own.to_string(with_type_qualifier=False)
    for _ in range(LOOKS):
        if "Powered: yes" in await bluetoothctl("show", address):
            return True
        await asyncio.sleep(0.5)
    return False


@asynccontextmanager
async def a_world(folder: Path) -> AsyncGenerator[World]:
    """Yield a world without devices whose bridge will use the system's Bluetooth."""
    with _log_kept(), ExitStack() as patched:
        for (module, name), seconds in AT_LEISURE.items():
            patched.enter_context(patch.object(module, name, seconds))
        async with devices_and_backend(a_plan([]), folder) as world:
            settings = replace(world.settings, hci="", max_links=7)
            yield replace(world, settings=settings)


@asynccontextmanager
async def a_box(
    world: World, device: Json, *, registered: bool = True, legacy: bool = False
) -> AsyncGenerator[Actor]:
    """Put a device on the air, whose records are made already.

    `legacy`: it knows nothing better than legacy pairing.
    """
    plan = a_plan([device])
    if registered:
        world.backend.serials |= backend_for(plan).serials
    everything = read_plan(plan)
    made = performer(everything.devices[0], everything, world.memory, world.air)
    if legacy:
        made.gatt.device.pairing_config_factory = without_secure_connections
        made.gatt.device.smp_session_proxy = smp.Session
    made.recorder.play(made.recorder.now)
    actor = Actor(made)
    playing = asyncio.create_task(actor.run())
    try:
        yield actor
    finally:
        playing.cancel()
        await asyncio.wait((playing,))
        made.gatt.controller.unplug()


@contextmanager
def _log_kept() -> Generator[None]:
    log, kept = logging.getLogger("device_bridge"), logging.FileHandler(LOG)
    kept.setFormatter(EventFormatter())
    log.addHandler(kept)
    log.setLevel(logging.INFO)
    try:
        yield
    finally:
        log.removeHandler(kept)
        kept.close()


def kind_of_bond(serial: str, adapter: hci.Address = FIRST) -> KeyKind:
    """Return what the bond that BlueZ keeps with a box is worth."""
    own, other = (
        address.to_string(with_type_qualifier=False)
        for address in (adapter, address_of(serial))
    )
    return kind_of(own, other)


def bond_of(serial: str) -> str:
    """Return what BlueZ keeps of a bonded peripheral."""
    own, other = (
        address.to_string(with_type_qualifier=False)
        for address in (FIRST, address_of(serial))
    )
    return (KEPT / own / other / "info").read_text()


def drop_links(world: World) -> None:
    """End all links as a loss of signal does."""
    for controller in list(world.air.controllers):
        if isinstance(controller, VirtualController):
            controller.drop_links()


def spooled(world: World) -> int:
    """Return how many records are on the bridge's disk, neither posted nor lost."""
    path = world.settings.spool / "spool.sqlite"
    if not path.exists():
        return 0
    with sqlite3.connect(path) as db:
        return db.execute("SELECT count(*) FROM record").fetchone()[0]


async def emptied(world: World, serial: str, count: int) -> None:
    """Return when so many records are at the backend, and none in the box."""
    backend = world.backend
    await until(lambda: len(backend.sequences(serial)) == count, PATIENCE)
    await until(lambda: world.memory.bounds(serial)[2] == 0, PATIENCE)
    assert backend.sequences(serial) == list(range(1, count + 1))


async def heard_again(world: World, *serials: str) -> None:
    """Return when the bridge has linked to all boxes anew, and all of it is read."""
    since = now()

    def heard(serial: str) -> bool:
        told = world.backend.heard.get(device_id(serial), [])
        return any(datetime.fromisoformat(one["at"]) > since for one in told)

    await until(lambda: all(heard(serial) for serial in serials), PATIENCE)
