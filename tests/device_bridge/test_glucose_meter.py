"""Glucose meters: every stored record reaches the backend, once, at its own time."""

from datetime import timedelta
from pathlib import Path

import pytest

from device_bridge.clock import REAL_TIME, Clock
from device_bridge.errors import LostPeripheral
from tests.device_bridge.fake_meter import FakeMeter, a_reading
from tests.device_bridge.fake_sensor import Bench
from tests.device_bridge.stories import now, until
from tests.device_bridge.test_sample_link import HOUR, SECONDS, play


def fill(meter: FakeMeter, *numbers: int, mass: int = 95) -> None:
    for number in numbers:
        face = meter.face - (1000 - number) * timedelta(minutes=10)
        meter.records[number] = a_reading(number, face, mass=mass + number)


def values(bench: Bench) -> list[float]:
    return [value for _, value in bench.samples]


def test_all_that_is_stored_comes_at_the_times_the_meter_showed(tmp_path: Path) -> None:
    meter = FakeMeter(behind=5 * HOUR)
    fill(meter, 1, 2, 3)

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 3)
        assert bench.samples == [("2339-0", 96.0), ("2339-0", 97.0), ("2339-0", 98.0)]
        for number, start in enumerate(sorted(bench.starts), 1):
            age = (1000 - number) * timedelta(minutes=10)
            assert abs(start - (now() - age)) < SECONDS

    play(meter, tmp_path, story)


def test_the_next_link_reads_only_what_is_new(tmp_path: Path) -> None:
    meter = FakeMeter()
    fill(meter, *range(1, 51))

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 50)
        fill(meter, 51, 52)
        before = meter.sent
        async with bench.linked():
            await until(lambda: len(bench.samples) == 52)
        assert meter.sent == before + 3  # the newest that was here, and the new ones

    play(meter, tmp_path, story)


@pytest.mark.parametrize("mass", [195, 95])
def test_a_meter_that_numbers_anew_is_read_from_the_start(
    tmp_path: Path, mass: int
) -> None:
    meter = FakeMeter()
    fill(meter, 1, 2, 3)

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 3)
        meter.records.clear()
        for number in (1, 2, 3, 4):
            face = meter.face - timedelta(minutes=10 - number)
            meter.records[number] = a_reading(number, face, mass=mass + number)
        async with bench.linked():
            await until(lambda: len(bench.samples) == 7)

    play(meter, tmp_path, story)


@pytest.mark.parametrize("upper", [True, False])
def test_numbers_that_begin_again_behind_the_last_lose_nothing(
    tmp_path: Path,
    upper: bool,  # noqa: FBT001
) -> None:
    meter = FakeMeter(knows_upper=upper)
    last = 65_535
    for number in (last - 1, last):
        meter.records[number] = a_reading(number, meter.face - (last - number) * HOUR)

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2)
        for number, mass in ((0, 101), (1, 102)):
            meter.records[number] = a_reading(number, meter.face, mass=mass)
        async with bench.linked():
            await until(lambda: len(bench.samples) == 4)
        meter.records[2] = a_reading(2, meter.face, mass=103)
        before = meter.sent
        async with bench.linked():
            await until(lambda: len(bench.samples) == 5)
        assert values(bench) == [95.0, 95.0, 101.0, 102.0, 103.0]
        assert meter.sent <= before + len(meter.records)

    play(meter, tmp_path, story)


@pytest.mark.parametrize(("counts", "bounds"), [(False, True), (True, False)])
def test_a_meter_that_knows_less_is_read_as_well(
    tmp_path: Path,
    counts: bool,  # noqa: FBT001
    bounds: bool,  # noqa: FBT001
) -> None:
    meter = FakeMeter(counts=counts, knows_bounds=bounds)
    fill(meter, 1, 2)

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: len(bench.samples) == 2)
        fill(meter, 3)
        async with bench.linked():
            await until(lambda: values(bench) == [96.0, 97.0, 98.0])

    play(meter, tmp_path, story)


def test_records_sent_in_vain_are_asked_for_on_the_next_link(tmp_path: Path) -> None:
    meter = FakeMeter(withheld={2})
    fill(meter, 1, 2, 3)

    async def story(bench: Bench) -> None:
        with pytest.raises(LostPeripheral, match="in vain"):
            async with bench.linked():
                await until(lambda: len(bench.samples) == 3, within=0.3)
        meter.withheld.clear()
        async with bench.linked():
            await until(lambda: values(bench) == [96.0, 97.0, 98.0])

    play(meter, tmp_path, story)


def test_faults_and_control_solutions_are_kept_raw_and_told_once(
    tmp_path: Path,
) -> None:
    meter = FakeMeter()
    face = meter.face - HOUR
    meter.records = {
        1: a_reading(1, face, status=1 << 2),
        2: a_reading(2, face, kind=10),
        3: a_reading(3, face),
        4: a_reading(4, face)[:9],
        5: a_reading(5, face, status=1 << 11),
    }

    async def story(bench: Bench) -> None:
        for _ in range(2):
            async with bench.linked():
                await until(lambda: bench.samples and len(bench.refused) == 4)
        assert bench.samples == [("2339-0", 95.0)]
        reasons = {told["why"] for told in bench.refused}
        assert {"sample_size_insufficient", "control_solution"} < reasons
        octets = {told["octets"] for told in bench.refused}
        assert octets == {meter.records[n].hex() for n in (1, 2, 4, 5)}

    play(meter, tmp_path, story)


def test_what_was_read_by_an_unchecked_clock_is_read_again(tmp_path: Path) -> None:
    clock = Clock(read_real=lambda: now() - 400 * 24 * HOUR, boot="boot")
    meter = FakeMeter()
    fill(meter, 1)

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: meter.sent == 1)
        clock.compare(clock.own, now(), clock.own)
        clock.follow(REAL_TIME)
        async with bench.linked():
            await until(lambda: bench.samples)
        assert meter.sent == 2
        age = 999 * timedelta(minutes=10)
        assert abs(bench.starts[0] - (now() - age)) < SECONDS

    play(meter, tmp_path, story, clock)
