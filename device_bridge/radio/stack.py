"""What bleak needs to work on one radio, be it the system's or one of our own."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Literal

from bleak import BleakScanner
from bleak.args.bluez import BlueZScannerArgs
from bleak.backends.client import BaseBleakClient
from bleak.backends.scanner import (
    AdvertisementData,
    AdvertisementDataCallback,
    BaseBleakScanner,
)

from device_bridge.radio.adapter import open_radio
from device_bridge.radio.client import client_on
from device_bridge.radio.keys import BondStore
from device_bridge.radio.scanner import scanner_on


async def _nothing() -> None:
    """Do nothing: a radio of our own starts anew when it is opened again."""


def _always(_advertised: AdvertisementData) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Stack:
    """One radio. `lost`: it has gone, or is to be opened anew.

    `scanner` is bleak's backend, None for BlueZ on the adapter of that name.
    `connecting` is held while a connection is made, where the radio does not see to it
    that it makes one at a time. `knows` says whether it has keys of an advertiser, as
    far as that can be said: ours share them. `restart` puts a radio right that hangs.
    """

    client: type[BaseBleakClient]
    scanner: type[BaseBleakScanner] | None = None
    mode: Literal["active", "passive"] = "active"
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    adapter: str = ""
    connecting: AbstractAsyncContextManager[None] = field(default_factory=nullcontext)
    knows: Callable[[AdvertisementData], bool] = _always
    restart: Callable[[], Awaitable[None]] = _nothing

    def listen(self, heard: AdvertisementDataCallback) -> BleakScanner:
        """Return a scanner of this radio, to be entered."""
        bluez: BlueZScannerArgs = {"adapter": self.adapter} if self.adapter else {}
        return BleakScanner(
            heard, scanning_mode=self.mode, bluez=bluez, backend=self.scanner
        )


@asynccontextmanager
async def own_radio(transport: str, bonds: BondStore) -> AsyncGenerator[Stack]:
    """Yield the radio behind a bumble transport; raises LostRadio."""
    radio = await open_radio(transport, bonds)
    try:
        yield Stack(client_on(radio), scanner_on(radio), "passive", radio.lost)
    finally:
        await radio.close()
