"""What a link to a peripheral needs from the rest of the bridge."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field

from device_bridge import samples, spool
from device_bridge.backend import Backend, RegisteredDevice, registered
from device_bridge.clock import Clock
from device_bridge.errors import (
    BackendRefused,
    BackendUnavailable,
    MalformedRecord,
    QueueUnavailable,
)
from device_bridge.events import Kind, plain_event
from device_bridge.gatt.battery import decode_battery
from device_bridge.spool import Spool
from device_bridge.status import link_key
from device_bridge.upload import Uploader

log = logging.getLogger(__name__)

REFRESH = 30.0  # seconds between looks at the backend's list of devices
SOON = 3.0  # ... when somebody asks for a device that is not on it
BETWEEN_SYNCS = 0.05  # seconds; an SD card must not be synced for every sample
MOST_SAMPLES = 100_000  # kept in memory while the disk takes nothing
FULL_PAUSE = 1.0  # seconds
KEY = "devices"
BEAT_DOMAIN_S = 120.0  # how old, in domain time, the last sign of life may grow
SHORTEST_BEAT, LONGEST_BEAT = 1.0, 15.0  # ... within these real seconds


def _address_key(address: str) -> str:
    return f"address {address}"


def seconds_between_beats(speed: float) -> float:
    """Return real seconds from one sign of life of a linked device to the next."""
    return min(LONGEST_BEAT, max(SHORTEST_BEAT, BEAT_DOMAIN_S / speed))


class Registry:
    """The devices this bridge may read, as the backend said last."""

    def __init__(self, spool_: Spool, backend: Backend) -> None:
        self._spool = spool_
        self._backend = backend
        self._devices: list[RegisteredDevice] = []
        self._refreshed = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    async def load(self) -> None:
        """Take the list kept from the last run."""
        kept = await self._spool.run(spool.recall, KEY)
        self._devices = registered(kept or [])

    async def find(
        self, maker: str, model: str, serial: str
    ) -> RegisteredDevice | None:
        """Return the registered device, asking the backend if it is not known yet."""
        wanted = (maker, model, serial)
        found = self._look_up(wanted)
        await self.refresh(SOON if found is None else REFRESH)
        return self._look_up(wanted)

    async def refresh(self, older_than: float = REFRESH) -> None:
        """Fetch the list if it is old. An unreachable backend leaves it as it is."""
        async with self._one_at_a_time:
            now = asyncio.get_running_loop().time()
            if now - self._refreshed < older_than:
                return
            try:
                listed = await self._backend.devices()
            except (BackendUnavailable, BackendRefused) as error:
                log.warning("device list not refreshed", extra={"why": str(error)})
                return
            self._refreshed = now
            self._devices = registered(listed)
            with suppress(QueueUnavailable):  # it is asked for again
                await self._spool.run(spool.remember, KEY, listed)

    def _look_up(self, wanted: tuple[str, str, str]) -> RegisteredDevice | None:
        named = ((d.maker, d.model, d.serial) == wanted for d in self._devices)
        return next(
            (d for d, same in zip(self._devices, named, strict=True) if same), None
        )


class SampleBuffer:
    """Samples of all wearables, synced at once, at most twenty times a second."""

    def __init__(self, spool_: Spool) -> None:
        self._spool = spool_
        self._taken: list[samples.Sample] = []
        self._came = asyncio.Event()

    def add(self, sample: samples.Sample) -> None:
        """Keep a sample; it is on disk within 50 ms and the time of one sync."""
        self._taken.append(sample)
        self._came.set()

    async def run(self) -> None:
        """Write until cancelled, and what is left then."""
        try:
            while True:
                await self._came.wait()
                self._came.clear()
                await self._flush()
                await asyncio.sleep(BETWEEN_SYNCS)
        finally:
            await self._flush()

    async def _flush(self) -> None:
        taken, self._taken = self._taken, []
        if not taken:
            return
        try:
            # Once begun it is done, also when we are stopped: neither lost nor doubled.
            await asyncio.shield(self._spool.keep(samples.add_all, taken))
        except QueueUnavailable:
            # Only the wearable had them, and it has forgotten them.
            self._taken = (taken + self._taken)[:MOST_SAMPLES]
            await asyncio.sleep(FULL_PAUSE)
            self._came.set()


class Slots:
    """Links a controller can hold, `free` of them now; `contested` while one is
    waited for.
    """

    def __init__(self, count: int) -> None:
        self.free = count
        self._free = asyncio.Semaphore(count)
        self._waiting = 0

    @property
    def contested(self) -> bool:
        return self._waiting > 0

    async def __aenter__(self) -> None:
        self._waiting += 1
        try:
            await self._free.acquire()
            self.free -= 1
        finally:
            self._waiting -= 1

    async def __aexit__(self, *_: object) -> None:
        self.free += 1
        self._free.release()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One of each, shared by all links; slots are those of one radio."""

    clock: Clock
    spool: Spool
    uploader: Uploader
    registry: Registry
    backend: Backend
    slots: Slots
    samples: SampleBuffer
    signals: dict[str, int] = field(default_factory=dict[str, int])
    at: dict[str, str] = field(default_factory=dict[str, str])

    async def note_address(self, device_id: str, address: str) -> None:
        """Note where a device was found: one that lost its keys says no more than that.

        `at` holds what was noted since the start.
        """
        if self.at.get(address) != device_id:
            self.at[address] = device_id
            with suppress(QueueUnavailable):
                await self.spool.run(spool.remember, _address_key(address), device_id)

    async def device_at(self, address: str) -> str | None:
        """Return the id of the device that was last found at an address."""
        with suppress(QueueUnavailable):
            return await self.spool.run(spool.recall, _address_key(address))
        return None

    async def note_link(
        self, device_id: str, address: str, clock: dict[str, object]
    ) -> None:
        """Note a sign of life where `status` finds it; `signals` are by address."""
        link = {
            "at": self.clock.real.isoformat(),
            "signal_dbm": self.signals.get(address),
            "clock": clock,
        }
        await self.spool.run(spool.remember, link_key(device_id), link)

    async def note_battery(self, device_id: str, value: bytes) -> None:
        """Report a charge (a value of 2A19) that is not the one reported last."""
        try:
            percent = decode_battery(value)
        except MalformedRecord as error:
            log.warning("battery unreadable", extra={"why": error.why})
            return
        key = f"battery {device_id}"
        if percent == await self.spool.run(spool.recall, key):
            return
        await self.report(device_id, Kind.BATTERY, {"percent": percent})
        await self.spool.run(spool.remember, key, percent)

    async def report(
        self, device_id: str, kind: Kind, detail: dict[str, object]
    ) -> None:
        """Spool something the bridge noticed about a device."""
        item = plain_event(device_id, kind, self.clock.now, detail)
        await self.spool.run(spool.keep_event, item, self.clock.unchecked)
        self.uploader.wake()
