"""A bumble client that takes stored records and does nothing with them."""

import asyncio
import time
from pathlib import Path
from typing import Any

from bleak.backends.device import BLEDevice
from bumble.device import Device

from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode
from device_bridge.gatt.uuids import (
    MAKER,
    MODEL,
    RECORD_ACCESS,
    SERIAL,
    STORED_OBSERVATIONS,
)
from device_bridge.radio.adapter import open_radio
from device_bridge.radio.client import client_on
from device_bridge.radio.keys import BondStore


async def collect(hci: str, addresses: list[str], folder: Path) -> float:
    """Return the seconds in which all devices at once sent all they have stored.

    From the moment the first one is known by its serial, as for the bridge.
    """
    bonds = BondStore(folder / "bonds.sqlite")
    radio = await open_radio(hci, bonds, made=Device.with_hci)
    client, began = client_on(radio), list[float]()

    async def take(address: str) -> None:
        made: Any = client
        link = made(BLEDevice(address, None, None), timeout=30.0)
        await link.connect(pair=False)
        for text in (MAKER, MODEL, SERIAL):
            await link.read_gatt_char(link.services.get_characteristic(text))
        began.append(time.perf_counter())
        await link.pair()
        done = asyncio.Event()
        answers = link.services.get_characteristic(RECORD_ACCESS)
        records = link.services.get_characteristic(STORED_OBSERVATIONS)

        def answered(value: bytearray) -> None:
            if value[0] == Opcode.COMBINED_RESPONSE:
                done.set()

        await link.start_notify(answers, answered)
        await link.start_notify(records, _drop)
        await link.write_gatt_char(answers, racp.from_number(1).encode(), response=True)
        await done.wait()
        await link.disconnect()

    await asyncio.gather(*[take(address) for address in addresses])
    elapsed = time.perf_counter() - began[0]
    await radio.close()
    bonds.close()
    return elapsed


def _drop(_value: bytearray) -> None:
    """Take a record and do nothing with it."""
