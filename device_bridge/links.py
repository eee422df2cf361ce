"""A task for each peripheral in range, and when to try those again that failed."""

import asyncio
import logging
from contextlib import nullcontext
from random import Random

from bleak.backends.client import BaseBleakClient
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from device_bridge.errors import BridgeError, LostBond, UnknownPeripheral
from device_bridge.peripheral import serve
from device_bridge.profiles import Profile, profile_for
from device_bridge.surroundings import Surroundings

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 30.0
STRANGER_PAUSE, BOND_PAUSE = 30.0, 300.0
HELD_LONG_ENOUGH = 5.0  # a link of that many seconds was a success
JITTER = Random()  # noqa: S311  spreads retries, protects nothing


class Links:
    """All links of one radio; `client` is bleak's backend for it."""

    def __init__(
        self, around: Surroundings, client: type[BaseBleakClient] | None
    ) -> None:
        self._around = around
        self._client = client
        # An adapter makes one connection at a time. BlueZ fails the second, and says
        # only when services are known that it is free; our own radios see to it.
        self._connecting = asyncio.Lock() if client is None else nullcontext()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._failures: dict[str, int] = {}
        self._not_before: dict[str, float] = {}

    def heard(self, found: BLEDevice, advertised: AdvertisementData) -> None:
        """Start a link to an advertiser that has none, unless it failed just now."""
        address = found.address
        loop = asyncio.get_running_loop()
        linked = address in self._around.signals  # over this radio or another
        if linked or loop.time() < self._not_before.get(address, 0.0):
            return
        profile = profile_for(advertised.service_uuids)
        if profile is not None:
            self._around.signals[address] = advertised.rssi
            task = loop.create_task(self._hold(found, profile))
            self._tasks[address] = task
            task.add_done_callback(lambda done: self._ended(address, done))

    async def close(self) -> None:
        """End all links."""
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
                began = loop.time()
                await serve(
                    found, profile, self._around, self._client, self._connecting
                )
        except BridgeError as error:
            pause = self._pause(found.address, error, loop.time() - began)
            self._not_before[found.address] = loop.time() + pause
            extra = {"why": str(error), "pause_s": round(pause, 1)}
            for_people = isinstance(error, LostBond)
            level = logging.ERROR if for_people else logging.INFO
            log.log(level, "link ended", extra=extra)

    def _ended(self, address: str, done: asyncio.Task[None]) -> None:
        self._tasks.pop(address, None)
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
