"""The bridge on a real Bluetooth link, before a backend on a real socket."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

from device_bridge.radio.keys import BondStore
from tests.device_bridge.fake_backend import TOKEN
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


def test_a_token_is_rotated_by_the_backends_clock_not_by_the_machines(
    tmp_path: Path,
) -> None:
    path = tmp_path / "token"
    plan = a_plan([a_device("B1", past(3, now()))])

    async def story() -> None:
        async with devices_and_backend(plan, tmp_path) as world:
            rotating = replace(world.settings, token_file=path)
            aged = replace(world, settings=rotating)
            async with a_bridge(aged, lambda: now() - timedelta(days=30)):
                await until(lambda: world.backend.rotations and world.backend.heard)
        assert json.loads(path.read_text())["expires_at"].startswith("2999")

    expires = (now() + timedelta(days=1)).isoformat()
    path.write_text(json.dumps({"token": TOKEN, "expires_at": expires}))
    asyncio.run(story())


def test_keys_and_records_are_for_the_owner_alone(tmp_path: Path) -> None:
    plan = a_plan([a_device("B1", past(3, now()))])

    async def story() -> None:
        async with devices_and_backend(plan, tmp_path) as world, a_bridge(world):
            await until(lambda: len(world.backend.records) == 3)
            modes = {p.name: p.stat().st_mode & 0o777 for p in folder.iterdir()}
        assert {"spool.sqlite", "spool.sqlite-wal", "bonds.sqlite"} <= modes.keys()
        assert set(modes.values()) == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700

    folder = tmp_path / "spool"
    folder.mkdir(mode=0o755)
    (folder / "bonds.sqlite").touch(mode=0o644)  # of a bridge that did not know better
    asyncio.run(story())


def test_a_folder_that_holds_other_things_too_is_left_open(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "somebody's").touch()
    BondStore(tmp_path / "bonds.sqlite").close()
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert (tmp_path / "bonds.sqlite").stat().st_mode & 0o777 == 0o600
