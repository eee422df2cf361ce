"""Nothing is called read, or lost, that a box may still have."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from device_bridge import progress, spool
from device_bridge.clock import DomainClock
from device_bridge.errors import LostPeripheral
from device_bridge.gatt.ghs import Discrete, Observation, encode_observation
from device_bridge.gatt.racp import Opcode
from device_bridge.record_reader import MOST_RECORDS
from tests.device_bridge.fake_backend import device_id
from tests.device_bridge.fake_box import (
    MINUTE,
    SERIAL,
    Bench,
    FakeBox,
    a_bench,
    an_opening,
)
from tests.device_bridge.faults.still_time import StillLoop, at_once
from tests.device_bridge.stories import now, until

Story = Callable[[Bench], Coroutine[Any, Any, None]]


def a_box(*numbers: int) -> FakeBox:
    return FakeBox({number: an_opening(number) for number in numbers})


def play(box: FakeBox, folder: Path, story: Story) -> None:
    async def told(_loop: StillLoop) -> None:
        async with a_bench(box, folder) as bench:
            await story(bench)

    at_once(told)


async def the_link_is_lost(bench: Bench) -> None:
    with pytest.raises(LostPeripheral):
        async with asyncio.timeout(60):
            await bench.link()


def test_a_box_that_is_too_busy_to_send_was_not_read(tmp_path: Path) -> None:
    box = a_box(*range(1, 12))

    async def story(bench: Bench) -> None:
        box.busy = 3
        await the_link_is_lost(bench)
        assert not await bench.spool.run(progress.is_complete, device_id(SERIAL))
        assert bench.heard == []
        async with bench.linked():
            await until(lambda: bench.heard)
        assert bench.heard[0]["sequence"] == 11
        assert bench.sequences == list(range(1, 12))

    play(box, tmp_path, story)


def test_a_record_whose_notifications_are_lost_is_neither_lost_nor_deleted(
    tmp_path: Path,
) -> None:
    box = a_box(*range(1, 14))

    async def story(bench: Bench) -> None:
        box.withheld = {12}
        await the_link_is_lost(bench)
        await until(lambda: len(bench.sequences) == 12)
        assert bench.gaps == []
        assert bench.heard == []
        assert 12 in box.records
        box.withheld.clear()
        async with bench.linked():
            await until(lambda: not box.records)
        assert bench.sequences == list(range(1, 14))

    play(box, tmp_path, story)


def test_the_last_record_is_missed_though_nothing_above_shows_the_hole(
    tmp_path: Path,
) -> None:
    box = a_box(1, 2, 3)

    async def story(bench: Bench) -> None:
        box.withheld = {3}
        await the_link_is_lost(bench)
        assert bench.heard == []
        box.withheld.clear()
        async with bench.linked():
            await until(lambda: bench.heard)
        assert bench.heard[0]["sequence"] == 3

    play(box, tmp_path, story)


def test_a_live_record_does_not_stand_in_for_a_stored_one(tmp_path: Path) -> None:
    box = a_box(1, 2, 3)

    async def story(bench: Bench) -> None:
        link = asyncio.create_task(bench.link())
        await until(lambda: bench.heard)
        box.withheld = {5}
        box.records[5] = an_opening(5)
        box.live_during_transfer = 7
        box.happens(6)
        with pytest.raises(LostPeripheral):
            await link
        assert [gap for gap in bench.gaps if gap["to"] == 5] == []
        assert 5 in box.records
        box.withheld.clear()
        async with bench.linked():
            await until(lambda: 5 in bench.sequences)

    play(box, tmp_path, story)


def test_numbers_that_a_box_says_it_has_not_are_reported_as_a_gap(
    tmp_path: Path,
) -> None:
    box = a_box(3, 4, 6, 9)

    async def story(bench: Bench) -> None:
        box.knows_ranges = False
        async with bench.linked():
            await until(lambda: bench.heard and len(bench.gaps) == 3)
        assert bench.gaps == [
            {"from": 1, "to": 2},
            {"from": 5, "to": 5},
            {"from": 7, "to": 8},
        ]

    play(box, tmp_path, story)


def test_a_record_that_can_never_be_read_is_reported_and_the_box_emptied(
    tmp_path: Path,
) -> None:
    box = a_box(3, 4, 5, 9, 10)

    async def story(bench: Bench) -> None:
        box.broken = {4, 10}
        for _ in range(4):
            await the_link_is_lost(bench)
        async with bench.linked():
            await until(lambda: not box.records and len(bench.gaps) == 4)
        assert bench.sequences == [3, 5, 9]
        spans = [(gap["from"], gap["to"], gap.get("why")) for gap in bench.gaps]
        assert spans == [
            (1, 2, None),
            (6, 8, None),
            (4, 4, "unreadable"),
            (10, 10, "unreadable"),
        ]

    play(box, tmp_path, story)


def test_a_link_over_which_nothing_comes_gives_no_record_up(tmp_path: Path) -> None:
    box = a_box(1, 2)

    async def story(bench: Bench) -> None:
        box.withheld = {1, 2}
        for _ in range(5):
            await the_link_is_lost(bench)
        assert bench.gaps == []
        assert sorted(box.records) == [1, 2]

    play(box, tmp_path, story)


def test_records_are_on_disk_while_others_are_still_to_come(tmp_path: Path) -> None:
    box = a_box(*range(1, 601))

    async def story(bench: Bench) -> None:
        box.pause_after = 600 - 50
        async with bench.linked():
            async with asyncio.timeout(10):
                while await bench.spool.run(spool.count) < 512:
                    await asyncio.sleep(0.01)

    play(box, tmp_path, story)


def test_a_box_that_sends_a_record_twice_is_stopped(tmp_path: Path) -> None:
    box = a_box(1, 2, 3)

    async def story(bench: Bench) -> None:
        box.repeats = 2
        await the_link_is_lost(bench)
        assert box.requests[-1].opcode is Opcode.ABORT
        assert bench.heard == []

    play(box, tmp_path, story)


def test_a_box_that_sends_what_was_not_asked_for_is_stopped(tmp_path: Path) -> None:
    box = a_box(1, 2, 3)

    async def story(bench: Bench) -> None:
        async with bench.linked():
            await until(lambda: bench.heard)
        box.records[4] = an_opening(4)
        box.unasked = 2
        await the_link_is_lost(bench)
        assert box.requests[-1].opcode is Opcode.ABORT

    play(box, tmp_path, story)


def test_a_box_that_never_stops_sending_is_stopped(tmp_path: Path) -> None:
    unnumbered = encode_observation(Observation(Discrete(1)))
    box = FakeBox(dict.fromkeys(range(1, MOST_RECORDS + 3), unnumbered))

    async def story(bench: Bench) -> None:
        await the_link_is_lost(bench)
        assert await bench.spool.run(progress.received_through, device_id(SERIAL)) > 0
        assert box.requests[-1].opcode is Opcode.ABORT

    play(box, tmp_path, story)


def test_a_box_that_deletes_one_by_one_is_emptied_of_what_cannot_be_read(
    tmp_path: Path,
) -> None:
    box = a_box(1, 2, 3)

    async def story(bench: Bench) -> None:
        box.deletes_many = False
        box.broken = {1}
        for _ in range(2):
            await the_link_is_lost(bench)
        async with bench.linked():
            await until(lambda: bench.heard)
        async with bench.linked():
            await until(lambda: not box.records)
        assert bench.sequences == [2, 3]

    play(box, tmp_path, story)


def test_a_box_is_not_heard_beyond_a_record_whose_live_notification_was_lost(
    tmp_path: Path,
) -> None:
    box = a_box(1, 2)

    async def story(bench: Bench) -> None:
        start = now()
        bench.clock.follow(DomainClock(start, start, 120.0))  # a beat a second
        async with bench.linked():
            await until(lambda: bench.heard)
            box.records[3] = an_opening(3)
            at = bench.clock.now
            later = 3 * MINUTE
            await until(lambda: bench.heard[-1]["at"] > (at + later).isoformat())
        assert bench.heard[-1]["sequence"] == 3

    play(box, tmp_path, story)
