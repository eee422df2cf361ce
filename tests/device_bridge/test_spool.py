"""The spool keeps every record once, and knows how far a device has been read."""

import asyncio
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_bridge import progress, samples, spool, spool_file, timelines, unchecked
from device_bridge.events import Kind, plain_event
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt.elapsed_time import utc_stamp
from device_bridge.gatt.ghs import Discrete, Observation, Tlv, encode_observation
from device_bridge.interpret import interpret
from device_bridge.samples import Sample
from device_bridge.spool import RawRecord, Spool
from device_bridge.surroundings import SampleBuffer

AT = datetime(2030, 1, 1, tzinfo=UTC)
PROFILE = "medication monitor over GHS"


def a_record(number: int, message: bytes = b"message") -> RawRecord:
    return RawRecord(
        number=number,
        message=message,
        canonical=message,
        live=False,
        heard_at=AT,
        offset_s=0.0,
        uncertainty_s=0.1,
    )


def a_database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    for schema in (
        *(spool_file.SCHEMA, progress.SCHEMA),
        *(timelines.SCHEMA, samples.SCHEMA),
    ):
        db.executescript(schema)
    progress.begin(db, "d", 0, 0)
    return db


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = a_database()
    yield made
    made.close()


def keep(db: sqlite3.Connection, *numbers: int) -> int:
    return spool.append(db, "d", PROFILE, [a_record(n) for n in numbers])


def commit(db: sqlite3.Connection, *numbers: int) -> None:
    picked = [r for r in spool.pick(db, 1000, 0.0) if r.number in numbers]
    spool.forget(db, picked)


def test_a_record_is_kept_once_and_not_again_after_it_was_committed(
    db: sqlite3.Connection,
) -> None:
    assert keep(db, 1, 2, 2) == 2
    commit(db, 1)
    assert keep(db, 1, 2) == 0
    assert spool.count(db) == 1


def test_the_same_number_with_other_octets_is_kept_too(db: sqlite3.Connection) -> None:
    keep(db, 1)
    assert spool.append(db, "d", PROFILE, [a_record(1, b"other")]) == 1


def test_only_what_has_no_gap_below_counts_as_committed(db: sqlite3.Connection) -> None:
    keep(db, 1, 2, 3, 5)
    commit(db, 1, 3, 5)
    assert progress.committed_through(db, "d")[1] == 1
    assert progress.received_through(db, "d") == 3
    assert progress.hole_above(db, "d", 0) == (4, 4)
    assert progress.hole_above(db, "d", 4) is None
    commit(db, 2)
    assert progress.committed_through(db, "d")[1] == 3
    progress.add_run(db, "d", 4, 4)
    assert progress.committed_through(db, "d")[1] == 5


def test_a_gap_of_four_billion_numbers_costs_one_row(db: sqlite3.Connection) -> None:
    progress.add_run(db, "d", 2, 2**32 - 2)
    assert db.execute("SELECT count(*) FROM done").fetchone() == (1,)
    keep(db, 1)
    commit(db, 1)
    assert progress.committed_through(db, "d")[1] == 2**32 - 2


@given(st.lists(st.sampled_from(range(1, 13)), unique=True), st.randoms())
def test_committing_in_any_order_ends_at_the_first_gap(
    numbers: list[int], order: Random
) -> None:
    made = a_database()
    keep(made, *numbers)
    shuffled = list(numbers)
    order.shuffle(shuffled)
    for number in shuffled:
        commit(made, number)
    first_gap = next(n for n in range(1, 15) if n not in numbers)
    assert progress.committed_through(made, "d")[1] == first_gap - 1
    assert progress.received_through(made, "d") == first_gap - 1
    made.close()


def test_held_records_wait_and_those_of_busy_devices_are_left(
    db: sqlite3.Connection,
) -> None:
    keep(db, 1, 2)
    spool.hold(db, [(1, "unknown device")], until=100.0)
    assert [r.number for r in spool.pick(db, 10, 50.0)] == [2]
    assert [r.number for r in spool.pick(db, 10, 100.0)] == [1, 2]
    assert spool.pick(db, 10, 100.0, leave=["d"]) == []
    assert spool.waiting_through(db, "d", 1)


def test_another_bridges_progress_is_taken_over(db: sqlite3.Connection) -> None:
    keep(db, 1)
    progress.begin(db, "d", 0, 7)
    assert progress.committed_through(db, "d")[1] == 7
    assert keep(db, 5) == 0


def test_a_new_generation_numbers_from_one_in_the_backends_epoch(
    db: sqlite3.Connection,
) -> None:
    keep(db, 1, 2)
    commit(db, 1, 2)
    progress.open_generation(db, "d", 4)
    assert keep(db, 1) == 1
    assert progress.wire_epoch(db, "d", 1, stated=0) == 4
    assert progress.wire_epoch(db, "d", 1, stated=1) == 5
    assert progress.wire_epoch(db, "d", 0, stated=1) == 1


def test_samples_join_to_segments_of_sixty_seconds_or_values(
    db: sqlite3.Connection,
) -> None:
    for second in range(150):
        at = AT + timedelta(seconds=second / 2)
        samples.add(db, Sample("w", "8867-4", "/min", at, 60.0))
    picked = samples.pick(db, 10, 0.0)
    assert [len(segment.values) for segment in picked] == [60, 60, 30]
    assert len({segment.id for segment in picked}) == 3
    assert samples.pick(db, 10, 0.0) == picked


def test_a_segment_that_was_picked_grows_no_more(db: sqlite3.Connection) -> None:
    samples.add(db, Sample("w", "8867-4", "/min", AT, 60.0))
    (first,) = samples.pick(db, 10, 0.0)
    later = AT + timedelta(seconds=1)
    samples.add(db, Sample("w", "8867-4", "/min", later, 61.0))
    assert samples.pick(db, 10, 0.0)[0] == first
    samples.forget(db, [first])
    assert [s.values for s in samples.pick(db, 10, 0.0)] == [(61.0,)]


def a_reading(number: str, at: datetime = AT, boot: str | None = None) -> Sample:
    return Sample("w", "2339-0", "mg/dL", at, 95.0, boot, number)


def test_a_sample_that_its_device_names_is_one_segment_for_every_bridge(
    db: sqlite3.Connection,
) -> None:
    samples.add_all(db, [a_reading("1"), a_reading("2"), a_reading("1")])
    picked = samples.pick(db, 10, 0.0)
    assert len({segment.id for segment in picked}) == len(picked) == 2
    samples.forget(db, picked)
    assert samples.pick(db, 10, 0.0) == []
    db.execute("UPDATE segment_epoch SET epoch = epoch + 1")  # another spool
    samples.add_all(db, [a_reading("2", AT + timedelta(seconds=1)), a_reading("1")])
    assert {s.id for s in samples.pick(db, 10, 0.0)} == {s.id for s in picked}


def test_a_named_sample_is_dated_anew_when_it_is_read_again(
    db: sqlite3.Connection,
) -> None:
    samples.add_all(db, [a_reading("1", boot="an earlier boot")])
    later = AT + timedelta(seconds=9)
    samples.add_all(db, [a_reading("1", later)])
    unchecked.correct(db, "this boot", 0.0, 0.0)
    (kept,) = samples.pick(db, 10, 0.0)
    assert kept.start == later


def test_named_samples_leave_streams_alone(db: sqlite3.Connection) -> None:
    for second in range(3):
        at = AT + timedelta(seconds=second)
        samples.add(db, Sample("w", "2339-0", "mg/dL", at, 90.0))
        samples.add_all(db, [a_reading(f"{second}")])
    lengths = sorted(len(segment.values) for segment in samples.pick(db, 10, 0.0))
    assert lengths == [1, 1, 1, 3]


def test_what_is_spooled_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "spool.sqlite"

    async def fill() -> None:
        first = Spool(path)
        await first.run(progress.begin, "d", 0, 0)
        await first.run(spool.append, "d", PROFILE, [a_record(1)])
        first.close()

    async def read() -> int:
        again = Spool(path)
        count = await again.run(spool.count)
        again.close()
        return count

    asyncio.run(fill())
    assert asyncio.run(read()) == 1


def a_message(epoch: int, *, current: bool) -> bytes:
    """Return an opening on timeline `epoch` as a device tells it."""
    stamp = utc_stamp(AT, current=current)
    epoch_tlv = Tlv(mdc.TIMELINE_EPOCH, 6, epoch.to_bytes(2, "little"))
    return encode_observation(
        Observation(
            Discrete(mdc.CONTAINER_OPENED),
            type=mdc.CONTAINER,
            time=stamp,
            object_id=1,
            tlvs=(epoch_tlv,),
        )
    )


def test_what_a_later_record_may_date_waits_for_the_end_of_the_transfer(
    db: sqlite3.Connection,
) -> None:
    older = a_record(1, a_message(0, current=False))
    present = a_record(2, a_message(1, current=True))
    spool.append(db, "d", PROFILE, [older, present])
    ready = interpret(db, spool.pick(db, 10, 0.0), AT, 0.0)
    assert [report.sequence for _, report in ready] == [2]
    progress.complete(db, "d")
    (_, report), _ = interpret(db, spool.pick(db, 10, 0.0), AT, 0.0)
    assert (report.sequence, report.occurred_at, report.epoch) == (1, None, 0)


def test_a_device_that_does_not_come_back_holds_nothing_up_for_long(
    db: sqlite3.Connection,
) -> None:
    spool.append(db, "d", PROFILE, [a_record(1, a_message(0, current=False))])
    later = AT + timedelta(days=2)
    assert len(interpret(db, spool.pick(db, 10, 0.0), later, 0.0)) == 1


def test_a_record_that_breaks_its_reader_goes_raw_and_the_others_go_on(
    db: sqlite3.Connection,
) -> None:
    message = a_message(0, current=True)
    spool.append(db, "d", "heart rate", [a_record(1, message)])  # it stores no records
    spool.append(db, "d", PROFILE, [a_record(2, b"bad"), a_record(3, message)])
    reports = [report for _, report in interpret(db, spool.pick(db, 10, 0.0), AT, 0.0)]
    assert [report.sequence for report in reports] == [1, 2, 3]
    assert [report.what is None for report in reports] == [True, True, False]
    assert [report.path for report in reports[:2]] == ["dose-events"] * 2
    assert reports[0].raw == message


def test_the_error_of_an_earlier_boot_is_unknown_so_its_records_are_read_again(
    db: sqlite3.Connection,
) -> None:
    before = a_record(1)._replace(offset_s=60.0, unchecked="boot 1")
    now = a_record(2)._replace(offset_s=60.0, unchecked="boot 2")
    spool.append(db, "d", PROFILE, [before, now])
    assert spool.pick(db, 10, 1e12) == []
    unchecked.correct(db, "boot 2", 50.0, 0.0)
    (second,) = spool.pick(db, 10, 0.0)
    shifted = AT + timedelta(seconds=50)
    assert (second.number, second.offset_s, second.heard_at) == (2, 10.0, shifted)
    assert progress.hole_above(db, "d", 0) == (1, 1)
    spool.append(db, "d", PROFILE, [a_record(1)._replace(offset_s=10.0)])
    assert progress.hole_above(db, "d", 0) is None
    assert [r.offset_s for r in spool.pick(db, 10, 0.0)] == [10.0, 10.0]


def test_events_and_vitals_of_this_boot_are_shifted_and_those_of_another_are_undated(
    db: sqlite3.Connection,
) -> None:
    for boot in ("boot 1", "boot 2"):
        item = plain_event("d", Kind.BATTERY, AT, {}) | {"id": boot}
        spool.keep_event(db, item, boot)
        samples.add(db, Sample("w", "8867-4", "/min", AT, 60.0, boot))
    assert samples.pick(db, 10, 0.0) == spool.pick_events(db, 10, 0.0) == []
    unchecked.correct(db, "boot 2", 50.0, 0.0)
    shifted = AT + timedelta(seconds=50)
    assert [segment.start for segment in samples.pick(db, 10, 0.0)] == [shifted]
    dated = {e["id"]: e["occurred_at"] for e in spool.pick_events(db, 10, 0.0)}
    assert dated == {"boot 1": None, "boot 2": shifted.isoformat()}


def test_a_bridge_started_again_goes_on_with_the_clock_of_this_boot(
    db: sqlite3.Connection,
) -> None:
    later = AT + timedelta(hours=3)
    assert unchecked.base_of(db, "boot 1", AT) == AT
    assert unchecked.base_of(db, "boot 1", later) == AT
    assert unchecked.base_of(db, "boot 2", later) == later


@pytest.mark.parametrize("turns", range(6))
def test_samples_are_on_disk_once_whenever_the_bridge_is_stopped(
    tmp_path: Path, turns: int
) -> None:
    async def stopped() -> list[float]:
        opened = Spool(tmp_path / "spool.sqlite")
        buffer = SampleBuffer(opened)
        running = asyncio.create_task(buffer.run())
        for number in range(3):
            at = AT + timedelta(seconds=number)
            buffer.add(Sample("w", "8867-4", "/min", at, float(number)))
            for _ in range(turns):
                await asyncio.sleep(0)
        running.cancel()
        await asyncio.wait((running,))
        kept = await opened.run(samples.pick, 10, 0.0)
        opened.close()
        return [value for segment in kept for value in segment.values]

    # Stopped before its first turn, a task has nothing that it could still do.
    assert asyncio.run(stopped()) == ([0.0, 1.0, 2.0] if turns else [])
