"""A link to a wearable without memory: its notifications, as they come."""

import asyncio
import logging
from typing import Any

from bleak import BleakClient

from device_bridge import samples
from device_bridge.backend import RegisteredDevice
from device_bridge.errors import MalformedRecord
from device_bridge.gatt.uuids import BATTERY_LEVEL, HEART_RATE_MEASUREMENT
from device_bridge.profiles import Profile
from device_bridge.profiles.heart_rate import LOINC_HEART_RATE, PER_MINUTE
from device_bridge.surroundings import Surroundings, seconds_between_beats
from device_bridge.upload import Heard

log = logging.getLogger(__name__)


class SampleLink:
    """One connected wearable."""

    def __init__(
        self,
        client: BleakClient,
        profile: Profile,
        device: RegisteredDevice,
        around: Surroundings,
    ) -> None:
        self._client = client
        self._decode = profile.decoders[HEART_RATE_MEASUREMENT]
        self._device = device
        self._around = around

    async def run(self) -> None:
        """Take samples until the slot is wanted by others."""
        await self._client.start_notify(HEART_RATE_MEASUREMENT, self._on_value)
        while True:
            asked, checked = self._around.clock.now, self._around.clock.checked
            await self._client.read_gatt_char(BATTERY_LEVEL)
            # It has no memory: it is there, and speaks for no record.
            if checked:
                told = Heard(epoch=0, sequence=0, at=asked)
                self._around.uploader.note_heard(self._device.device_id, told)
            await self._around.note_link(
                self._device.device_id, self._client.address, None
            )
            await asyncio.sleep(seconds_between_beats(self._around.clock.speed))
            if self._around.slots.contested:
                return

    def _on_value(self, _: Any, value: bytearray) -> None:  # noqa: ANN401  unused
        try:
            beats = self._decode(bytes(value))
        except MalformedRecord as error:
            log.info("measurement unreadable", extra={"why": error.why})
            return
        if beats is None:
            return
        self._around.samples.add(
            samples.Sample(
                device_id=self._device.device_id,
                code=LOINC_HEART_RATE,
                unit=PER_MINUTE,
                at=self._around.clock.now,
                value=float(beats),
                unchecked=self._around.clock.unchecked,
            )
        )
