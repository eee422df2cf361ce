"""Virtual devices before an adapter of the kernel's, a backend behind the bridge."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

from bumble import hci
from bumble.transport import open_transport

from device_bridge.log import EventFormatter
from device_bridge.virtual.air import Air, VirtualController
from device_bridge.virtual.server import address_of
from tests.device_bridge.stories import Json, World, devices_and_backend

ATTEMPTS, LOOKS = 6, 24
LOG = "/out/bridge.log"
BONDS = Path("/var/lib/bluetooth")
OWN = hci.Address("00:1B:DC:00:00:01", hci.Address.PUBLIC_DEVICE_ADDRESS)


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


@asynccontextmanager
async def an_adapter(air: Air) -> AsyncGenerator[Adapter]:
    """Plug an adapter into the kernel, and out at the end; it hears those on `air`.

    The kernel drops one that does not answer within two seconds, which happens where
    the processor is emulated and busy: then it is plugged in anew.
    """
    for _ in range(ATTEMPTS):
        async with await open_transport("vhci") as transport:
            plugged = Adapter("adapter", transport.source, transport.sink, air, OWN)
            plugged.random_address = OWN
            if await _taken():
                yield plugged
                plugged.unplug()
                return
            plugged.unplug()
    raise TimeoutError("the kernel does not take the adapter")


async def bluetoothctl(*words: str) -> str:
    """Return what BlueZ's own tool says to a command."""
    asked = await asyncio.create_subprocess_exec(
        "bluetoothctl", *words, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await asked.communicate()
    return told.decode()


async def _taken() -> bool:
    """Return whether BlueZ has the adapter, before long."""
    for _ in range(LOOKS):
        if OWN.to_string(with_type_qualifier=False) in await bluetoothctl("list"):
            return True
        await asyncio.sleep(0.5)
    return False


@asynccontextmanager
async def a_world(plan: Json, folder: Path) -> AsyncGenerator[World]:
    """Yield a world whose bridge will use the system's Bluetooth."""
    async with AsyncExitStack() as opened:
        opened.enter_context(_log_kept())
        world = await opened.enter_async_context(devices_and_backend(plan, folder))
        await opened.enter_async_context(an_adapter(world.air))
        yield replace(world, settings=replace(world.settings, hci="", max_links=7))


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


def bond_of(serial: str) -> str:
    """Return what BlueZ keeps of a bonded peripheral, nothing without a bond."""
    address = address_of(serial).to_string(with_type_qualifier=False)
    kept = BONDS / OWN.to_string(with_type_qualifier=False) / address / "info"
    text = kept.read_text() if kept.exists() else ""
    return text if "LongTermKey" in text else ""


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
