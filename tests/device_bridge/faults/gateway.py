"""The bridge under test: its radio, its disk, its way to the backend; and its death."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from inspect import getclosurevars, isfunction
from pathlib import Path
from typing import Any, cast

import httpx
from bumble.transport.common import Transport

from device_bridge import bridge, spool
from device_bridge.profiles.medication_monitor_ghs import canonical
from device_bridge.radio.adapter import power_on
from device_bridge.radio.client import client_on
from device_bridge.radio.keys import BondStore
from device_bridge.radio.scanner import scanner_on
from device_bridge.radio.stack import Stack
from device_bridge.settings import Settings
from device_bridge.virtual.air import VirtualController
from tests.device_bridge.fake_backend import TOKEN, FakeBackend
from tests.device_bridge.faults.air import STALLED_FOR, FaultyAir
from tests.device_bridge.faults.steps import Step
from tests.device_bridge.faults.still_time import StillLoop
from tests.device_bridge.faults.strikes import Fault

BEGINNING = datetime(2030, 1, 1, 12, tzinfo=UTC)
RESTARTED_AFTER = 2.0  # seconds, as a service manager does
PATIENCE = 30.0
STEPS_OF_PATHS = {
    "/v1/dose-events": Step.UPLOAD,
    "/v1/device-events": Step.TELL,
}
Strike = Callable[[Step], Fault | None]


class Killed(BaseException):
    """What a dead process does: nothing."""


class Plug(VirtualController):
    """A controller and its transport in one, to be pulled out."""

    def __init__(self, air: FaultyAir) -> None:
        super().__init__("adapter", link=air)  # pyright: ignore[reportUnknownMemberType]
        self.terminated = asyncio.get_running_loop().create_future()

    def close(self) -> None:
        if not self.terminated.done():
            self.terminated.set_result(None)
            self.unplug()


class Gateway:
    """A machine on which bridges start, are killed, and start again."""

    def __init__(
        self, loop: StillLoop, air: FaultyAir, backend: FakeBackend, folder: Path
    ) -> None:
        self._loop, self._air, self._backend = loop, air, backend
        self.strike: Strike = lambda _: None
        self.on_answer: Callable[[str, dict[str, Any]], None] = lambda _, __: None
        self._folder = folder
        self._alive = self._killed = False
        self._plug: Plug | None = None
        self._running: asyncio.Task[None] | None = None
        self._disk_bad: tuple[float, Fault] = (0.0, Fault.DISK_FULL)
        self._away_until = 0.0
        self.deaths = 0
        loop.disk = self._disk

    @property
    def now(self) -> datetime:
        return BEGINNING + timedelta(seconds=self._loop.time())

    @property
    def queue(self) -> Path:
        return self._folder / "spool.sqlite"

    def queued(self) -> set[bytes]:
        """Return the octets of the records that are safe on disk."""
        if not self.queue.exists():
            return set()
        with sqlite3.connect(f"file:{self.queue}?mode=ro", uri=True) as db:
            rows = db.execute("SELECT message FROM record").fetchall()
        db.close()
        return {canonical(row[0]) for row in rows}

    def failed(self) -> BaseException | None:
        """Return why the bridge ended by itself, if it did."""
        task = self._running
        if task is None or not task.done() or task.cancelled():
            return None
        return task.exception()

    async def run(self) -> None:
        """Keep a bridge running until cancelled."""
        while True:
            self._alive, self._killed = True, False
            settings = Settings(
                backend="http://backend",
                token=TOKEN,
                token_file=None,
                spool=self._folder,
                hci="inline",
                max_links=4,
            )
            machine = bridge.Machine(
                now=lambda: self.now,
                since_boot=lambda: timedelta(seconds=self._loop.time()),
                radio=self._radio,
                http=httpx.MockTransport(self._answer),
            )
            self._running = asyncio.ensure_future(bridge.run(settings, machine))
            try:
                await asyncio.wait((self._running,))
            finally:
                self._end()
                await asyncio.wait((self._running,))
            if not self._killed:
                return
            await asyncio.sleep(RESTARTED_AFTER)

    def kill(self) -> None:
        """End the bridge as SIGKILL does: from here on it reaches nothing."""
        self.deaths += 1
        self._alive, self._killed = False, True
        # What is under way now is its last word; then nobody is there.
        self._loop.call_soon(self._end)

    def _end(self) -> None:
        self._alive = False
        if self._plug is not None:
            self._plug.close()
        if self._running is not None:
            self._running.cancel()

    def disk_fails(self, how: Fault, seconds: float) -> None:
        """Let every write fail for so long."""
        self._disk_bad = self._loop.time() + seconds, how

    def backend_goes(self, seconds: float) -> None:
        """Let nobody reach the backend for so long."""
        self._away_until = self._loop.time() + seconds

    @asynccontextmanager
    async def _radio(self, _hci: str, bonds: BondStore) -> AsyncGenerator[Stack]:
        self._plug = plug = Plug(self._air)
        transport = Transport(cast("Any", plug), cast("Any", plug))
        radio = await power_on("inline", transport, bonds)
        try:
            yield Stack(client_on(radio), scanner_on(radio), "passive", radio.lost)
        finally:
            await radio.close()

    def _disk(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401  what work gives
        if not self._alive:
            raise Killed
        until, how = self._disk_bad
        if self._loop.time() < until:
            raise sqlite3.OperationalError(
                "database or disk is full"
                if how is Fault.DISK_FULL
                else "attempt to write a readonly database"
            )
        fault = self.strike(Step.SPOOL) if _appends(work) else None
        if fault is Fault.KILLED:
            if self.deaths % 2:
                work()  # killed just behind the commit, or just before
            raise Killed
        if fault in (Fault.DISK_FULL, Fault.READ_ONLY):
            return self._disk(work)
        if fault is Fault.STALL:
            self._loop.jump(STALLED_FOR)
        return work()

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        if not self._alive:
            raise httpx.ConnectError("dead")
        path = request.url.path
        step = STEPS_OF_PATHS.get(path)
        fault = self.strike(step) if step else None
        if self._loop.time() < self._away_until:
            raise httpx.ConnectError("nobody is there")
        if fault is Fault.DROP:
            raise httpx.ReadError("lost on its way")
        answer = self._ask(path, request)
        if fault is Fault.KILLED:
            raise Killed  # the backend has committed, and nobody took the answer
        if fault is Fault.DUPLICATE:
            return self._ask(path, request)
        if fault is Fault.STALL:
            await asyncio.sleep(PATIENCE)
            raise httpx.ReadTimeout("no answer in time")
        if fault is Fault.CORRUPT:
            return httpx.Response(200, content=answer.content[:-2])
        return answer

    def _ask(self, path: str, request: httpx.Request) -> httpx.Response:
        body: dict[str, Any] = json.loads(request.content or b"{}")
        status, answer = self._backend.answer(path, body)
        self.on_answer(path, body)
        return httpx.Response(status, json=answer)


def _appends(work: Callable[..., Any]) -> bool:
    """Return whether this transaction keeps records."""
    inside: Callable[..., Any] | None = work
    while inside is not None and inside is not spool.append:
        if not isfunction(inside):
            return False
        named = getclosurevars(inside).nonlocals
        inside = named.get("func") or named.get("work")
    return inside is not None
