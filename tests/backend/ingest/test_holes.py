"""Where a device's memory has a hole, silence is no evidence: unknown, never missed."""

from datetime import datetime
from typing import Any

import pytest
from sqlmodel import Session

from backend.database.sets import execute, fetch
from tests import builders
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
    count,
    eight,
    heard,
    opening,
    send,
    tell,
)


@pytest.fixture
def world(session: Session) -> World:
    return a_week(session)


def test_doses_in_the_time_of_lost_records_are_unknown(
    session: Session, world: World
) -> None:
    records = [opening(world, 1, ON_MONDAY), opening(world, 9, ON_FRIDAY)]
    send(session, world, records, now=NOW)
    tell(session, world, [a_gap(world, 2, 8), heard(world, 9, NOW)], now=NOW)

    assert words(session, world) == ["on_time", *["unknown"] * 3, "on_time"]


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0)])
def test_in_whatever_order_the_gap_and_its_neighbours_arrive(
    session: Session, world: World, order: tuple[int, ...]
) -> None:
    wednesday = opening(world, 9, eight(DAYS[2]))
    last = opening(world, 10, ON_FRIDAY)
    steps = [
        lambda: send(session, world, [opening(world, 1, ON_MONDAY)], now=NOW),
        lambda: tell(session, world, [a_gap(world, 2, 8)], now=NOW),
        lambda: send(session, world, [wednesday, last], now=NOW),
    ]
    for step in order:
        steps[step]()
        tell(session, world, [heard(world, 10, NOW)], now=NOW)

    assert words(session, world) == [
        "on_time",
        "unknown",
        "on_time",
        "missed",
        "on_time",
    ]


def test_a_gap_takes_back_the_missed_that_was_said_before(
    session: Session, world: World
) -> None:
    records = [opening(world, 1, ON_MONDAY), opening(world, 9, ON_FRIDAY)]
    send(session, world, records, now=NOW)
    tell(session, world, [heard(world, 9, NOW)], now=NOW)
    assert words(session, world)[1:4] == ["missed"] * 3

    tell(session, world, [a_gap(world, 2, 8)], now=NOW)

    assert words(session, world)[1:4] == ["unknown"] * 3


@pytest.mark.parametrize(
    "changes",
    [
        {"occurred_at": None},
        {"occurred_at": (NOW + 99 * DAY).isoformat()},
        {"occurred_at": "1999-01-01T00:00:00Z"},
        {"uncertainty_s": 9 * 3600.0},
        {"evidence": None, "occurred_at": None, "raw": "AAEC"},
        {"evidence": "swallowed"},
    ],
    ids=str,
)
def test_a_record_nobody_can_date_may_be_any_dose_since_the_one_before(
    session: Session, world: World, changes: dict[str, Any]
) -> None:
    odd = opening(world, 2, eight(DAYS[2])) | changes
    records = [opening(world, 1, ON_MONDAY), odd, opening(world, 3, ON_FRIDAY)]

    send(session, world, records, now=NOW)
    tell(session, world, [heard(world, 3, NOW)], now=NOW)

    assert words(session, world) == ["on_time", *["unknown"] * 3, "on_time"]


def test_an_unreadable_record_of_known_time_makes_only_its_own_dose_unknown(
    session: Session, world: World
) -> None:
    odd = opening(world, 2, eight(DAYS[2]), evidence=None, raw="AAEC")
    records = [opening(world, 1, ON_MONDAY), odd, opening(world, 3, ON_FRIDAY)]

    send(session, world, records, now=NOW)
    tell(session, world, [heard(world, 3, NOW)], now=NOW)

    assert words(session, world)[1:4] == ["missed", "unknown", "missed"]


def test_a_bridge_that_knows_the_clock_closes_the_hole(
    session: Session, world: World
) -> None:
    undated = opening(world, 2, None)
    records = [opening(world, 1, ON_MONDAY), undated, opening(world, 3, ON_FRIDAY)]
    send(session, world, records, now=NOW)
    tell(session, world, [heard(world, 3, NOW)], now=NOW)

    dated = {**undated, "occurred_at": eight(DAYS[2]).isoformat()}
    first = send(session, world, [dated], now=NOW)
    again = send(session, world, [dated, undated], now=NOW)

    assert [verdict.verdict for verdict in first] == ["new"]
    assert [verdict.verdict for verdict in again] == ["known", "known"]
    assert words(session, world)[1:4] == ["missed", "on_time", "missed"]
    assert count(session, "dose_event") == 3


def test_numbers_that_began_again_unnoticed_lead_to_unknown_not_missed(
    session: Session, world: World
) -> None:
    """Each of them clashes with an old record; what they tell of still happened."""
    send(session, world, [opening(world, 1, ON_MONDAY - 30 * DAY)], now=NOW - 30 * DAY)

    verdicts = send(session, world, [opening(world, 1, eight(DAYS[1]))], now=NOW)
    tell(session, world, [heard(world, 1, NOW)], now=NOW)

    assert verdicts[0].reason == "conflict"
    assert words(session, world)[:3] == ["missed", "unknown", "missed"]


def assigned(session: Session, world: World, until: datetime) -> None:
    execute(session, "UPDATE assignment SET until = :until", until=until)


def test_a_box_that_came_in_the_middle_of_a_window_did_not_see_its_beginning(
    session: Session, world: World
) -> None:
    execute(session, "UPDATE assignment SET since = :since", since=eight() + HOUR)

    tell(session, world, [heard(world, 0, NOW)], now=NOW)

    assert words(session, world) == ["unknown", *["missed"] * 4]


def test_a_box_that_was_handed_back_is_heard_for_its_time_only(
    session: Session, world: World
) -> None:
    assigned(session, world, eight(DAYS[2]) + HOUR)

    tell(session, world, [heard(world, 0, NOW)], now=NOW)

    assert words(session, world) == ["missed", "missed", *["unknown"] * 3]


def test_two_boxes_after_one_another_are_heard_as_one(
    session: Session, world: World
) -> None:
    handed = eight(DAYS[2]) + HOUR
    assigned(session, world, handed)
    second = builders.a_device(session, world.clinic)
    builders.an_assignment(
        session, second, world.patient, regimen=world.regimen, since=handed
    )
    of_second = heard(world, 0, NOW) | {"device_id": str(second.device_id)}
    tell(session, world, [of_second], now=NOW)
    assert words(session, world)[:4] == [*["unknown"] * 3, "missed"]

    tell(session, world, [heard(world, 0, handed)], now=NOW)

    assert words(session, world) == ["missed"] * 5


def test_two_boxes_at_once_must_both_be_heard(session: Session, world: World) -> None:
    second = builders.a_device(session, world.clinic)
    builders.an_assignment(session, second, world.patient, regimen=world.regimen)
    tell(session, world, [heard(world, 0, NOW)], now=NOW)
    assert words(session, world) == ["unknown"] * 5

    of_second = heard(world, 0, NOW) | {"device_id": str(second.device_id)}
    tell(session, world, [of_second], now=NOW)

    assert words(session, world) == ["missed"] * 5


def test_the_contact_never_claims_numbers_of_an_older_epoch(
    session: Session, world: World
) -> None:
    """Or a new bridge would pass over records that nobody has fetched."""
    records = [opening(world, 500, ON_MONDAY), opening(world, 3, ON_FRIDAY, epoch=2)]
    send(session, world, records, now=NOW)
    new = heard(world, 3, NOW)
    new["heard_until"] |= {"epoch": 2}

    tell(session, world, [heard(world, 500, NOW - HOUR), new], now=NOW)
    tell(session, world, [heard(world, 500, NOW)], now=NOW)

    row = fetch(session, "SELECT epoch, sequence FROM device_contact")[0]
    assert (row["epoch"], row["sequence"]) == (2, 3)


def test_what_was_heard_before_an_undated_record_came_stays_missed(
    session: Session, world: World
) -> None:
    tuesday = eight(DAYS[1]) + 10 * HOUR
    tell(session, world, [heard(world, 0, tuesday)], now=tuesday)

    send(session, world, [opening(world, 1, None)], now=NOW)
    tell(session, world, [heard(world, 1, NOW)], now=NOW)

    assert words(session, world) == ["missed", "missed", *["unknown"] * 3]


@pytest.mark.parametrize("since", ["never", (NOW + 99 * DAY).isoformat(), None])
def test_a_sender_never_says_since_when_records_are_lost(
    session: Session, world: World, since: str | None
) -> None:
    gap = a_gap(world, 2, 8)
    gap["detail"] |= {"since": since}
    records = [opening(world, 1, ON_MONDAY), opening(world, 9, ON_FRIDAY)]
    send(session, world, records, now=NOW)

    tell(session, world, [gap, heard(world, 9, NOW)], now=NOW)

    assert words(session, world)[1:4] == ["unknown"] * 3


def test_a_gap_that_a_record_tells_of_is_where_its_numbers_are(
    session: Session, world: World
) -> None:
    records = [opening(world, 1, ON_MONDAY), opening(world, 4, eight(DAYS[2]))]
    send(session, world, records, now=NOW)
    told = opening(world, 9, ON_FRIDAY)
    record = {name: told[name] for name in ("epoch", "sequence", "payload_hash")}
    gap = a_gap(world, 2, 3) | {"record": record}

    tell(session, world, [gap, heard(world, 9, NOW)], now=NOW)

    assert words(session, world) == [
        "on_time",
        "unknown",
        "on_time",
        "missed",
        "missed",
    ]
