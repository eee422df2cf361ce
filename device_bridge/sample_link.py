"""A link to devices that measure: what they notify and indicate, as it comes.

All services that some profile of ours reads are served, whichever was advertised.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

from bleak import BleakClient

from device_bridge import spool
from device_bridge.backend import RegisteredDevice
from device_bridge.bonding import bonded
from device_bridge.calendar_clock import CalendarReading, read_calendar
from device_bridge.errors import LostPeripheral, MalformedRecord
from device_bridge.events import Kind
from device_bridge.gatt.uuids import BATTERY_LEVEL, SERIAL, shortened
from device_bridge.measurement import Measurement
from device_bridge.profiles import Decode, sample_decoders
from device_bridge.samples import Sample
from device_bridge.surroundings import Surroundings, seconds_between_beats
from device_bridge.upload import Heard

log = logging.getLogger(__name__)

MOST_REPORTS = 20  # of values that are no vitals, on one link; the rest is only logged


class SampleLink:
    """One connected device that measures."""

    def __init__(
        self, client: BleakClient, device: RegisteredDevice, around: Surroundings
    ) -> None:
        self._client = client
        self._id = device.device_id
        self._around = around
        self._calendar: CalendarReading | None = None
        self._user: int | None = None
        self._known_user: int | None = None
        self._refused: list[dict[str, object]] = []
        self._reports = 0
        self._silent: tuple[str, ...] = ()
        self._poke = asyncio.Event()

    async def run(self) -> None:
        """Take samples until the slot is wanted by others."""
        recalled = await self._around.spool.run(spool.recall, self._user_key)
        self._user = self._known_user = recalled
        # Before anything comes: a device may be gone as soon as it has told.
        self._calendar = await read_calendar(self._client, self._around.clock)
        try:
            await self._subscribe()
            while True:
                await self._beat()
                if self._around.slots.contested:
                    return
                self._calendar = await read_calendar(self._client, self._around.clock)
        finally:
            await self._settle()

    @property
    def _user_key(self) -> str:
        return f"user {self._id}"

    async def _subscribe(self) -> None:
        served = 0
        for characteristic in self._client.services.characteristics.values():
            decode = sample_decoders().get(characteristic.uuid)
            if decode is None:
                continue
            notified = partial(self._on_value, decode, shortened(characteristic.uuid))
            start = partial(self._client.start_notify, characteristic, notified)
            await bonded(self._client, start)
            served += 1
        if not served:
            raise LostPeripheral(self._client.address, "offers nothing that we read")

    async def _beat(self) -> None:
        """Take a sign of life, then settle what comes until the next is due."""
        around, loop = self._around, asyncio.get_running_loop()
        asked, checked = around.clock.now, around.clock.checked
        offered = {c.uuid for c in self._client.services.characteristics.values()}
        alive = BATTERY_LEVEL if BATTERY_LEVEL in offered else SERIAL
        await self._client.read_gatt_char(alive)
        # It speaks for no record of a dose: it is there.
        if checked:
            told = Heard(epoch=0, sequence=0, at=asked)
            around.uploader.note_heard(self._id, told)
        until = loop.time() + seconds_between_beats(around.clock.speed)
        while True:
            self._poke.clear()
            await self._settle()
            try:
                async with asyncio.timeout_at(until):
                    await self._poke.wait()
            except TimeoutError:
                return

    async def _settle(self) -> None:
        """Spool what has been noticed."""
        refused, self._refused = self._refused, []
        # Once begun it is done, also when the link ends: neither lost nor doubled.
        await asyncio.shield(self._spool_noticed(refused))

    async def _spool_noticed(self, refused: Sequence[dict[str, object]]) -> None:
        if self._user != self._known_user:
            self._known_user = self._user
            await self._around.spool.run(spool.remember, self._user_key, self._user)
        for detail in refused:
            await self._around.report(self._id, Kind.QUARANTINE, detail)

    def _on_value(
        self,
        decode: Decode,
        where: str,
        _: Any,  # noqa: ANN401  unused
        value: bytearray,
    ) -> None:
        octets = bytes(value)
        try:
            taken = decode(octets)
        except MalformedRecord as error:
            self._refuse(where, octets, (error.why,))
            return
        if taken.momentary and not taken.vitals:
            self._fall_silent(taken.refused)
            return
        self._silent = ()
        at = self._time_of(taken)
        if isinstance(at, str):
            self._refuse(where, octets, (*taken.refused, at))
            return
        if taken.refused:
            self._refuse(where, octets, taken.refused)
        self._keep(taken, at)

    def _fall_silent(self, why: tuple[str, ...]) -> None:
        """Log once that a stream goes on without values, and why."""
        if why != self._silent:
            self._silent = why
            log.info("nothing measured", extra={"device": self._id, "why": why})

    def _time_of(self, taken: Measurement) -> datetime | str:
        """Return when something was measured, or why that is nobody's or undated."""
        if (stranger := self._stranger(taken.user)) is not None:
            return stranger
        if taken.face is None:
            undated = "from storage, without a time"
            return undated if taken.is_stored else self._around.clock.now
        if self._calendar is None:
            return "stamped by a calendar that cannot be read"
        at = self._calendar.true_time(taken.face, self._around.clock)
        return "stamped in the future: the calendar was set" if at is None else at

    def _stranger(self, user: int | str | None) -> str | None:
        """Return whose value it is, where it is not the patient's.

        The first user whom a device names is the patient.
        """
        if self._user is None and isinstance(user, int):
            self._user = user
            self._poke.set()
        if self._user is None or user is None or user == self._user:
            return None
        return f"of user {user}, the patient is user {self._user}"

    def _refuse(self, where: str, octets: bytes, why: Sequence[str]) -> None:
        """Report a value that is no vital, with its octets."""
        told = {"characteristic": where, "why": ", ".join(why)}
        log.warning("value not used", extra={"device": self._id} | told)
        self._reports += 1
        if self._reports <= MOST_REPORTS:
            self._refused.append({**told, "octets": octets.hex()})
            self._poke.set()

    def _keep(self, taken: Measurement, at: datetime) -> None:
        name = None if taken.face is None else f"{taken.face:%Y%m%d%H%M%S}"
        if name is not None and taken.number is not None:
            name = f"{name} {taken.number}"
        for vital in taken.vitals:
            sample = Sample(
                device_id=self._id,
                code=vital.code.loinc,
                unit=vital.code.unit,
                at=at,
                value=vital.value,
                unchecked=self._around.clock.unchecked,
                name=name,
            )
            self._around.samples.add(sample)
