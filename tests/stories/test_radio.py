"""Stories from a virtual device over the air to what is stored and shown of it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

from backend.clock import domain_now
from backend.database import transaction
from backend.database.sets import execute
from backend.feeds.orders import FEED
from backend.feeds.read import read
from tests.device_bridge.stories import a_device, an_event
from tests.stories.clinic import DAY, HOUR, MINUTE, Box, Story, a_box, a_story
from tests.stories.life import Life, a_life, ever, labels, on_hand
from tests.stories.radio import a_plan, a_virtual_box, demo_time, on_air

EIGHT = datetime(2026, 3, 2, 7, tzinfo=UTC)  # on the wall in Zurich
MORNING = EIGHT - 2 * MINUTE


def before(days: int) -> list[datetime]:
    """An opening on each of so many mornings before the story."""
    return [EIGHT - (days - n) * DAY + 5 * MINUTE for n in range(days)]


def with_serial(box: Box, serial: str) -> None:
    with transaction() as session:
        execute(
            session,
            "UPDATE device SET serial = :serial WHERE device_id = :id",
            serial=serial,
            id=box.device_id,
        )


def a_patient_with(serial: str, *, days: int, tablets: int = 60) -> tuple[Story, Life]:
    """Give a patient who has had the box of that serial for so many days."""
    story = a_story(MORNING)
    box = a_box(story)
    with_serial(box, serial)
    story.boxes.clear()  # this one is read over the air
    return story, a_life(story, box, tablets=tablets, since=EIGHT - days * DAY)


def test_a_dose_reaches_timeline_stock_order_and_feed(
    db: object, tmp_path: Path
) -> None:
    story, life = a_patient_with("B1", days=20, tablets=27)
    clock = demo_time(MORNING)
    box = a_virtual_box("B1", [*before(20), EIGHT + 2 * MINUTE])

    async def telling() -> None:
        async with on_air(story, a_plan(clock, box), tmp_path) as radio:
            radio.start_bridge()
            await radio.until(lambda: on_hand(story, life) == 6)
            await radio.until(lambda: radio.memory.bounds("B1")[2] == 0)

    asyncio.run(telling())

    assert labels(story, life)["2026-03-02T08:00"] == "on_time"
    (state,) = story.rows(
        "SELECT strip, last_dose_at, open_reorders FROM patient_state"
    )
    assert state["strip"][-1] == {"day": "2026-03-02", "labels": ["on_time"]}
    assert abs(state["last_dose_at"] - (EIGHT + 2 * MINUTE)) < MINUTE
    assert state["open_reorders"] == 1
    live = story.rows("SELECT sequence FROM dose_event WHERE live")
    assert [row["sequence"] for row in live] == [21]
    maker = story.reader("manufacturer", story.manufacturer.organization_id)
    with transaction() as session:
        (row,) = read(session, maker, FEED, after=0, limit=10)
    assert row["gtin"] == story.product.gtin
    assert story.told == []


def test_a_box_whose_clock_is_three_hours_slow_is_dated_right(
    db: object, tmp_path: Path
) -> None:
    story, life = a_patient_with("B1", days=3)
    clock = demo_time(MORNING)
    opened = [*before(3), EIGHT + 2 * MINUTE]
    box = a_virtual_box("B1", opened, clock_offset_s=-3 * 3600)

    async def telling() -> None:
        async with on_air(story, a_plan(clock, box), tmp_path) as radio:
            radio.start_bridge()
            await radio.until(lambda: on_hand(story, life) == 56)

    asyncio.run(telling())

    rows = story.rows("SELECT occurred_at FROM dose_event ORDER BY sequence")
    apart = [abs(row["occurred_at"] - at) for row, at in zip(rows, opened, strict=True)]
    assert max(apart) < MINUTE
    assert set(labels(story, life).values()) == {"on_time"}
    kinds = story.rows("SELECT DISTINCT kind FROM device_event")
    assert "clock_wrong" in {row["kind"] for row in kinds}


def test_a_box_that_lost_its_clock_is_emptied_and_nobody_says_missed(
    db: object, tmp_path: Path
) -> None:
    story, life = a_patient_with("B1", days=3)
    clock = demo_time(MORNING)
    box = a_virtual_box("B1", [])
    first, second, third = before(3)
    lost = an_event(second - HOUR, "clock_set", amount=None)
    box["events"] = [
        an_event(first, compartment=0),
        lost,
        an_event(second, compartment=0),
        an_event(third, compartment=0),
    ]

    async def telling() -> None:
        async with on_air(story, a_plan(clock, box), tmp_path) as radio:
            radio.start_bridge()
            await radio.until(lambda: radio.memory.bounds("B1")[1] > 0)
            await radio.until(lambda: radio.memory.bounds("B1")[2] == 0)
            await radio.until(lambda: domain_now() > EIGHT)

    asyncio.run(telling())

    rows = story.rows("SELECT sequence, status FROM device_record ORDER BY sequence")
    used = {row["sequence"] for row in rows if row["status"] == "used"}
    assert used.isdisjoint({1, 3, 4})
    assert 2 in used  # the loss of the clock, as the box told it
    assert story.told == []
    assert "missed" not in ever(story, life)


def test_bridges_that_read_one_box_in_turn_store_every_record_once(
    db: object, tmp_path: Path
) -> None:
    story, life = a_patient_with("B1", days=20)
    clock = demo_time(MORNING)
    today = [EIGHT + 4 * MINUTE, EIGHT + 12 * MINUTE]
    box = a_virtual_box("B1", [*before(20), *today])

    def stored() -> int:
        return len(story.rows("SELECT FROM device_record"))

    async def telling() -> None:
        async with on_air(story, a_plan(clock, box), tmp_path) as radio:
            for name, number in (("ward 3", 20), ("ward 4", 21), ("ward 3", 22)):
                radio.start_bridge(name)
                await radio.until(lambda number=number: stored() >= number)
                await radio.stop_bridges()

    asyncio.run(telling())

    rows = story.rows("SELECT epoch, sequence, status FROM device_record")
    assert sorted(row["sequence"] for row in rows) == list(range(1, 23))
    assert {(row["epoch"], row["status"]) for row in rows} == {(0, "used")}
    assert story.rows("SELECT FROM device_conflict") == []
    assert labels(story, life)["2026-03-02T08:00"] == "on_time"
    assert on_hand(story, life) == 39


def test_a_wearable_is_heard_for_as_long_as_it_is_worn(
    db: object, tmp_path: Path
) -> None:
    story, _life = a_patient_with("W1", days=1)
    clock = demo_time(MORNING)
    watch = a_device("W1", [], kind="wearable", model="Box 2")

    def heard_through(at: datetime) -> bool:
        rows = story.rows(
            "SELECT heard_until FROM device_contact WHERE heard_until IS NOT NULL"
        )
        return any(row["heard_until"] > at for row in rows)

    async def telling() -> None:
        async with on_air(story, a_plan(clock, watch), tmp_path) as radio:
            radio.start_bridge()
            await radio.until(lambda: heard_through(EIGHT + 5 * MINUTE))

    asyncio.run(telling())

    (stored,) = story.rows("SELECT sum(samples) AS n FROM vital_series")
    assert stored["n"] > 3
