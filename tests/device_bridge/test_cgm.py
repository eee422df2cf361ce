"""Glucose sensors: every reading reaches the backend, once, at its own minute."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from device_bridge.clock import REAL_TIME, Clock
from device_bridge.errors import LostPeripheral
from device_bridge.gatt import racp
from device_bridge.gatt.racp import Opcode
from tests.device_bridge.fake_cgm import (
    BATTERY,
    CGM_MEASUREMENT,
    MALFUNCTION,
    MINUTE,
    STOPPED,
    UNKNOWN,
    FakeCgm,
)
from tests.device_bridge.fake_sensor import Bench
from tests.device_bridge.stories import now, until
from tests.device_bridge.test_sample_link import play

WITHIN = timedelta(seconds=31)  # a count of whole minutes
SOON = timedelta(seconds=2)  # calendars show whole seconds


def fill(sensor: FakeCgm, minutes: Iterable[int]) -> None:
    for minute in minutes:
        sensor.measures(minute, 90 + minute % 50)


def told(bench: Bench) -> dict[datetime, float]:
    segments = [*bench.backend.segments.values()]
    assert {segment["code"] for segment in segments} <= {"99504-3"}
    return {
        datetime.fromisoformat(segment["start"]): value
        for segment in segments
        for value in segment["values"]
    }


def events(bench: Bench, kind: str) -> list[dict[str, Any]]:
    found = [*bench.backend.events.values()]
    return [event["detail"] for event in found if event["kind"] == kind]


@pytest.mark.parametrize("crc", [False, True])
def test_readings_are_dated_by_the_start_of_their_session_and_its_zone(
    tmp_path: Path,
    crc: bool,  # noqa: FBT001
) -> None:
    sensor = FakeCgm(crc=crc, together=3)
    fill(sensor, range(0, 50, 5))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 10)
        for minute, at in enumerate(sorted(told(bench))):
            assert abs(at - sensor.began - 5 * minute * MINUTE) < SOON
            assert told(bench)[at] == 90 + 5 * minute
        assert bench.refused == []

    play(sensor, tmp_path, story)


@pytest.mark.parametrize("why", ["no start", "no zone", "wrong zone"])
def test_a_start_that_says_too_little_or_does_not_fit_is_counted_from_the_minutes(
    tmp_path: Path, why: str
) -> None:
    sensor = FakeCgm(zone=UNKNOWN if why == "no zone" else 4)
    if why == "no start":
        sensor.written = None
    if why == "wrong zone":
        sensor.written = sensor.began + 60 * MINUTE
    fill(sensor, (5, 10))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2)
        fill(sensor, (15,))
        async with bench.linked():
            await until(lambda: len(bench.samples) == 3)
        starts = sorted(bench.starts)
        assert abs(starts[0] - sensor.began - 5 * MINUTE) < WITHIN
        assert [b - a for a, b in pairwise(starts)] == [
            5 * MINUTE,
            5 * MINUTE,
        ]

    play(sensor, tmp_path, story)


def test_what_is_measured_while_it_is_linked_comes_at_once_and_once(
    tmp_path: Path,
) -> None:
    sensor = FakeCgm()
    fill(sensor, (5, 10))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2)
            before = sensor.sent
            sensor.tell(CGM_MEASUREMENT, sensor.measures(600, 130))
            await until(lambda: len(bench.samples) == 3, within=5)
            assert sensor.sent == before + 2  # the newest that was here, and the new
        async with bench.linked():
            await until(lambda: sensor.sent > before + 2)
        assert len(bench.samples) == 3

    play(sensor, tmp_path, story)


def test_a_new_session_is_read_from_its_start_and_the_old_stays(tmp_path: Path) -> None:
    sensor = FakeCgm()
    fill(sensor, (5, 10))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2)
        first = sensor.began
        sensor.begins(now() - 30 * MINUTE)
        fill(sensor, (5, 10))  # the same minutes, and the same values
        async with bench.linked():
            await until(lambda: len(bench.samples) == 4)
        wanted = [b + n * MINUTE for b in (first, sensor.began) for n in (5, 10)]
        for at, due in zip(sorted(bench.starts), wanted, strict=True):
            assert abs(at - due) < SOON

    play(sensor, tmp_path, story)


def test_a_start_that_is_written_again_begins_no_session(tmp_path: Path) -> None:
    sensor = FakeCgm()
    fill(sensor, (5, 10))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2)
        sensor.written = sensor.began + 60 * MINUTE
        fill(sensor, (15,))
        async with bench.linked():
            await until(lambda: len(bench.samples) == 3)
        assert abs(max(bench.starts) - sensor.began - 15 * MINUTE) < SOON

    play(sensor, tmp_path, story)


def test_a_session_that_begins_while_it_is_read_misdates_nothing(
    tmp_path: Path,
) -> None:
    sensor = FakeCgm()
    fill(sensor, (5, 10))

    def begins(request: racp.Request) -> None:
        if request.opcode is Opcode.REPORT_STORED:
            sensor.meanwhile = lambda _: None
            sensor.begins(now() - 30 * MINUTE)
            fill(sensor, (7,))

    sensor.meanwhile = begins

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: bench.backend.heard)
        async with bench.linked():
            await until(lambda: bench.samples)
        (at,) = bench.starts
        assert abs(at - sensor.began - 7 * MINUTE) < SOON

    play(sensor, tmp_path, story)


def test_what_the_sensor_says_of_itself_is_told_when_it_changes(tmp_path: Path) -> None:
    sensor = FakeCgm()

    async def story(bench: Bench) -> None:
        for status in (BATTERY, BATTERY | MALFUNCTION, 0, MALFUNCTION):
            sensor.status = status
            bench.backend.heard.clear()
            async with bench.linked():
                await until(lambda: bench.backend.heard)
        await until(lambda: len(events(bench, "fault")) == 2)
        assert events(bench, "fault") == 2 * [{"why": "sensor_malfunction"}]
        assert events(bench, "battery_low") == [{}]

    play(sensor, tmp_path, story)


@pytest.mark.parametrize("start", ["written", "none", "written again"])
def test_a_stopped_session_keeps_its_start_though_its_count_stands(
    tmp_path: Path, start: str
) -> None:
    sensor = FakeCgm()
    if start == "none":
        sensor.written = None
    fill(sensor, (5,))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 1)
        if start == "written again":
            sensor.written = sensor.began + 60 * MINUTE
            bench.backend.heard.clear()
            async with bench.linked():
                await until(lambda: bench.backend.heard)
        sensor.status, sensor.stands_at = STOPPED, 20
        fill(sensor, (10,))
        sensor.measures(15, status=STOPPED)
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2 and bench.refused)
        assert abs(max(bench.starts) - sensor.began - 10 * MINUTE) < WITHIN
        assert [refused["why"] for refused in bench.refused] == ["session_stopped"]
        assert events(bench, "fault") == [{"why": "session_stopped"}]

    play(sensor, tmp_path, story)


def test_values_that_are_none_and_octets_nobody_can_read_are_kept_raw_once(
    tmp_path: Path,
) -> None:
    sensor = FakeCgm(together=1)
    fill(sensor, (5,))
    sensor.measures(10, status=MALFUNCTION)
    sensor.records[15] = sensor.measures(15)[:5]
    sensor.measures(20, 0x07FF)
    sensor.measures(6000)

    async def story(bench: Bench) -> None:
        for _ in range(2):
            async with bench.linked():
                await until(lambda: bench.samples and len(bench.refused) == 4)
        assert len(bench.samples) == 1
        reasons = sorted(refused["why"] for refused in bench.refused)
        assert [why.partition(" of ")[0] for why in reasons] == [
            "99504-3 is NaN",
            "of a minute that is still to come",
            "sensor_malfunction",
            "want 6 octets at 0, have 5",
        ]

    play(sensor, tmp_path, story)


def test_readings_sent_in_vain_are_asked_for_on_the_next_link(tmp_path: Path) -> None:
    sensor = FakeCgm(withheld={10})
    fill(sensor, (5, 10, 15))

    async def story(bench: Bench) -> None:
        with pytest.raises(LostPeripheral, match="in vain"):
            async with bench.linked():
                await until(lambda: len(bench.samples) == 3, within=0.3)
        sensor.withheld.clear()
        async with bench.linked():
            await until(lambda: len(bench.samples) == 3)

    play(sensor, tmp_path, story)


def test_a_sensor_that_announces_a_crc_and_gives_none_is_not_believed(
    tmp_path: Path,
) -> None:
    sensor = FakeCgm(announces_crc=True)
    fill(sensor, (5,))

    async def story(bench: Bench) -> None:
        with pytest.raises(LostPeripheral, match="CRC"):
            async with bench.linked():
                await until(lambda: bench.samples, within=0.3)

    play(sensor, tmp_path, story)


def test_minutes_are_not_counted_from_a_clock_that_was_never_checked(
    tmp_path: Path,
) -> None:
    clock = Clock(read_real=lambda: now() - timedelta(days=400), boot="boot")
    sensor = FakeCgm()
    fill(sensor, (5,))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(sensor.reads) >= 1)
        assert sensor.requests == []
        clock.compare(clock.own, now(), clock.own)
        clock.follow(REAL_TIME)
        async with bench.linked():
            await until(lambda: bench.samples)
        assert abs(bench.starts[0] - sensor.began - 5 * MINUTE) < SOON

    play(sensor, tmp_path, story, clock)
