"""The bridge on a real Bluetooth link, before a backend on a real socket."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

from tests.device_bridge.stories import (
    a_bridge,
    a_device,
    a_plan,
    an_event,
    devices_and_backend,
    now,
    past,
    until,
)


def test_what_a_box_has_stored_arrives_once_and_may_then_be_deleted(
    tmp_path: Path,
) -> None:
    plan = a_plan([a_device("B1", past(300, now()))])

    async def story() -> None:
        async with devices_and_backend(plan, tmp_path) as world:
            async with a_bridge(world):
                await until(lambda: len(world.backend.records) == 300)
                await until(lambda: world.memory.bounds("B1")[2] == 0)
            assert world.backend.sequences("B1") == list(range(1, 301))
            assert world.backend.known == 0
            dose = world.backend.doses("B1")[0]
            planned = datetime.fromisoformat(plan["devices"][0]["events"][0]["at"])
            dated = datetime.fromisoformat(dose["occurred_at"])
            assert dose["evidence"] == "container_opened"
            assert abs(dated - planned) < timedelta(seconds=1)
            assert dose["claimed_live"] is False

    asyncio.run(story())


def test_a_new_dose_reaches_the_backend_within_a_second(tmp_path: Path) -> None:
    at = now() + timedelta(seconds=3)
    plan = a_plan([a_device("B1", [*past(5, now()), an_event(at)])])

    async def story() -> None:
        async with devices_and_backend(plan, tmp_path) as world, a_bridge(world):
            await until(lambda: len(world.backend.records) == 6)
        arrived, _, dose = world.backend.arrivals[-1]
        assert dose["claimed_live"] is True
        assert arrived - at < timedelta(seconds=1)

    asyncio.run(story())
