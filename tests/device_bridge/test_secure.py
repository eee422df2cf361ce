"""Legacy pairing is refused by the bridge's own radio."""

import asyncio
from pathlib import Path

from bumble import smp

from device_bridge.radio.secure import without_secure_connections
from device_bridge.virtual.plan import read_plan
from device_bridge.virtual.stage import Actor, performer
from tests.device_bridge.stories import (
    a_bridge,
    a_device,
    a_plan,
    backend_for,
    devices_and_backend,
    now,
    past,
    until,
)


def test_a_box_that_knows_legacy_pairing_alone_is_left_unpaired(tmp_path: Path) -> None:
    plan = a_plan([a_device("B1", past(3, now()))])

    async def story() -> None:
        async with devices_and_backend(plan | {"devices": []}, tmp_path) as world:
            world.backend.serials |= backend_for(plan).serials
            everything = read_plan(plan)
            made = performer(everything.devices[0], everything, world.memory, world.air)
            made.gatt.device.pairing_config_factory = without_secure_connections
            made.gatt.device.smp_session_proxy = smp.Session
            made.recorder.play(made.recorder.now)
            playing = asyncio.create_task(Actor(made).run())
            async with a_bridge(world):
                await until(lambda: world.refused("no LE Secure Connections"))
            playing.cancel()
            await asyncio.wait((playing,))
            assert not world.backend.records
            assert world.memory.bonds("B1") == []

    asyncio.run(story())
