"""Plans, and a bridge with virtual devices and a backend around it, in one process."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from device_bridge import bridge, clock
from device_bridge.clock import DomainClock
from device_bridge.settings import Settings
from device_bridge.virtual.air import Air, open_door
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.plan import read_plan
from device_bridge.virtual.stage import play
from tests.device_bridge.fake_backend import TOKEN, FakeBackend, inline, serving
from tests.device_bridge.faults.still_time import still

Json = dict[str, Any]


def now() -> datetime:
    """Return the time, in a story that is told at once the story's own."""
    loop = still()
    return loop.now if loop else datetime.now(UTC)


def since_boot() -> timedelta:
    loop = still()
    return timedelta(seconds=loop.time()) if loop else clock.since_boot()


def an_event(at: datetime, what: str = "opened", **rest: Any) -> Json:  # noqa: ANN401
    given = {"amount": None, "unit": None, "compartment": None} | rest
    return {"at": at.isoformat(), "what": what} | given


def a_device(serial: str, events: list[Json], kind: str = "box", **rest: Any) -> Json:  # noqa: ANN401
    device: Json = {
        "kind": kind,
        "serial": serial,
        "maker": "Acme",
        "model": f"{kind} 1",
        "clock_offset_s": 0,
        "out_of_range": [],
        "events": events,
        "heart_rate": None,
    }
    if kind == "wearable":
        device["heart_rate"] = {"base": 62, "sleep": 54, "noise": 3, "steps": []}
    return device | rest


def a_plan(
    devices: list[Json], *, speed: float = 1.0, start: datetime | None = None
) -> Json:
    anchor = (start or now()).isoformat()
    clock = {"anchor_real": anchor, "anchor_domain": anchor, "speed": speed}
    return {"clock": clock, "devices": devices}


def past(count: int, before: datetime, what: str = "opened", **rest: Any) -> list[Json]:  # noqa: ANN401
    step = timedelta(minutes=30)
    return [an_event(before - step * (count - i), what, **rest) for i in range(count)]


def backend_for(plan: Json) -> FakeBackend:
    anchor = plan["clock"]
    domain = DomainClock(
        datetime.fromisoformat(anchor["anchor_real"]),
        datetime.fromisoformat(anchor["anchor_domain"]),
        anchor["speed"],
    )
    serials = {d["serial"]: (d["maker"], d["model"]) for d in plan["devices"]}
    return FakeBackend(serials, domain, read_now=now)


def settings_for(
    address: str, port: int, spool: Path, *, max_links: int = 100
) -> Settings:
    return Settings(
        backend=address,
        token=TOKEN,
        token_file=None,
        spool=spool,
        hci=f"tcp-client:127.0.0.1:{port}",
        max_links=max_links,
    )


async def until(condition: Callable[[], object], within: float = 20.0) -> None:
    """Return when the condition holds; fails after `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():
            await asyncio.sleep(0.01)


@dataclass
class World:
    backend: FakeBackend
    settings: Settings
    memory: Memory
    air: Air
    said: list[str]
    over: httpx.AsyncBaseTransport | None = None

    def refused(self, what: str) -> bool:
        return any(what in line for line in self.said)


class Listener(logging.Handler):
    """Keeps what the bridge logged about links."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(str(vars(record).get("why", "")))


@contextmanager
def reached(
    backend: FakeBackend,
) -> Generator[tuple[str, httpx.AsyncBaseTransport | None]]:
    """Yield where the backend is, and the way there if no socket leads to it."""
    if still():
        yield "http://backend", inline(backend)
        return
    with serving(backend) as address:
        yield address, None


@asynccontextmanager
async def devices_and_backend(
    plan: Json, folder: Path, *, max_links: int = 100
) -> AsyncGenerator[World]:
    """Yield a world in which the devices of a plan play, and no bridge yet."""
    backend = backend_for(plan)
    memory = Memory(folder / "devices.sqlite")
    air = Air()
    door = await open_door(air, "127.0.0.1", 0)
    port = door.sockets[0].getsockname()[1]
    playing = asyncio.create_task(play(read_plan(plan), memory, air, now))
    with reached(backend) as (address, over):
        settings = settings_for(address, port, folder / "spool", max_links=max_links)
        listener = Listener()
        log = logging.getLogger("device_bridge.links")
        log.addHandler(listener)
        try:
            yield World(backend, settings, memory, air, listener.said, over)
        finally:
            log.removeHandler(listener)
            playing.cancel()
            await asyncio.wait((playing,))
            door.close()
            await door.wait_closed()
            memory.close()
    assert backend.breaches == []


@asynccontextmanager
async def a_bridge(
    world: World, machine_time: Callable[[], datetime] = now
) -> AsyncGenerator[None]:
    """Run the bridge while inside."""
    running = asyncio.create_task(
        bridge.run(
            world.settings,
            bridge.Machine(machine_time, since_boot, http=world.over),
        )
    )
    try:
        yield
    finally:
        running.cancel()
        await asyncio.wait((running,))
        if not running.cancelled():
            running.result()
