"""Records are dated by all that their device tells of its clock, or have no time."""

import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from device_bridge import (
    clock_watch,
    progress,
    samples,
    spool,
    spool_file,
    timelines,
)
from device_bridge.dating import Anchor, Run
from device_bridge.events import Record
from device_bridge.gatt import nomenclature as mdc
from device_bridge.gatt.elapsed_time import utc_stamp
from device_bridge.gatt.ghs import (
    Discrete,
    Observation,
    Quantity,
    Tlv,
    Value,
    encode_observation,
)
from device_bridge.gatt.ieee11073 import Number
from device_bridge.interpret import interpret
from device_bridge.spool import RawRecord

AT = datetime(2030, 1, 1, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PROFILE = "medication monitor over GHS"
OPENED = Discrete(mdc.CONTAINER_OPENED)


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    made = sqlite3.connect(":memory:", isolation_level=None)
    for schema in (
        *(spool_file.SCHEMA, progress.SCHEMA),
        *(timelines.SCHEMA, samples.SCHEMA),
    ):
        made.executescript(schema)
    progress.begin(made, "d", 0, 0)
    progress.complete(made, "d")
    yield made
    made.close()


def a_message(
    number: int,
    face: datetime,
    *,
    epoch: int | None = 0,
    current: bool = True,
    value: Value = OPENED,
) -> bytes:
    """Return a record, stamped by what the device's clock showed."""
    tlvs = [] if epoch is None else [Tlv(0x82F111, 6, epoch.to_bytes(2, "little"))]
    return encode_observation(
        Observation(
            value,
            type=mdc.CONTAINER if value is OPENED else mdc.CLOCK_SET,
            time=utc_stamp(face, current=current),
            object_id=number,
            tlvs=tuple(tlvs),
        )
    )


def moved(seconds: int) -> Quantity:
    return Quantity(mdc.UNIT_SECOND, Number(Decimal(seconds)))


def came(
    db: sqlite3.Connection,
    messages: Sequence[bytes],
    *,
    at: datetime,
    ahead_s: float | None = 0.0,
    first: int = 1,
) -> None:
    """Spool what one transfer brought, by a clock that was read then."""
    records = [
        RawRecord(number, message, message, live=False, heard_at=at + timedelta(0, 5),
                  offset_s=ahead_s, uncertainty_s=0.1, read_at=at)
        for number, message in enumerate(messages, first)
    ]  # fmt: skip
    spool.append(db, "d", PROFILE, records)


def dated(db: sqlite3.Connection, now: datetime, batch: int = 1000) -> list[Record]:
    """Return what is reported, taken in batches and committed."""
    reports: list[Record] = []
    while picked := spool.pick(db, batch, 0.0):
        found = interpret(db, picked, now, 0.0)
        reports += [report for _, report in found]
        spool.forget(db, [record for record, _ in found])
    return reports


def quiet(
    db: sqlite3.Connection, at: datetime, ahead_s: float, through: int = 0
) -> None:
    clock_watch.note(db, "d", through, Anchor(at.timestamp(), ahead_s, 0.1), at)


def told(db: sqlite3.Connection) -> list[tuple[str, dict[str, Any]]]:
    events = spool.pick_events(db, 100, 0.0)
    return [(event["kind"], event["detail"]) for event in events]


def away(hours: float, by_s: float = 0.0) -> datetime:
    return AT + timedelta(hours=hours, seconds=by_s)


def test_a_record_between_two_readings_is_dated_by_both(db: sqlite3.Connection) -> None:
    quiet(db, AT, 0.0)
    came(db, [a_message(1, AT + 12 * HOUR)], at=AT + DAY, ahead_s=43.2)
    (report,) = dated(db, AT + DAY)
    assert report.occurred_at is not None
    off = (report.occurred_at - (AT + 12 * HOUR)).total_seconds()
    assert off == pytest.approx(-21.6, abs=0.01)  # half of what the clock gained
    assert 21.6 < report.uncertainty_s < 30
    assert told(db) == []


def test_records_about_a_move_that_nobody_told_of_are_dated_or_undated(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 0.0)
    # Put ahead by three hours at noon, of a day whose end is the second reading.
    shown = [away(1), away(11), away(16), away(26.9)]
    came(
        db,
        [a_message(n, face) for n, face in enumerate(shown, 1)],
        at=AT + DAY,
        ahead_s=3 * 3600.0,
    )
    reports = dated(db, AT + DAY, batch=1)
    assert [report.occurred_at for report in reports] == [
        away(1),
        None,
        None,
        away(23.9),
    ]
    assert [report.offset_s for report in reports] == [0.0, None, None, 10_800.0]
    quiet(db, AT + DAY + HOUR, 3 * 3600.0, through=4)
    ((kind, detail),) = told(db)
    assert (kind, detail["why"], detail["moved_s"]) == ("clock_jump", "moved", 10_800)
    assert (detail["since"], detail["until"]) == (
        AT.isoformat(),
        (AT + DAY).isoformat(),
    )


def test_a_clock_that_was_set_and_says_so_is_no_jump(db: sqlite3.Connection) -> None:
    quiet(db, AT, 60.0)
    old = a_message(1, away(2, 60), current=False)
    change = a_message(2, away(3), epoch=1, value=moved(-60))
    new = a_message(3, away(4), epoch=1)
    came(db, [old, change, new], at=away(5))
    reports = dated(db, away(5))
    assert [report.occurred_at for report in reports] == [away(2), away(3), away(4)]
    assert reports[0].uncertainty_s < 2
    quiet(db, away(6), 0.0, through=3)
    assert told(db) == []
    assert clock_watch.watched(db, "d") == clock_watch.Watched(Run.STEADY, None, None)


def test_records_about_a_move_behind_a_change_that_was_told_are_dated(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 0.0)
    old = a_message(1, away(0.5), current=False)
    change = a_message(2, away(-2), epoch=1, value=moved(-3 * 3600))
    # Set back by three hours at one o'clock; at half past two put ahead again.
    shown = [a_message(3, away(-1), epoch=1), a_message(4, away(2.8), epoch=1)]
    came(db, [old, change, *shown], at=away(3))
    reports = dated(db, away(3), batch=1)
    times = [away(0.5), away(1), away(2), away(2.8)]
    assert [report.occurred_at for report in reports] == times
    assert max(report.uncertainty_s for report in reports) < 2
    quiet(db, away(4), 0.0, through=4)
    ((kind, detail),) = told(db)
    assert (kind, detail["why"], detail["moved_s"]) == ("clock_jump", "moved", 10_800)


def test_a_record_on_either_side_of_a_move_behind_a_change_has_no_time(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 0.0)
    old = a_message(1, away(1), current=False)
    change = a_message(2, away(5), epoch=1, value=moved(3 * 3600))
    # Put ahead at two; later back again, without a word: before the record or after.
    came(db, [old, change, a_message(3, away(6.5), epoch=1)], at=away(7))
    reports = dated(db, away(7), batch=1)
    assert [report.occurred_at for report in reports] == [away(1), None, None]


def test_a_change_behind_a_move_is_dated_by_the_reading_behind_both(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 0.0)
    old = a_message(1, away(1), current=False)
    # Put ahead by three hours at two without a word; at four back, as it says.
    change = a_message(2, away(4), epoch=1, value=moved(-3 * 3600))
    came(db, [old, change, a_message(3, away(5), epoch=1)], at=away(6.5))
    reports = dated(db, away(6.5), batch=1)
    assert [report.occurred_at for report in reports] == [away(1), away(4), away(5)]


def test_a_clock_that_we_set_is_no_jump_where_timelines_have_no_number(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 3600.0)
    timelines.note_told(db, "d")
    messages = [
        a_message(1, AT + timedelta(seconds=2) + HOUR, epoch=None),
        a_message(2, AT + timedelta(seconds=9), epoch=None),
    ]
    came(db, messages, at=AT + timedelta(seconds=10))
    reports = dated(db, AT + HOUR)
    seconds = [r.occurred_at and (r.occurred_at - AT).seconds for r in reports]
    assert seconds == [2, 9]
    quiet(db, AT + HOUR, 0.0, through=2)
    assert told(db) == []


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_what_a_whole_transfer_shows_counts_for_its_first_record(
    db: sqlite3.Connection, batch: int
) -> None:
    shown = [away(9), away(12), away(7), away(8)]  # it fell back behind the second
    came(db, [a_message(n, at) for n, at in enumerate(shown, 1)], at=away(10))
    reports = dated(db, away(10), batch)
    assert [r.occurred_at for r in reports] == [None, None, away(7), away(8)]
    assert told(db) == [("clock_jump", {"why": "backwards", "before_record": 3})]


@pytest.mark.parametrize("batch", [2, 100])
def test_many_records_with_one_stamp_have_no_time(
    db: sqlite3.Connection, batch: int
) -> None:
    shown = [away(1), *[away(2)] * 5, away(9)]
    came(db, [a_message(n, at) for n, at in enumerate(shown, 1)], at=away(10))
    reports = dated(db, away(10), batch)
    assert [r.occurred_at for r in reports] == [*[None] * 6, away(9)]
    assert told(db) == [("clock_wrong", {"why": "stopped", "before_record": 7})]


def test_a_record_of_later_than_it_was_read_has_no_time(db: sqlite3.Connection) -> None:
    shown = [away(1), away(30)]
    came(db, [a_message(n, at) for n, at in enumerate(shown, 1)], at=away(10))
    reports = dated(db, away(10))
    assert [r.occurred_at for r in reports] == [away(1), None]
    ((kind, detail),) = told(db)
    assert (kind, detail["why"], detail["record"]) == ("clock_wrong", "future", 2)
    assert detail["ahead_s"] == pytest.approx(20 * 3600 - 5)


def test_an_older_timeline_that_has_no_number_dates_nothing(
    db: sqlite3.Connection,
) -> None:
    messages = [
        a_message(1, away(1), epoch=None, current=False),
        a_message(2, away(2), epoch=None),
    ]
    came(db, messages, at=away(10))
    assert [r.occurred_at for r in dated(db, away(10))] == [None, away(2)]


def test_a_drift_is_told_once_a_day_and_shown(db: sqlite3.Connection) -> None:
    for hour in range(60):
        quiet(db, away(hour), 500e-6 * 3600 * hour)
    found = told(db)
    assert [kind for kind, _ in found] == ["clock_drift", "clock_drift"]
    detail = found[0][1]
    assert detail["rate_ppm"] == pytest.approx(500, abs=detail["uncertainty_ppm"])
    assert detail["gained_s"] == pytest.approx(43.2, abs=0.2)
    shown = clock_watch.watched(db, "d")
    assert shown is not None
    assert (shown.run, shown.rate_ppm) == (Run.DRIFTING, 500.0)
    for hour in range(60, 100):
        quiet(db, away(hour), 500e-6 * 3600 * 60)
    assert (watched := clock_watch.watched(db, "d")) is not None
    assert watched.run is Run.STEADY


def test_a_move_without_a_record_is_told_once(db: sqlite3.Connection) -> None:
    for hour in range(5):
        quiet(db, away(hour), 0.0 if hour < 3 else -3600.0)
    assert [(kind, detail["moved_s"]) for kind, detail in told(db)] == [
        ("clock_jump", -3600.0)
    ]
    assert (watched := clock_watch.watched(db, "d")) is not None
    assert watched.run is Run.MOVED


def test_while_records_wait_the_reading_before_them_stays(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 0.0)
    came(db, [a_message(1, away(1))], at=away(2))
    quiet(db, away(3), 0.0, through=1)
    assert (reading := timelines.last_reading(db, "d", 0)) is not None
    assert reading.anchor.at == AT.timestamp()
    dated(db, away(3))
    quiet(db, away(4), 0.0, through=1)
    assert (reading := timelines.last_reading(db, "d", 0)) is not None
    assert (reading.through, reading.anchor.at) == (1, away(4).timestamp())


def test_a_clock_that_means_nothing_dates_nothing_though_it_was_read_before(
    db: sqlite3.Connection,
) -> None:
    quiet(db, AT, 0.0)
    came(db, [a_message(1, away(1))], at=away(2), ahead_s=None)
    (report,) = dated(db, away(2))
    assert (report.occurred_at, report.offset_s) == (None, None)
    assert report.device_time is not None  # what it showed is kept
