"""A link to devices that measure: what they tell as it comes, what meters have stored.

All services that some profile of ours reads are served, whichever was advertised.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from bleak import BleakClient

from device_bridge.backend import RegisteredDevice
from device_bridge.bonding import bonded
from device_bridge.calendar_clock import read_calendar
from device_bridge.errors import LostPeripheral
from device_bridge.gatt.uuids import (
    BATTERY_LEVEL,
    CGM_MEASUREMENT,
    GLUCOSE_MEASUREMENT,
    SERIAL,
    shortened,
)
from device_bridge.intake import Intake
from device_bridge.profiles import Decode, sample_decoders
from device_bridge.readings import Readings, readings_of
from device_bridge.surroundings import Surroundings, seconds_between_beats
from device_bridge.upload import Heard

ASKED_FOR = (GLUCOSE_MEASUREMENT, CGM_MEASUREMENT)


class SampleLink:
    """One connected device that measures."""

    def __init__(
        self, client: BleakClient, device: RegisteredDevice, around: Surroundings
    ) -> None:
        self._client = client
        self._id = device.device_id
        self._around = around
        self._intake = Intake(device.device_id, around)
        self._told = asyncio.Event()

    async def run(self) -> None:
        """Take samples until the slot is wanted by others."""
        parts = (self._client, self._id, self._intake, self._around)
        stored = readings_of(*parts, self._on_told)
        await self._intake.recall()
        # Before anything comes: a device may be gone as soon as it has told.
        await self._read_calendar()
        try:
            await self._subscribe(stored)
            while True:
                self._told.clear()
                for readings in stored:
                    await readings.fetch()
                await self._beat()
                if self._around.slots.contested:
                    return
                await self._read_calendar()
        finally:
            await self._intake.settle()

    async def _read_calendar(self) -> None:
        self._intake.calendar = await read_calendar(self._client, self._around.clock)

    async def _subscribe(self, stored: Sequence[Readings]) -> None:
        served = bool(stored)
        for characteristic in self._client.services.characteristics.values():
            decode = sample_decoders().get(characteristic.uuid)
            if decode is None or characteristic.uuid in ASKED_FOR:
                continue
            notified = partial(self._on_value, decode, shortened(characteristic.uuid))
            start = partial(self._client.start_notify, characteristic, notified)
            await bonded(self._client, start)
            served = True
        for readings in stored:
            await readings.enable()
        if not served:
            raise LostPeripheral(self._client.address, "offers nothing that we read")

    async def _beat(self) -> None:
        """Take a sign of life, then settle what comes until the next is due.

        What is stored anew is fetched before that.
        """
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
        await around.note_link(self._id, self._client.address, {})
        until = loop.time() + seconds_between_beats(around.clock.speed)
        while not self._told.is_set():
            await self._intake.settle()
            try:
                async with asyncio.timeout_at(until):
                    await self._intake.noticed.wait()
            except TimeoutError:
                return

    def _on_told(self) -> None:
        self._told.set()
        self._intake.noticed.set()

    def _on_value(
        self,
        decode: Decode,
        where: str,
        _: Any,  # noqa: ANN401  unused
        value: bytearray,
    ) -> None:
        for sample in self._intake.samples(decode, where, bytes(value)):
            self._around.samples.add(sample)
