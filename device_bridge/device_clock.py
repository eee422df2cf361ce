"""The clock of one linked device: measured, watched, and set when it must be.

A device's times are believed only between two readings that agree: a clock that stands
still, jumps, or was misread once, shows in the second one.
"""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from bleak import BleakClient

from device_bridge import clock_watch, progress
from device_bridge.clock import (
    CLOCK_STEP_S,
    Clock,
    ClockReading,
    compare_clocks,
    run_alike,
    true_time,
)
from device_bridge.dating import Anchor
from device_bridge.errors import LostPeripheral, MalformedRecord
from device_bridge.events import Kind
from device_bridge.gatt.elapsed_time import (
    EPOCH,
    SYNC_NTP,
    ElapsedTime,
    decode_elapsed_time,
)
from device_bridge.gatt.uuids import CURRENT_ELAPSED_TIME
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

ATTEMPTS = 3  # readings, of which two must follow from one another
TICKS_SEEN = 2  # a clock runs if it goes on within so many of its own units
LONGEST_LOOK = 5.0  # real seconds


class DeviceClock:
    """`moved` is set when the device says that its time has changed."""

    def __init__(
        self, client: BleakClient, device_id: str, around: Surroundings
    ) -> None:
        self._client = client
        self._id = device_id
        self._around = around
        self._measured: ClockReading | None = None
        self._looked: ClockReading | None = None
        self._through = 0
        self._trusted = True
        self._trouble: str | None = None
        self._told: set[str] = set()
        self.unchecked: str | None = None
        self.moved = asyncio.Event()

    async def watch(self) -> None:
        """Let the device say when its time changes other than by running."""
        await self._client.start_notify(CURRENT_ELAPSED_TIME, self._on_change)

    def _on_change(self, _: Any, _value: bytearray) -> None:  # noqa: ANN401  unused
        # What is stamped from now on belongs to another offset: measure before dating.
        self.moved.set()

    async def read(self) -> datetime:
        """Measure the device's clock and return when that was asked for.

        A reading that does not follow from the one before counts when the next one
        follows from it: then the clock was set, else it was misread.
        """
        earlier, asked = self.reading, await self._measure()
        for _ in range(ATTEMPTS):
            now = self._measured
            if earlier is None or now is None or run_alike(earlier, now):
                break
            earlier = now
            await self._measure()
        self._trusted = True
        return asked

    async def _measure(self) -> datetime:
        self.moved.clear()
        self.unchecked = self._around.clock.unchecked
        before = self._around.clock.now
        value = await self._client.read_gatt_char(CURRENT_ELAPSED_TIME)
        after = self._around.clock.now
        try:
            stamp = decode_elapsed_time(bytes(value))
        except MalformedRecord as error:
            raise LostPeripheral(self._client.address, error.why) from error
        if self.unchecked != self._around.clock.unchecked:
            return await self._measure()  # our own clock was put right meanwhile
        self._measured = compare_clocks(stamp, before, after)
        return before

    @property
    def reading(self) -> ClockReading | None:
        """Return the last reading; corrected if our own clock was checked since.

        None only before the first one; its offset is None while the device's times
        mean nothing.
        """
        reading, clock = self._measured, self._around.clock
        if self.unchecked is not None and clock.checked:
            self.unchecked = None
            if reading is not None and reading.offset_s is not None:
                offset_s = reading.offset_s - clock.shift_s
                at = reading.at + timedelta(seconds=clock.shift_s)
                reading = replace(reading, offset_s=offset_s, at=at)
                self._measured = reading
        if reading is None or self._trusted:
            return reading
        return replace(reading, offset_s=None)

    async def ran_on_since(self, earlier: ClockReading | None) -> bool:
        """Read again; return whether the clock went on evenly since an earlier reading.

        Waits until a clock that runs must have gone on, two of its own units at most.
        A reading that does not follow was misread if the next one does.
        """
        if earlier is None:
            return False
        await self._measure()
        doubted = self._measured
        if doubted and not self.moved.is_set() and not run_alike(earlier, doubted):
            await self._measure()
        while (now := self._measured) is not None and _stands(earlier, now):
            if _must_have_gone_on(earlier, now):
                return False
            unit = earlier.stamp.resolution.microseconds / 1e6
            await asyncio.sleep(min(LONGEST_LOOK, unit / self._around.clock.speed))
            await self._measure()
        return now is not None and not self.moved.is_set() and run_alike(earlier, now)

    async def look(self) -> datetime:
        """Read for a sign of life; a clock that stands still is found out, and told."""
        run = self._around.spool.run
        self._through = await run(progress.received_through, self._id)
        earlier, asked = self._measured, await self.read()
        now = self._measured
        if (
            earlier
            and now
            and _stands(earlier, now)
            and _must_have_gone_on(earlier, now)
        ):
            self._trusted = False
            await self.report("stopped")
        self._looked = self._measured
        return asked

    async def note(self, through: int) -> None:
        """Keep the last look, if all records up to `through` were made before it.

        Nothing came since it, then, and what comes later was made after it.
        """
        read, now = self._anchor, self._around.clock.now
        is_quiet = self._measured is self._looked and self._through == through
        if read is None or self.unchecked is not None or self.moved.is_set():
            return
        if is_quiet:
            run = self._around.spool.run
            await run(clock_watch.note, self._id, through, read, now)

    @property
    def _anchor(self) -> Anchor | None:
        reading = self.reading
        if reading is None or reading.offset_s is None:
            return None
        return Anchor(reading.at.timestamp(), reading.offset_s, reading.uncertainty_s)

    @property
    def measured(self) -> tuple[float, float] | None:
        """Return offset and uncertainty of the last reading, seconds, if it has any."""
        read = self._anchor
        return None if read is None else (read.offset_s, read.uncertainty_s)

    @property
    def shown(self) -> dict[str, object]:
        """Return what the last reading said, and what is wrong with the clock."""
        reading = self.reading
        if reading is None:
            return {}
        return {
            "offset_s": reading.offset_s,
            "uncertainty_s": reading.uncertainty_s,
            "trouble": self._trouble,
        }

    def distrust(self) -> None:
        """Let the times of the device mean nothing until the next reading."""
        self._trusted = False

    async def report(self, why: str, **more: object) -> None:
        """Tell the backend once a link what is wrong with the clock."""
        self._trouble = why
        if why in self._told:
            return
        self._told.add(why)
        detail: dict[str, object] = {"why": why, **more}
        log.warning("device clock wrong", extra={"device": self._id} | detail)
        await self._around.report(self._id, Kind.CLOCK_WRONG, detail)

    async def report_if_wrong(self) -> None:
        """Tell the backend once a link that the clock wants to be set."""
        reading = self.reading
        if reading is None or not reading.wants_setting:
            return
        if reading.offset_s is None:
            await self.report("not set", offset_s=None)
        else:
            why = "ahead" if reading.offset_s > 0 else "behind"
            await self.report(why, offset_s=round(reading.offset_s, 3))

    async def set(self) -> None:
        """Set the clock; the device opens a new timeline and records the change."""
        reading = self._measured
        if reading is None or not reading.stamp.is_utc:
            return
        own = reading.stamp
        units = (self._around.clock.now - EPOCH).total_seconds() * 1e6
        value = round(units / own.resolution.microseconds)
        stamp = replace(own, value=value, sync_source=SYNC_NTP, status=None)
        self.moved.set()  # whatever comes from here on may be of either timeline
        await self._client.write_gatt_char(
            CURRENT_ELAPSED_TIME, stamp.encode(), response=True
        )
        self._trouble = None
        told = (self._id, self._anchor, self._around.clock.now)
        await self._around.spool.run(clock_watch.note_setting, *told)
        log.info("clock set", extra={"device": self._id, "was": reading.offset_s})
        detail: dict[str, object] = {
            "by": "bridge",
            "old_minus_new_s": reading.offset_s,
        }
        await self._around.report(self._id, Kind.CLOCK_SET, detail)


def _stands(earlier: ClockReading, later: ClockReading) -> bool:
    return earlier.stamp.value == later.stamp.value


def _must_have_gone_on(earlier: ClockReading, later: ClockReading) -> bool:
    unit = earlier.stamp.resolution.microseconds / 1e6
    bound = TICKS_SEEN * unit + earlier.uncertainty_s + later.uncertainty_s
    return (later.at - earlier.at).total_seconds() > bound


def happened_now(
    stamp: ElapsedTime | None, reading: ClockReading | None, clock: Clock
) -> bool:
    """Return whether a record that comes live may be dated by the last reading.

    It happened a moment ago: by a clock that was set since, it would not seem so.
    """
    at = true_time(stamp, reading.offset_s) if stamp and reading else None
    if at is None or reading is None:
        return True
    age_s = (clock.now - at).total_seconds()
    return -reading.uncertainty_s - CLOCK_STEP_S < age_s < LONGEST_LOOK * clock.speed
