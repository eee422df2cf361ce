"""Thermometers, cuffs, scales and oximeters, from what they tell to the backend."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from device_bridge.clock import REAL_TIME, Clock
from device_bridge.errors import LostPeripheral
from device_bridge.gatt import uuids
from device_bridge.gatt.uuids import BATTERY_LEVEL, SERIAL
from device_bridge.profiles import profile_for
from tests.device_bridge.fake_sensor import Bench, FakeSensor, a_bench, date_time
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import now, until

PRESSURE, TEMPERATURE, WEIGHT, SPOT, STREAM = 0x2A35, 0x2A1C, 0x2A9D, 0x2A5E, 0x2A5F
HOUR, SECONDS = timedelta(hours=1), timedelta(seconds=5)
Story = Callable[[Bench], Coroutine[Any, Any, None]]


def play(
    sensor: FakeSensor, folder: Path, story: Story, clock: Clock | None = None
) -> None:
    async def told(_loop: StillLoop) -> None:
        async with a_bench(sensor, folder, clock) as bench:
            await story(bench)

    at_once(told)


def a_pressure(face: datetime, systolic: int = 120, user: int = 1) -> bytes:
    pressures = b"".join(p.to_bytes(2, "little") for p in (systolic, 80, 93))
    return b"\x0a" + pressures + date_time(face) + bytes([user])


@pytest.mark.parametrize(
    ("service", "name"),
    [
        (uuids.HEALTH_THERMOMETER, "thermometer"),
        (uuids.BLOOD_PRESSURE, "blood pressure monitor"),
        (uuids.WEIGHT_SCALE, "weight scale"),
        (uuids.PULSE_OXIMETER, "pulse oximeter"),
        (uuids.GLUCOSE, "glucose meter"),
        (uuids.CGM, "continuous glucose monitor"),
        (uuids.HEART_RATE_SERVICE, "heart rate"),
    ],
)
def test_a_device_is_found_by_its_service_and_served_for_records_first(
    service: str, name: str
) -> None:
    for advertised, expected in (
        ([service], name),
        ([service, uuids.GENERIC_HEALTH_SENSOR], "medication monitor over GHS"),
        ([uuids.BATTERY_SERVICE], None),
    ):
        found = profile_for(advertised)
        assert (found and found.name) == expected


def test_a_changed_battery_is_reported_once(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for _ in range(2):
            async with bench.linked():
                await until(lambda: bench.backend.heard)
        await until(lambda: bench.backend.events)
        told = [(e["kind"], e["detail"]) for e in bench.backend.events.values()]
        assert told == [("battery", {"percent": 80})]

    play(FakeSensor((TEMPERATURE,)), tmp_path, story)


def test_a_value_without_a_time_is_dated_by_its_arrival(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            sensor.tell(TEMPERATURE, "006f0100ff")
            await until(lambda: bench.samples)
        assert bench.samples == [("8310-5", 36.7)]
        assert abs(bench.starts[0] - now()) < SECONDS

    play(FakeSensor((TEMPERATURE,)), tmp_path, story)


@pytest.mark.parametrize("calendar", [0x2A2B, 0x2A08])
def test_a_stamped_value_is_dated_by_the_calendar_whatever_that_shows(
    tmp_path: Path, calendar: int
) -> None:
    # Local time of New York, and a calendar that was never set.
    for behind in (5 * HOUR, 3650 * 24 * HOUR, -9 * HOUR):

        async def story(bench: Bench) -> None:
            async with bench.linked() as sensor:
                sensor.tell(PRESSURE, a_pressure(sensor.face - 30 * HOUR))
                await until(lambda: len(bench.samples) == 3)
            assert bench.samples == [
                ("8462-4", 80.0),
                ("8478-0", 93.0),
                ("8480-6", 120.0),
            ]
            for start in bench.starts:
                assert abs(start - (now() - 30 * HOUR)) < SECONDS

        folder = tmp_path / str(behind)
        folder.mkdir()
        play(FakeSensor((PRESSURE,), calendar, behind), folder, story)


def test_a_stored_value_told_on_every_link_is_reported_once(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        first = bench.sensor.face - HOUR
        for _ in range(3):
            async with bench.linked() as sensor:
                sensor.tell(PRESSURE, a_pressure(first))
                sensor.tell(PRESSURE, a_pressure(first + timedelta(seconds=1)))
                await until(lambda: len(bench.samples) == 6)
        assert len(bench.samples) == 6

    play(FakeSensor((PRESSURE,), behind=2 * HOUR), tmp_path, story)


def test_what_cannot_be_dated_is_kept_raw_and_reported(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        octets = a_pressure(bench.sensor.face)
        async with bench.linked() as sensor:
            sensor.tell(PRESSURE, octets)
            await until(lambda: bench.refused)
        (told,) = bench.refused
        assert told["octets"] == octets.hex()
        assert "calendar that cannot be read" in told["why"]
        assert bench.samples == []

    play(FakeSensor((PRESSURE,), calendar=None), tmp_path, story)
    (tmp_path / "unset").mkdir()
    play(FakeSensor((PRESSURE,), unknown_date=True), tmp_path / "unset", story)


def test_a_value_from_the_future_was_stamped_before_the_calendar_was_set(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            sensor.tell(PRESSURE, a_pressure(sensor.face + HOUR))
            sensor.tell(PRESSURE, a_pressure(sensor.face, 130))
            await until(lambda: bench.refused and bench.samples)
        assert "future" in bench.refused[0]["why"]
        assert ("8480-6", 130.0) in bench.samples
        assert max(bench.starts) <= now()

    play(FakeSensor((PRESSURE,)), tmp_path, story)


def test_values_the_device_itself_doubts_and_octets_nobody_can_read_are_reported(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            sensor.tell(PRESSURE, "10780050005d000200")
            sensor.tell(PRESSURE, "1078")
            sensor.tell(PRESSURE, "00fe078200ff07")
            await until(lambda: len(bench.refused) == 3)
            await until(lambda: bench.samples)
        assert bench.samples == [("8462-4", 130.0)]
        assert [told["characteristic"] for told in bench.refused] == ["2a35"] * 3
        reasons = {told["why"] for told in bench.refused}
        assert {"cuff_too_loose", "8480-6 is +INF"} < reasons

    play(FakeSensor((PRESSURE,)), tmp_path, story)


def test_a_device_that_tells_rubbish_does_not_fill_the_backend(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            for octet in range(200):
                sensor.tell(PRESSURE, bytes([0, octet]))
                sensor.tell(PRESSURE, bytes([0, octet]))
            sensor.tell(PRESSURE, "00780050005d00")
            await until(lambda: len(bench.samples) == 3)
            await until(lambda: len(bench.refused) == 20)

    play(FakeSensor((PRESSURE,)), tmp_path, story)


def test_the_first_user_is_the_patient_and_others_are_kept_out(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        for user, systolic in ((2, 120), (1, 150), (255, 151), (2, 121)):
            async with bench.linked() as sensor:
                sensor.tell(PRESSURE, a_pressure(sensor.face, systolic, user))
                await until(lambda: bench.samples)
        await until(lambda: len(bench.refused) == 2)
        await until(lambda: ("8480-6", 121.0) in bench.samples)
        assert ("8480-6", 120.0) in bench.samples
        assert not {("8480-6", 150.0), ("8480-6", 151.0)} & set(bench.samples)
        assert {told["why"] for told in bench.refused} == {
            "of user 1, the patient is user 2",
            "of user unknown, the patient is user 2",
        }

    play(FakeSensor((PRESSURE,)), tmp_path, story)


def test_all_services_of_a_device_are_served(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            sensor.tell(TEMPERATURE, "006f0100ff")
            sensor.tell(WEIGHT, "007c38")
            sensor.tell(SPOT, "0061004800")
            sensor.tell(0x2A37, "0055")
            await until(lambda: len(bench.samples) == 5)
        assert [code for code, _ in bench.samples] == [
            "29463-7",
            "59408-5",
            "8310-5",
            "8867-4",
            "8867-4",
        ]

    play(FakeSensor((TEMPERATURE, WEIGHT, SPOT, 0x2A37)), tmp_path, story)


def test_a_stream_is_joined_to_segments_and_its_pauses_are_no_events(
    tmp_path: Path,
) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            for _ in range(5):
                sensor.tell(STREAM, "0061004800")
                sensor.tell(STREAM, "0861004800000800")
                await asyncio.sleep(0.002)
            await until(lambda: len(bench.samples) == 10)
        assert len(bench.backend.segments) < 10
        assert bench.refused == []

    play(FakeSensor((STREAM,)), tmp_path, story)


def test_a_device_without_battery_service_is_heard_too(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            await until(lambda: bench.backend.heard)
        assert SERIAL in sensor.reads
        assert BATTERY_LEVEL not in sensor.reads

    play(FakeSensor((TEMPERATURE,), has_battery=False), tmp_path, story)


def test_a_device_that_wants_a_bond_gets_one(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            sensor.tell(WEIGHT, "007c38")
            await until(lambda: bench.samples == [("29463-7", 72.3)])
        assert sensor.pairings == 1

    play(FakeSensor((WEIGHT,), wants_bond=True), tmp_path, story)


def test_a_device_that_offers_nothing_readable_is_let_go(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(LostPeripheral, match="nothing that we read"):
            async with bench.linked():
                await asyncio.sleep(0.05)

    sensor = FakeSensor((0x2A38,))
    play(sensor, tmp_path, story)


def test_a_stamped_value_is_dated_right_after_our_own_clock_was_put_right(
    tmp_path: Path,
) -> None:
    wrong = timedelta(days=400)
    clock = Clock(read_real=lambda: now() - wrong, boot="boot")

    async def story(bench: Bench) -> None:
        async with bench.linked() as sensor:
            sensor.tell(PRESSURE, a_pressure(sensor.face - HOUR))
            await asyncio.sleep(0.1)
            assert bench.samples == []  # nothing is posted by an unchecked clock
            clock.compare(clock.own, datetime.now(UTC), clock.own)
            clock.follow(REAL_TIME)
            sensor.tell(PRESSURE, a_pressure(sensor.face - 2 * HOUR, 125))
            await until(lambda: len(bench.samples) == 6)
        earlier, later = sorted(set(bench.starts))
        assert abs(earlier - (now() - 2 * HOUR)) < SECONDS
        assert abs(later - (now() - HOUR)) < SECONDS

    play(FakeSensor((PRESSURE,), behind=5 * HOUR), tmp_path, story, clock)
