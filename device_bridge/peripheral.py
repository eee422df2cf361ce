"""One peripheral from first contact to the end of its link."""

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError

from device_bridge.backend import RegisteredDevice
from device_bridge.bonding import bond
from device_bridge.errors import (
    LostBond,
    LostPeripheral,
    QueueUnavailable,
    UnknownPeripheral,
)
from device_bridge.events import Kind
from device_bridge.gatt.uuids import MAKER, MODEL, SERIAL
from device_bridge.profiles import Profile
from device_bridge.radio.stack import Stack
from device_bridge.record_link import RecordLink
from device_bridge.sample_link import SampleLink
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

CONNECT_WITHIN = 20.0  # and all services are known
SET_UP_WITHIN = 40.0  # connecting, encrypting, discovering
HANG_UP_WITHIN = 10.0


async def serve(
    found: BLEDevice, profile: Profile, around: Surroundings, stack: Stack
) -> None:
    """Hold a link to a peripheral until it ends or its slot is wanted.

    Raises LostPeripheral when the link fails, UnknownPeripheral when the backend does
    not list the device, LostBond when it no longer accepts our keys, or has none that
    doses may be read by: technicians hear of that too.
    """
    ended = asyncio.Event()
    client = BleakClient(
        found,
        disconnected_callback=lambda _: ended.set(),
        timeout=CONNECT_WITHIN,
        backend=stack.client,
    )
    try:
        async with stack.connecting, asyncio.timeout(SET_UP_WITHIN):
            await client.connect()
        try:
            await _until(ended, _work(client, profile, around), client.address)
        finally:
            with suppress(TimeoutError):  # it ends by itself when it is not kept up
                async with asyncio.timeout(HANG_UP_WITHIN):
                    await client.disconnect()
    except LostBond as error:
        await _report(error, around)
        raise
    except BleakError as error:
        raise LostPeripheral(found.address, str(error)) from error
    except TimeoutError as error:
        raise LostPeripheral(found.address, "no answer in time") from error


async def _report(error: LostBond, around: Surroundings) -> None:
    """Tell the backend of a bond that a person has to see to."""
    device = await around.device_at(error.address)
    if device is not None:
        with suppress(QueueUnavailable):
            await around.report(device, Kind.FAULT, {"why": error.why})


async def _until(
    ended: asyncio.Event, work: Coroutine[Any, Any, None], address: str
) -> None:
    """Run `work` until it is done; raises LostPeripheral as soon as the link ends."""
    working = asyncio.ensure_future(work)
    ending = asyncio.ensure_future(ended.wait())
    try:
        await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.cancel()
        working.cancel()
        await asyncio.wait((working,))
    if working.cancelled():
        raise LostPeripheral(address, "link ended")
    working.result()


async def _work(client: BleakClient, profile: Profile, around: Surroundings) -> None:
    device = await _identify(client, around)
    try:
        if profile.stores_records:
            await bond(client, secure=True)
            await RecordLink(client, profile, device, around).run()
        else:
            await SampleLink(client, device, around).run()
    finally:
        log.info("disconnected", extra={"device": device.device_id})


async def _identify(client: BleakClient, around: Surroundings) -> RegisteredDevice:
    """Return which device this is. Strangers' devices are left before pairing."""
    maker, model, serial = [
        bytes(await client.read_gatt_char(where)).decode(errors="replace").strip("\0 ")
        for where in (MAKER, MODEL, SERIAL)
    ]
    device = await around.registry.find(maker, model, serial)
    if device is None:
        raise UnknownPeripheral(client.address, serial)
    await around.note_address(device.device_id, client.address)
    log.info("connected", extra={"device": device.device_id})
    return device
