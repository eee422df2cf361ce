"""A link to devices that measure: what they tell as it comes, what meters have stored.

All services that some profile of ours reads are served, whichever was advertised.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from bleak import BleakClient

from device_bridge import samples, spool
from device_bridge.backend import RegisteredDevice
from device_bridge.bonding import bonded
from device_bridge.calendar_clock import read_calendar
from device_bridge.errors import LostPeripheral, MalformedRecord
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    GLUCOSE_MEASUREMENT,
    SERIAL,
    shortened,
)
from device_bridge.intake import Intake
from device_bridge.profiles import Decode, sample_decoders
from device_bridge.stored_readings import StoredReadings, stored_readings
from device_bridge.surroundings import Surroundings, seconds_between_beats
from device_bridge.upload import Heard

log = logging.getLogger(__name__)


class SampleLink:
    """One connected device that measures."""

    def __init__(
        self, client: BleakClient, device: RegisteredDevice, around: Surroundings
    ) -> None:
        self._client = client
        self._id = device.device_id
        self._around = around
        self._intake = Intake(device.device_id, around)

    async def run(self) -> None:
        """Take samples until the slot is wanted by others."""
        stored = stored_readings(self._client)
        await self._intake.recall()
        # Before anything comes: a device may be gone as soon as it has told.
        await self._read_calendar()
        try:
            await self._subscribe(stored)
            while True:
                if stored is not None:
                    await self._fetch(stored)
                await self._beat()
                if self._around.slots.contested:
                    return
                await self._read_calendar()
        finally:
            await self._intake.settle()

    async def _read_calendar(self) -> None:
        self._intake.calendar = await read_calendar(self._client, self._around.clock)

    async def _subscribe(self, stored: StoredReadings | None) -> None:
        served = stored is not None
        for characteristic in self._client.services.characteristics.values():
            decode = sample_decoders().get(characteristic.uuid)
            if decode is None or characteristic.uuid == GLUCOSE_MEASUREMENT:
                continue
            notified = partial(self._on_value, decode, shortened(characteristic.uuid))
            start = partial(self._client.start_notify, characteristic, notified)
            await bonded(self._client, start)
            served = True
        if stored is not None:
            await stored.enable()
        if not served:
            raise LostPeripheral(self._client.address, "offers nothing that we read")

    async def _beat(self) -> None:
        """Take a sign of life, then settle what comes until the next is due."""
        around, loop = self._around, asyncio.get_running_loop()
        asked, checked = around.clock.now, around.clock.checked
        offered = {c.uuid for c in self._client.services.characteristics.values()}
        alive = BATTERY_LEVEL if BATTERY_LEVEL in offered else SERIAL
        value = bytes(await self._client.read_gatt_char(alive))
        if alive == BATTERY_LEVEL:
            await around.note_battery(self._id, value)
        # It speaks for no record of a dose: it is there.
        if checked:
            told = Heard(epoch=0, sequence=0, at=asked)
            around.uploader.note_heard(self._id, told)
        await around.note_link(self._id, self._client.address, None)
        until = loop.time() + seconds_between_beats(around.clock.speed)
        while True:
            await self._intake.settle()
            try:
                async with asyncio.timeout_at(until):
                    await self._intake.noticed.wait()
            except TimeoutError:
                return

    def _on_value(
        self,
        decode: Decode,
        where: str,
        _: Any,  # noqa: ANN401  unused
        value: bytearray,
    ) -> None:
        for sample in self._intake.samples(decode, where, bytes(value)):
            self._around.samples.add(sample)

    async def _fetch(self, stored: StoredReadings) -> None:
        """Read what a meter has stored since the newest record that is here.

        That one is read again: if it is no longer there as it was, the memory was
        cleared or numbers anew, and all is read. What was here before is known by name.
        """
        run, key = self._around.spool.run, f"readings {self._id}"
        newest: list[Any] | None = await run(spool.recall, key)
        told = await stored.since(newest[0] if newest else None)
        if newest and newest[1] not in {octets.hex() for octets in told}:
            newest, told = None, await stored.since(None)
        decode = sample_decoders()[GLUCOSE_MEASUREMENT]
        where = shortened(GLUCOSE_MEASUREMENT)
        fresh = [octets for octets in told if not newest or octets.hex() != newest[1]]
        taken = [
            sample
            for octets in fresh
            for sample in self._intake.samples(decode, where, octets)
        ]
        await run(samples.add_all, taken)
        await self._intake.settle()
        numbered = [(n, o.hex()) for o in told if (n := _number(decode, o)) is not None]
        # By an unchecked clock dated samples may yet be dropped: read them again then.
        if numbered and self._around.clock.checked:
            await run(spool.remember, key, max(numbered))


def _number(decode: Decode, octets: bytes) -> int | None:
    try:
        return decode(octets).number
    except MalformedRecord:
        return None
