"""Numbers that begin again, come twice, or are told lost though they are stored."""

from datetime import datetime

import pytest
from sqlmodel import Session

from backend.devices.epochs import open_epoch
from backend.ingest.renumber import renumber
from tests.backend.ingest.week import (
    DAYS,
    HOUR,
    NOW,
    ON_FRIDAY,
    ON_MONDAY,
    a_gap,
    a_week,
    words,
)
from tests.backend.ingest.world import (
    DAY,
    World,
    eight,
    heard,
    opening,
    send,
    tell,
)


@pytest.fixture
def world(session: Session) -> World:
    return a_week(session)


def test_a_gap_after_a_reset_is_sought_among_the_new_numbers(
    session: Session, world: World
) -> None:
    send(session, world, [opening(world, 5, ON_MONDAY)], now=NOW)
    epoch = open_epoch(session, world.device_id, after=(1, 5), reason="reset", now=NOW)
    tell(session, world, [a_gap(world, 1, 3)], now=NOW)
    new = opening(world, 4, eight(DAYS[2]), epoch=epoch)
    send(session, world, [new, opening(world, 6, ON_FRIDAY, epoch=epoch)], now=NOW)
    tell(session, world, [heard(world, 5, NOW)], now=NOW)

    assert words(session, world) == [
        "on_time",
        "unknown",
        "on_time",
        "missed",
        "on_time",
    ]


def reset(session: Session, world: World, *, now: datetime, reason: str) -> int:
    device = world.device_id
    return renumber(session, device, after=(1, 1), reason=reason, now=now)


@pytest.mark.parametrize("reason", ["reset", "unknown"])
@pytest.mark.parametrize("order", ["heard first", "reset first"])
def test_doses_between_the_last_old_number_and_the_first_new_one_are_unknown(
    session: Session, world: World, reason: str, order: str
) -> None:
    """A factory reset wipes what nobody had fetched, and an emptied box is heard too.

    Heard on Monday, out of reach on Tuesday and Wednesday, reset on Thursday.
    """
    evening = ON_MONDAY + 10 * HOUR
    send(session, world, [opening(world, 1, ON_MONDAY)], now=evening)
    tell(session, world, [heard(world, 1, evening)], now=evening)
    now = eight(DAYS[3]) + 10 * HOUR
    if order == "heard first":
        tell(session, world, [heard(world, 0, now)], now=now)
        assert words(session, world)[1:4] == ["missed"] * 3

    epoch = reset(session, world, now=now, reason=reason)
    new = opening(world, 1, eight(DAYS[3]), epoch=epoch)
    send(session, world, [new], now=now)
    tell(session, world, [heard(world, 1, NOW)], now=NOW)

    assert words(session, world) == [
        "on_time",
        "unknown",
        "unknown",
        "on_time",
        "missed",
    ]


def test_a_reset_without_a_new_record_leaves_a_hole_until_it_was_noticed(
    session: Session, world: World
) -> None:
    send(session, world, [opening(world, 1, ON_MONDAY)], now=NOW)
    wednesday = eight(DAYS[2]) + HOUR

    epoch = reset(session, world, now=wednesday, reason="reset")
    tell(session, world, [heard(world, 0, NOW)], now=NOW)

    assert reset(session, world, now=NOW, reason="reset") == epoch
    assert words(session, world) == [
        "on_time",
        "unknown",
        "unknown",
        "missed",
        "missed",
    ]


def test_numbers_that_another_bridge_gave_the_old_name_end_no_hole_sooner(
    session: Session, world: World
) -> None:
    """It had not noticed the reset; what was lost lay before these records."""
    send(session, world, [opening(world, 1, ON_MONDAY)], now=NOW)
    send(session, world, [opening(world, 5, eight(DAYS[3]))], now=NOW)

    epoch = reset(session, world, now=NOW, reason="reset")
    new = opening(world, 4, eight(DAYS[3]) - HOUR, epoch=epoch)
    send(session, world, [new], now=NOW)
    tell(session, world, [heard(world, 5, NOW)], now=NOW)

    assert words(session, world)[:3] == ["on_time", "unknown", "unknown"]


def test_a_clock_that_was_set_lost_no_record(session: Session, world: World) -> None:
    send(session, world, [opening(world, 1, ON_MONDAY)], now=NOW)

    reset(session, world, now=NOW, reason="clock_set")
    tell(session, world, [heard(world, 1, NOW)], now=NOW)

    assert words(session, world) == ["on_time", *["missed"] * 4]


@pytest.mark.parametrize(
    ("before", "wanted"),
    [
        ("heard", ["missed", "missed", "unknown", "missed", "missed"]),
        ("recorded", ["on_time", "unknown", "unknown", "missed", "missed"]),
    ],
)
def test_an_undated_record_with_an_old_number_was_made_since_the_box_was_heard(
    session: Session, world: World, before: str, wanted: list[str]
) -> None:
    """A new battery: clock and numbering began again, and what it clashes with is old.

    Of a box that was never heard: since its last record.
    """
    in_january = [opening(world, n, ON_MONDAY + (n - 50) * DAY) for n in range(1, 10)]
    send(session, world, in_january, now=NOW)
    tuesday, wednesday = eight(DAYS[1]) + 5 * HOUR, eight(DAYS[2]) + 5 * HOUR
    if before == "heard":
        tell(session, world, [heard(world, 9, tuesday)], now=tuesday)
    else:
        send(session, world, [opening(world, 10, ON_MONDAY)], now=tuesday)

    batch = [opening(world, 5, None), opening(world, 11, wednesday)]
    verdicts = send(session, world, batch, now=wednesday)
    tell(session, world, [heard(world, 9, NOW)], now=NOW)

    assert verdicts[0].reason == "conflict"
    assert words(session, world) == wanted


@pytest.mark.parametrize("order", ["stored first", "gap first"])
def test_a_gap_of_numbers_that_are_stored_is_none(
    session: Session, world: World, order: str
) -> None:
    """A second bridge tells what it sees; the first had read these before."""
    records = [opening(world, n, ON_MONDAY + n * HOUR / 9) for n in range(1, 9)]
    records.append(opening(world, 9, ON_FRIDAY))
    steps = [
        lambda: send(session, world, records, now=NOW),
        lambda: tell(session, world, [a_gap(world, 2, 8)], now=NOW),
    ]
    for step in steps if order == "stored first" else reversed(steps):
        step()
        tell(session, world, [heard(world, 9, NOW)], now=NOW)

    assert words(session, world) == ["on_time", *["missed"] * 3, "on_time"]


def test_of_a_gap_only_the_numbers_that_are_not_stored_are_lost(
    session: Session, world: World
) -> None:
    days = [ON_MONDAY, eight(DAYS[1]) + 6 * HOUR, eight(DAYS[2]) + 6 * HOUR, ON_FRIDAY]
    numbers = [1, 4, 5, 2**40]
    stored = [opening(world, n, at) for n, at in zip(numbers, days, strict=True)]
    send(session, world, stored, now=NOW)

    gap = a_gap(world, 1, 2**40 - 1)
    tell(session, world, [gap, heard(world, 5, NOW)], now=NOW)

    assert words(session, world) == [
        "on_time",
        "unknown",
        "missed",
        "unknown",
        "on_time",
    ]


def test_a_stored_number_of_an_older_numbering_fills_no_gap(
    session: Session, world: World
) -> None:
    old = [opening(world, n, ON_MONDAY - 9 * DAY + n * DAY) for n in range(1, 10)]
    send(session, world, old, now=NOW)
    epoch = open_epoch(session, world.device_id, after=(1, 9), reason="reset", now=NOW)
    new = [opening(world, n, eight(DAYS[n - 1]), epoch=epoch) for n in (2, 5)]
    send(session, world, new, now=NOW)

    tell(session, world, [a_gap(world, 3, 4), heard(world, 9, NOW)], now=NOW)

    assert words(session, world)[2:4] == ["unknown", "unknown"]
