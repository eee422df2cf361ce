"""A disk that takes nothing: devices keep their records, and the work goes on later."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from device_bridge import samples, spool
from device_bridge.errors import QueueUnavailable
from device_bridge.samples import Sample
from device_bridge.spool import Spool
from device_bridge.surroundings import SampleBuffer
from tests.device_bridge.fake_box import Bench, FakeBox, an_opening
from tests.device_bridge.stories import now, until
from tests.device_bridge.test_backfill import play


def fill(db: sqlite3.Connection) -> None:
    """Let the file grow no more, as a full disk does."""
    pages = db.execute("PRAGMA page_count").fetchone()[0]
    db.execute(f"PRAGMA max_page_count = {pages}")


def make_room(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA max_page_count = 1000000")


def writable(spooled: Spool, yes: object) -> None:
    """Let the file be written, or not, as on a disk that was mounted read-only."""
    db = spooled._db  # pyright: ignore[reportPrivateUsage]
    db.execute(f"PRAGMA query_only = {int(not yes)}")


def many(count: int) -> FakeBox:
    return FakeBox({number: an_opening(number) for number in range(1, count + 1)})


def test_a_full_disk_leaves_records_in_the_box_and_is_said_to_the_backend(
    tmp_path: Path,
) -> None:
    box = many(2000)

    async def story(bench: Bench) -> None:
        await bench.spool.run(fill)
        with pytest.raises(QueueUnavailable, match="full"):
            await bench.link()
        assert len(box.records) == 2000
        told = bench.backend.events.values()
        await until(lambda: [e for e in told if e["kind"] == "spool"])
        await bench.spool.run(make_room)
        async with bench.linked():
            await until(lambda: not box.records)
        assert bench.sequences == list(range(1, 2001))

    play(box, tmp_path, story)


def test_a_disk_that_became_read_only_stops_nothing_for_good(tmp_path: Path) -> None:
    box = many(3)

    async def story(bench: Bench) -> None:
        writable(bench.spool, False)
        with pytest.raises(QueueUnavailable, match="readonly"):
            await bench.link()
        assert len(box.records) == 3
        writable(bench.spool, True)
        async with bench.linked():
            await until(lambda: not box.records)

    play(box, tmp_path, story)


def test_a_queue_at_its_bound_takes_no_more_and_drops_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        spooled = Spool(tmp_path / "spool.sqlite", limit=1)
        sample = Sample("w", "8867-4", "/min", now(), 60.0)
        with pytest.raises(QueueUnavailable, match="1 may"):
            await spooled.keep(samples.add, sample)
        await spooled.run(spool.remember, "what must be noted", 1)  # is noted still
        spooled.close()

    asyncio.run(story())


def test_samples_wait_in_memory_while_the_disk_takes_nothing(tmp_path: Path) -> None:
    async def story() -> None:
        spooled = Spool(tmp_path / "spool.sqlite")
        writable(spooled, False)
        buffer = SampleBuffer(spooled)
        writing = asyncio.create_task(buffer.run())
        buffer.add(Sample("w", "8867-4", "/min", now(), 60.0))
        await asyncio.sleep(0.1)
        writable(spooled, True)
        async with asyncio.timeout(10):
            while not await spooled.run(samples.last_number, "w"):
                await asyncio.sleep(0.02)
        writing.cancel()
        await asyncio.wait((writing,))
        spooled.close()

    asyncio.run(story())
