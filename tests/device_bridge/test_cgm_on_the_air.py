"""Virtual glucose sensors over the air: every reading once, at its own minute."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from device_bridge.virtual.glucose_sensor import EVERY, MINUTE, glucose_at
from device_bridge.virtual.plan import GlucosePlan, read_plan
from tests.device_bridge.fake_backend import FakeBackend, device_id
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import (
    World,
    a_bridge,
    a_device,
    a_plan,
    devices_and_backend,
    now,
    until,
)

SPEED = 60.0
PATIENCE = 60.0  # seconds
BEFORE = timedelta(seconds=600)  # ten hours of readings
NEXT_SESSION = timedelta(hours=10, minutes=4)
GLUCOSE: dict[str, Any] = {"base": 110, "noise": 12, "steps": []}
AS_PLANNED = GlucosePlan(110, 12, ())
HALF = timedelta(seconds=60)  # a count of whole minutes, and a link at this speed


def a_sensor(serial: str, **rest: object) -> dict[str, Any]:
    return a_device(serial, [], "cgm", glucose=GLUCOSE, **rest)


def readings(backend: FakeBackend, serial: str) -> dict[datetime, float]:
    """Return what is stored of a sensor; no two readings are of one instant."""
    found = [
        (datetime.fromisoformat(segment["start"]), value)
        for segment in backend.segments.values()
        if segment["device_id"] == device_id(serial)
        for value in segment["values"]
    ]
    assert len(dict(found)) == len(found)
    return dict(found)


def test_two_sessions_are_stored_once_through_a_bridge_that_is_stopped(
    tmp_path: Path,
) -> None:
    start = now().replace(microsecond=0) - BEFORE  # as calendars tell it
    reset = start + NEXT_SESSION
    devices = [
        a_sensor("G1", reset=[reset.isoformat()]),
        a_sensor("G2", clock_offset_s=3600, battery=[[start.isoformat(), 8]]),
    ]
    plan = a_plan(devices, speed=SPEED, start=start)
    clock = read_plan(plan).clock

    async def told(world: World) -> None:
        async with a_bridge(world):
            await until(lambda: world.backend.segments)
        async with a_bridge(world):
            later = reset + EVERY * MINUTE
            await until(lambda: later in readings(world.backend, "G1"), PATIENCE)
            await until(lambda: len(readings(world.backend, "G2")) > 120, PATIENCE)

    async def story(_loop: StillLoop) -> None:
        async with devices_and_backend(plan, tmp_path) as world:
            await told(world)
            first = readings(world.backend, "G1")
            minutes = [start + n * EVERY * MINUTE for n in range(121)]
            assert set(minutes) < set(first)
            assert {at: glucose_at(AS_PLANNED, "G1", at) for at in first} == first
            assert max(first) <= clock.at(now())
            second = sorted(readings(world.backend, "G2"))
            # Its start was written an hour wrong: the count of its minutes shows that.
            for at, due in zip(second, minutes, strict=False):
                assert abs(at - due) < HALF
            kinds = [(e["kind"], e["device_id"]) for e in world.backend.events.values()]
            assert kinds.count(("battery_low", device_id("G2"))) == 1
            assert ("quarantine", device_id("G1")) not in kinds

    at_once(story, sockets=True)
