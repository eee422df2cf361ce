"""What an operator at the gateway sees."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from device_bridge.__main__ import main
from device_bridge.gatt.uuids import GENERIC_HEALTH_SENSOR
from device_bridge.scan import Seen, seen
from device_bridge.status import read_status, table
from tests.device_bridge.stories import (
    a_bridge,
    a_device,
    a_plan,
    devices_and_backend,
    now,
    past,
    until,
)


def has_heard(queue: Path) -> bool:
    return any(status.heard_at for status in read_status(queue))


def test_status_shows_a_device_while_the_bridge_runs(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    device = a_device("B1", past(4, now()), clock_offset_s=30)
    queue = tmp_path / "spool" / "spool.sqlite"

    async def story() -> None:
        async with devices_and_backend(a_plan([device]), tmp_path) as world:
            world.memory.delete("B1", 2, 2)
            async with a_bridge(world):
                await until(lambda: world.memory.bounds("B1")[2] == 0)
                await until(lambda: queue.exists() and has_heard(queue))
                (status,) = read_status(queue)
        assert status.name == "Acme box 1 B1"
        assert status.heard_at is not None
        assert abs(status.heard_at - now()) < timedelta(minutes=1)
        assert (status.last_record, status.waiting, status.missing) == (4, 0, 0)
        assert (status.signal_dbm, status.battery) == (-50, 100)
        assert status.clock.offset_s == pytest.approx(30, abs=1)

    asyncio.run(story())
    monkeypatch.setenv("DOSELOOP_BRIDGE_SPOOL", str(tmp_path / "spool"))
    assert main(["status"]) == 0  # no terminal: once, as plain text
    shown = capsys.readouterr().out
    assert "Acme box 1 B1" in shown
    assert "\x1b" not in shown


def test_status_without_a_queue_is_refused_in_one_line(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DOSELOOP_BRIDGE_SPOOL", str(tmp_path))
    assert main(["status", "--once"]) == 2
    assert "DOSELOOP_BRIDGE_SPOOL" in capsys.readouterr().err


def test_nobody_known_is_an_empty_table() -> None:
    assert table([], now()).row_count == 0


@pytest.mark.parametrize(
    ("hint", "newest", "battery"),
    [("01 2a000000 50", 42, 80), ("02 2a000000 50", None, None), ("", None, None)],
)
def test_scan_shows_what_an_advertisement_hints_at(
    hint: str, newest: int | None, battery: int | None
) -> None:
    advertised = AdvertisementData(
        local_name=None,
        manufacturer_data={},
        service_data={GENERIC_HEALTH_SENSOR: bytes.fromhex(hint)},
        service_uuids=[GENERIC_HEALTH_SENSOR],
        tx_power=None,
        rssi=-60,
        platform_data=(),
    )
    found = BLEDevice("F0:00:00:00:00:01", None, None)
    named = "medication monitor over GHS"
    assert seen(found, advertised) == Seen(found.address, -60, named, newest, battery)
