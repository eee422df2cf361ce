"""Virtual devices in the air, the real bridge, the real web application on a socket.

Time is a demo's: it begins where the story wants and runs fast.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import (
    DomainClock,
    domain_now,
    forget_clock,
    real_now,
    set_clock,
    start_demo,
)
from backend.database import transaction
from backend.people.bridges import new_code, pair
from device_bridge import bridge
from device_bridge.settings import Settings
from device_bridge.virtual.air import Air, open_door
from device_bridge.virtual.memory import Memory
from device_bridge.virtual.plan import read_plan
from device_bridge.virtual.stage import play
from tests.device_bridge.stories import a_device, an_event
from tests.serving import serving
from tests.stories.clinic import Story

SPEED = 60.0
WITHIN = 20.0  # real seconds for anything that a story waits for


@dataclass
class Radio:
    """What is in the air, and where a bridge finds the rest."""

    story: Story
    folder: Path
    memory: Memory
    port: int
    address: str
    token: str
    bridges: dict[str, "asyncio.Task[None]"] = field(
        default_factory=dict[str, "asyncio.Task[None]"]
    )

    def start_bridge(self, name: str = "ward 3") -> None:
        """Let a bridge work, with the spool that one of that name has left."""
        settings = Settings(
            backend=self.address,
            token=self.token,
            token_file=None,
            spool=self.folder / name,
            hci=f"tcp-client:127.0.0.1:{self.port}",
            max_links=100,
        )
        self.bridges[name] = asyncio.create_task(bridge.run(settings))

    async def stop_bridges(self) -> None:
        """Take all bridges away."""
        tasks = list(self.bridges.values())
        self.bridges.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass, and the worker work, until something has come about."""
        async with asyncio.timeout(WITHIN):
            while True:
                for task in self.bridges.values():
                    if task.done():
                        task.result()
                self.story.now = domain_now()
                await asyncio.to_thread(self.story.work)
                if condition():
                    return
                await asyncio.sleep(0.05)


def demo_time(at: datetime, *, speed: float = SPEED) -> DomainClock:
    """Let the domain clock show `at` now, and run fast from here on."""
    with transaction() as session:
        real = real_now()
        start_demo(session, speed=speed, real=real)
        clock = set_clock(session, DomainClock(real, at, speed))
    forget_clock()
    return clock


def a_plan(clock: DomainClock, *devices: dict[str, Any]) -> dict[str, Any]:
    return {
        "clock": {
            "anchor_real": clock.anchor_real.isoformat(),
            "anchor_domain": clock.anchor_domain.isoformat(),
            "speed": clock.speed,
        },
        "devices": list(devices),
    }


def a_virtual_box(
    serial: str,
    opened: list[datetime],
    **rest: Any,  # noqa: ANN401
) -> dict[str, Any]:
    return a_device(
        serial, [an_event(at, compartment=0) for at in opened], model="Box 2", **rest
    )


@asynccontextmanager
async def on_air(
    story: Story, plan: dict[str, Any], folder: Path
) -> AsyncGenerator[Radio]:
    """Give a radio on which the devices of the plan play, and no bridge yet."""
    async with AsyncExitStack() as stack:
        memory = Memory(folder / "devices.sqlite")
        stack.callback(memory.close)
        air = Air()
        door = await open_door(air, "127.0.0.1", 0)
        stack.push_async_callback(door.wait_closed)
        stack.callback(door.close)
        playing = asyncio.create_task(play(read_plan(plan), memory, air))
        stack.push_async_callback(asyncio.wait, (playing,))
        stack.callback(playing.cancel)
        client = stack.enter_context(serving(create_app()))
        port = door.sockets[0].getsockname()[1]
        radio = Radio(story, folder, memory, port, str(client.base_url), a_token(story))
        stack.push_async_callback(radio.stop_bridges)
        yield radio


def a_token(story: Story) -> str:
    with transaction() as session:
        clinic, real = story.clinic.clinic_id, real_now()
        code = new_code(session, clinic, kind="gateway", actor=SYSTEM, real=real)
        return pair(session, code, "ward 3", real=real).token
