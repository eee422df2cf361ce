"""A task for each peripheral in range, over which radio, and when to try again."""

import asyncio
import logging
from random import Random

from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from device_bridge.errors import (
    BridgeError,
    LostBond,
    LostPeripheral,
    UnknownPeripheral,
)
from device_bridge.peripheral import CONNECT_WITHIN, serve
from device_bridge.profiles import Profile, profile_for
from device_bridge.radio.stack import Stack
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
STRANGER_PAUSE, BOND_PAUSE = 30.0, 300.0
HELD_LONG_ENOUGH = 5.0  # a link of that many seconds was a success
HEARD_LATELY = 10.0  # seconds; boxes advertise every one or two
MOST_HEARD = 500
HANGS_AFTER = 12  # failures in a row, while nothing else is linked: it may be the radio
JITTER = Random()  # noqa: S311  spreads retries, protects nothing


class Links:
    """All links of one radio. `together` are those of all radios, this one among them.

    A device belongs to the radio that has keys of it and a free slot. It waits for a
    slot only where none that hears it has one; whichever is free first takes it.
    """

    def __init__(
        self, around: Surroundings, stack: Stack, together: "list[Links]"
    ) -> None:
        self._around = around
        self._stack = stack
        self._together = together
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._waiting: set[str] = set()
        self._heard: dict[str, tuple[float, bool]] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}
        self._in_vain = 0
        self.hangs = asyncio.Event()
        together.append(self)

    def heard(self, found: BLEDevice, advertised: AdvertisementData) -> None:
        """Start a link to an advertiser that has none, unless it failed just now."""
        address = found.address
        profile = profile_for(advertised.service_uuids)
        if profile is None:
            return
        self._note(address, advertised)
        better = max(self._together, key=lambda links: links.claim(address))
        if better.claim(address) > self.claim(address):
            return
        if address in self._around.signals:  # over this radio or another
            for links in self._together:
                if links.claim(address) < self.claim(address):
                    links.leave(address)
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._not_before.get(address, 0.0):
            self._around.signals[address] = advertised.rssi
            self._waiting.add(address)
            task = loop.create_task(self._hold(found, profile))
            self._tasks[address] = task
            task.add_done_callback(lambda done: self._ended(address, done))

    def claim(self, address: str) -> tuple[bool, bool, bool]:
        """Return how good this radio is for a device, greater is better."""
        at, bonded = self._heard.get(address, (float("-inf"), False))
        lately = at > asyncio.get_running_loop().time() - HEARD_LATELY
        return lately, bonded, self._around.slots.free > 0

    def _note(self, address: str, advertised: AdvertisementData) -> None:
        now = asyncio.get_running_loop().time()
        if len(self._heard) > MOST_HEARD:  # some change their address all the time
            self._forget(now)
        bonded = self._stack.knows(advertised)
        if self._heard.get(address, (now, False))[1] and not bonded:
            self._not_before.pop(address, None)  # a person wants it to be paired anew
        self._heard[address] = now, bonded

    def leave(self, address: str) -> None:
        """Let another radio have a device that waits here for a slot."""
        if address in self._waiting:
            self._tasks[address].cancel()

    async def close(self) -> None:
        """End all links."""
        self._together.remove(self)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _hold(self, found: BLEDevice, profile: Profile) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with self._around.slots:
                self._waiting.discard(found.address)
                began = loop.time()
                await serve(found, profile, self._around, self._stack)
        except BridgeError as error:
            held = loop.time() - began
            pause = self._pause(found.address, error, held)
            self._not_before[found.address] = loop.time() + pause
            extra = {"why": str(error), "pause_s": round(pause, 1)}
            for_people = isinstance(error, LostBond)
            level = logging.ERROR if for_people else logging.INFO
            log.log(level, "link ended", extra=extra)
            brief = held < HELD_LONG_ENOUGH + CONNECT_WITHIN
            self._count(failed=brief and isinstance(error, LostPeripheral))

    def _forget(self, now: float) -> None:
        """Drop what no longer matters of those who were not heard lately."""
        for address, (at, _) in list(self._heard.items()):
            if at < now - HEARD_LATELY and self._not_before.get(address, now) <= now:
                for notes in (self._heard, self._failures, self._not_before):
                    notes.pop(address, None)

    def _count(self, *, failed: bool) -> None:
        self._in_vain = self._in_vain + 1 if failed else 0
        if self._in_vain >= HANGS_AFTER and len(self._tasks) == 1:
            self.hangs.set()

    def _ended(self, address: str, done: asyncio.Task[None]) -> None:
        self._tasks.pop(address, None)
        self._waiting.discard(address)
        self._around.signals.pop(address, None)
        error = None if done.cancelled() else done.exception()
        if error is not None:
            # A fault of ours: one device must not take the others down with it.
            later = asyncio.get_running_loop().time() + LONGEST_PAUSE
            self._not_before[address] = later
            log.error("link failed", extra={"address": address}, exc_info=error)

    def _pause(self, address: str, error: BridgeError, held: float) -> float:
        if isinstance(error, UnknownPeripheral):
            return STRANGER_PAUSE
        if isinstance(error, LostBond):
            return BOND_PAUSE
        failures = 0 if held > HELD_LONG_ENOUGH else self._failures.get(address, 0)
        self._failures[address] = failures + 1
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(failures, 20))
        return pause * JITTER.uniform(0.5, 1.0)
