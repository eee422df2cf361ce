"""The bridge at work: scans, holds links, keeps its clock and its token."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

import httpx

from device_bridge import spool, unchecked
from device_bridge.backend import Backend, read_domain_clock
from device_bridge.clock import Clock, DomainClock, boot_id, real_now, since_boot
from device_bridge.errors import (
    BackendRefused,
    BackendUnavailable,
    BadSettings,
    QueueUnavailable,
)
from device_bridge.radio.keys import BondStore
from device_bridge.radio.stack import Stack, own_radio
from device_bridge.radios import Radios
from device_bridge.settings import Settings, read_token, write_token
from device_bridge.spool import Spool
from device_bridge.surroundings import Registry, SampleBuffer, Slots, Surroundings
from device_bridge.upload import Uploader

log = logging.getLogger(__name__)

DISK_PAUSE = 5.0
CLOCK_EVERY, CLOCK_RETRY = 20.0, 1.0
DEVICES_EVERY = 30.0
TOKEN_EVERY = 30.0
ROTATE_BEFORE = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Machine:
    """What the bridge runs on. `now` may be wrong, and is read once."""

    now: Callable[[], datetime] = real_now
    since_boot: Callable[[], timedelta] = since_boot
    radio: Callable[[str, BondStore], AbstractAsyncContextManager[Stack]] = own_radio
    http: httpx.AsyncBaseTransport | None = None


THIS_MACHINE = Machine()


async def run(settings: Settings, machine: Machine = THIS_MACHINE) -> None:
    """Bridge until cancelled."""
    async with AsyncExitStack() as opened:
        spooled = Spool(settings.spool / "spool.sqlite", settings.spool_octets)
        opened.callback(spooled.close)
        await _until_readable(spooled)
        bonds = BondStore(settings.spool / "bonds.sqlite")
        opened.callback(bonds.close)
        token = read_token(settings).text
        backend = Backend(settings.backend, token, machine.http)
        opened.push_async_callback(backend.close)
        clock = await _own_clock(spooled, machine)
        await _first_clock(spooled, backend, clock)
        uploader = Uploader(spooled, backend, clock)
        registry = Registry(spooled, backend)
        await registry.load()
        around = Surroundings(
            clock=clock,
            spool=spooled,
            uploader=uploader,
            registry=registry,
            backend=backend,
            slots=Slots(settings.max_links),
            samples=SampleBuffer(spooled),
        )
        log.info("bridge ready", extra={"speed": clock.speed})
        async with asyncio.TaskGroup() as group:
            group.create_task(uploader.run())
            group.create_task(around.samples.run())
            group.create_task(_keep_clock(spooled, backend, clock))
            group.create_task(_keep_registry(registry))
            group.create_task(_keep_token(settings, backend, clock))
            radios = Radios(around, settings.max_links)
            for hci in settings.hci.split():
                group.create_task(radios.keep(partial(machine.radio, hci, bonds)))
            if not settings.hci:
                group.create_task(radios.keep_system())


async def _until_readable(spooled: Spool) -> None:
    """Wait for the disk: without what was noted, nothing can be done rightly."""
    while True:
        try:
            await spooled.run(spool.count)
        except QueueUnavailable:
            await asyncio.sleep(DISK_PAUSE)
        else:
            return


async def _own_clock(spooled: Spool, machine: Machine) -> Clock:
    """Return a clock that goes on from what this machine's clock shows.

    Somebody who sets that while we run would make two errors of one.
    """
    boot, running = boot_id(), machine.since_boot
    base = machine.now() - running()
    with suppress(QueueUnavailable):
        base = await spooled.run(unchecked.base_of, boot, base)
    return Clock(read_real=lambda: base + running(), boot=boot)


async def _first_clock(spooled: Spool, backend: Backend, clock: Clock) -> None:
    """Set the domain clock: the backend's, or the one kept from the last run.

    At the very first start there is nothing to go by: wait for the backend.
    """
    while not await _ask_clock(spooled, backend, clock):
        kept = await spooled.run(spool.recall, "domain clock")
        if kept is not None:
            clock.domain = read_domain_clock(kept)
            return
        log.warning("waiting for the backend's clock")
        await asyncio.sleep(CLOCK_RETRY)


async def _ask_clock(spooled: Spool, backend: Backend, clock: Clock) -> bool:
    try:
        domain = await backend.clock(clock)
    except (BackendUnavailable, BackendRefused) as error:
        log.info("clock not read", extra={"why": str(error)})
        return False
    changed, first = domain != clock.domain, clock.follow(domain)
    with suppress(QueueUnavailable):
        if first:
            now = clock.real.timestamp()
            await spooled.run(unchecked.correct, clock.boot, clock.shift_s, now)
            await spooled.run(unchecked.move_base, clock.boot, clock.error)
        if changed:
            await spooled.run(spool.remember, "domain clock", _as_json(domain))
    if clock.error:
        behind = clock.error.total_seconds()
        log.warning("own clock is wrong", extra={"behind_s": round(behind, 1)})
    return True


def _as_json(domain: DomainClock) -> dict[str, object]:
    return {
        "anchor_real": domain.anchor_real.isoformat(),
        "anchor_domain": domain.anchor_domain.isoformat(),
        "speed": domain.speed,
    }


async def _keep_clock(spooled: Spool, backend: Backend, clock: Clock) -> None:
    while True:
        # In a demo the speed may be changed at any time; follow soon.
        steady = clock.speed == 1 and clock.checked
        await asyncio.sleep(CLOCK_EVERY if steady else CLOCK_RETRY)
        await _ask_clock(spooled, backend, clock)


async def _keep_registry(registry: Registry) -> None:
    while True:
        await asyncio.sleep(DEVICES_EVERY)
        await registry.refresh()


async def _keep_token(settings: Settings, backend: Backend, clock: Clock) -> None:
    """Use a token that was written anew; rotate one that is about to expire."""
    while True:
        try:
            await _fresh_token(settings, backend, clock)
        except (BackendUnavailable, BackendRefused, BadSettings, OSError) as error:
            log.warning("token not renewed", extra={"why": str(error)})
        await asyncio.sleep(TOKEN_EVERY)


async def _fresh_token(settings: Settings, backend: Backend, clock: Clock) -> None:
    token = read_token(settings)
    backend.use_token(token.text)
    path, expires = settings.token_file, token.expires_at
    if path is None or expires is None or not clock.checked:
        return
    if expires - clock.real < ROTATE_BEFORE:
        write_token(path, await backend.rotate())
        log.info("token rotated")
