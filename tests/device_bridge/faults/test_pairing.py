"""Which bonds the bridge makes."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from bumble.pairing import PairingConfig, PairingDelegate

from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.faults.strikes import Case
from tests.device_bridge.faults.world import SERIAL, World


def test_a_box_that_knows_legacy_pairing_alone_is_not_read(tmp_path: Path) -> None:
    def told(loop: StillLoop) -> Coroutine[Any, Any, None]:
        async def telling() -> None:
            world = World(loop, Case(()), tmp_path)
            delegate = PairingDelegate(PairingDelegate.NO_OUTPUT_NO_INPUT)
            legacy = PairingConfig(
                sc=False, mitm=False, bonding=True, delegate=delegate
            )
            device: Any = world.box.gatt.device
            device.pairing_config_factory = _always(legacy)
            tasks = [
                asyncio.ensure_future(work)
                for work in (world.actor.run(), world.gateway.run())
            ]
            await asyncio.sleep(60)
            assert world.backend.records == {}
            assert world.memory.bounds(SERIAL)[2] == 8  # five and three since
            for task in reversed(tasks):
                task.cancel()
            await asyncio.wait(tasks)
            world.memory.close()

        return telling()

    at_once(told)


def _always(config: PairingConfig) -> Callable[[object], PairingConfig]:
    return lambda _: config
