"""All radios of the bridge, each kept on, scanned by, and opened anew when it fails."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial

from bleak.exc import BleakError

from device_bridge.errors import LostRadio
from device_bridge.links import Links
from device_bridge.radio.bluez import system_bluetooth
from device_bridge.radio.stack import Stack
from device_bridge.surroundings import Slots, Surroundings

log = logging.getLogger(__name__)

PAUSE = 1.0
Opening = Callable[[], AbstractAsyncContextManager[Stack]]


class Radios:
    """Radios with so many slots each; their links know of one another."""

    def __init__(self, around: Surroundings, max_links: int) -> None:
        self._around = around
        self._max_links = max_links
        self._together: list[Links] = []

    async def keep(self, opening: Opening) -> None:
        """Hold links over one radio until cancelled."""
        while True:
            try:
                async with opening() as stack:
                    log.info("radio on")
                    await self._scan(stack)
                log.warning("radio off")
            except (LostRadio, BleakError) as error:
                log.warning("radio off", extra={"why": str(error)})
            await asyncio.sleep(PAUSE)

    async def keep_system(self) -> None:
        """Hold links over all adapters that BlueZ has, and those plugged in later."""
        while True:
            try:
                await self._keep_adapters()
            except* LostRadio as lost:
                log.warning("radio off", extra={"why": str(lost.exceptions[0])})
            await asyncio.sleep(PAUSE)

    async def _keep_adapters(self) -> None:
        kept: set[str] = set()

        def there_is_another() -> bool:
            return not system.seen <= kept

        async with system_bluetooth() as system, asyncio.TaskGroup() as group:
            while True:
                for name in system.seen - kept:
                    group.create_task(self.keep(partial(system.radio, name)))
                kept |= system.seen
                async with system.changed:
                    await system.changed.wait_for(there_is_another)

    async def _scan(self, stack: Stack) -> None:
        around = replace(self._around, slots=Slots(self._max_links))
        links = Links(around, stack, self._together)
        try:
            async with stack.listen(links.heard):
                await _either(stack.lost, links.hangs)
            if not stack.lost.is_set():
                log.warning("radio hangs")
                await stack.restart()
        finally:
            await links.close()


async def _either(one: asyncio.Event, other: asyncio.Event) -> None:
    """Return as soon as one of them is set."""
    waiting = [asyncio.create_task(event.wait()) for event in (one, other)]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
