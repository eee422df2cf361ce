"""Which readable devices are in range, as they are heard."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from rich.console import Console
from rich.live import Live
from rich.table import Table

from device_bridge.gatt.uuids import GENERIC_HEALTH_SENSOR
from device_bridge.profiles import profile_for
from device_bridge.radio.bluez import system_radios
from device_bridge.radio.keys import BondStore
from device_bridge.radio.stack import Stack, own_radio
from device_bridge.settings import Settings

HINT_OCTETS, HINT_FORMAT = 6, 1
EVERY = 0.5  # seconds


@dataclass(frozen=True, slots=True)
class Seen:
    """One advertiser; `newest` and `battery` are hints that it gives, or None."""

    address: str
    signal_dbm: int
    profile: str
    newest: int | None
    battery: int | None


def seen(found: BLEDevice, advertised: AdvertisementData) -> Seen | None:
    """Return what an advertisement says, None for a device that we cannot read."""
    profile = profile_for(advertised.service_uuids)
    if profile is None:
        return None
    hint = advertised.service_data.get(GENERIC_HEALTH_SENSOR, b"")
    says = len(hint) == HINT_OCTETS and hint[0] == HINT_FORMAT
    return Seen(
        found.address,
        advertised.rssi,
        profile.name,
        int.from_bytes(hint[1:5], "little") if says else None,
        hint[5] if says else None,
    )


def table(found: dict[str, Seen]) -> Table:
    """Return the devices as rows, the strongest signal first."""
    made = Table("address", "signal", "profile", "newest record", "battery")
    for one in sorted(found.values(), key=lambda s: -s.signal_dbm):
        newest = "" if one.newest is None else str(one.newest)
        battery = "" if one.battery is None else f"{one.battery} %"
        signal = f"{one.signal_dbm} dBm"
        made.add_row(one.address, signal, one.profile, newest, battery)
    return made


async def scan(settings: Settings, seconds: float) -> None:
    """Print the devices heard within some seconds; on a terminal as they are heard."""
    console, found = Console(), dict[str, Seen]()

    def heard(device: BLEDevice, advertised: AdvertisementData) -> None:
        if one := seen(device, advertised):
            found[one.address] = one

    if console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            await _listen(
                settings,
                seconds,
                heard,
                lambda: live.update(table(found), refresh=True),
            )
    else:
        await _listen(settings, seconds, heard, lambda: None)
        console.print(table(found))


async def _listen(
    settings: Settings,
    seconds: float,
    heard: Callable[[BLEDevice, AdvertisementData], None],
    show: Callable[[], None],
) -> None:
    async with AsyncExitStack() as opened:
        for stack in await _radios(settings, opened):
            await opened.enter_async_context(stack.listen(heard))
        until = asyncio.get_running_loop().time() + seconds
        while (rest := until - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(min(EVERY, rest))
            show()


async def _radios(settings: Settings, opened: AsyncExitStack) -> list[Stack]:
    """Return the radios to listen with; raises LostRadio."""
    if not settings.hci:
        return await opened.enter_async_context(system_radios())
    bonds = BondStore(settings.spool / "bonds.sqlite")
    opened.callback(bonds.close)
    return [
        await opened.enter_async_context(own_radio(hci, bonds))
        for hci in settings.hci.split()
    ]
