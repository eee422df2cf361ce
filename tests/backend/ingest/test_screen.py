"""From facts to alerts: raised once, kept up to date, taken back when disproved."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlmodel import Session

from backend.alerts.act import close
from backend.alerts.screen import due_again, screen
from backend.database.sets import execute, fetch
from backend.people.readers import Reader
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    count,
    doses_at_eight,
    eight,
    heard,
    opening,
    send,
    tell,
)

HOUR = timedelta(hours=1)
LAST = MONDAY + 3 * DAY


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def four_missed(session: Session, world: World) -> datetime:
    """Four doses that the box, heard each evening, did not see; now, that evening."""
    doses_at_eight(session, world, days=4)
    now = eight(LAST) + 10 * HOUR
    tell(session, world, [heard(world, 0, now)], now=now)
    return now


def alerts(session: Session) -> list[tuple[str, str, str | None]]:
    rows = fetch(session, "SELECT rule, state, outcome FROM alert")
    return [(r["rule"].split(":")[0], r["state"], r["outcome"]) for r in rows]


def test_a_run_of_missed_doses_raises_one_alert(session: Session, world: World) -> None:
    now = four_missed(session, world)

    first = screen(session, [world.patient_id], now=now)
    again = screen(session, [world.patient_id], now=now + HOUR)

    assert first == {world.patient_id}
    assert again == set()
    assert alerts(session) == [("doses-missed-in-a-row", "triggered", None)]
    assert count(session, "decision") == 1
    assert fetch(session, "SELECT repeats FROM alert")[0]["repeats"] == 0


def test_doses_that_arrive_late_take_the_alert_back(
    session: Session, world: World
) -> None:
    now = four_missed(session, world)
    screen(session, [world.patient_id], now=now)

    taken = [opening(world, n, eight(MONDAY) + (n - 1) * DAY) for n in range(1, 5)]
    send(session, world, taken, now=now + HOUR)
    screen(session, [world.patient_id], now=now + HOUR)

    assert alerts(session) == [("doses-missed-in-a-row", "closed", "retracted")]


def test_a_run_that_merely_ended_stays_for_a_clinician(
    session: Session, world: World
) -> None:
    now = four_missed(session, world)
    screen(session, [world.patient_id], now=now)
    doses_at_eight(session, world, first=LAST + DAY)

    send(session, world, [opening(world, 1, eight(LAST + DAY))], now=now + DAY)
    screen(session, [world.patient_id], now=now + DAY)

    assert alerts(session) == [("doses-missed-in-a-row", "triggered", None)]


def missed_run(session: Session) -> list[tuple[str, str | None]]:
    rows = fetch(
        session,
        """SELECT state, outcome FROM alert WHERE rule LIKE 'doses-missed-in-a-row:%'
        ORDER BY triggered_at""",
    )
    return [(row["state"], row["outcome"]) for row in rows]


def test_one_dose_found_in_the_middle_takes_the_run_back(
    session: Session, world: World
) -> None:
    now = four_missed(session, world)
    screen(session, [world.patient_id], now=now)

    send(session, world, [opening(world, 1, eight(LAST - DAY))], now=now + HOUR)
    screen(session, [world.patient_id], now=now + HOUR)

    assert missed_run(session) == [("closed", "retracted")]


def test_a_true_run_stays_when_its_doses_are_older_than_the_look_back(
    session: Session, world: World
) -> None:
    now = four_missed(session, world)
    screen(session, [world.patient_id], now=now)

    screen(session, [world.patient_id], now=now + 40 * DAY)
    assert missed_run(session) == [("triggered", None)]

    send(session, world, [opening(world, 1, eight(LAST - DAY))], now=now + 40 * DAY)
    screen(session, [world.patient_id], now=now + 40 * DAY)
    assert missed_run(session) == [("closed", "retracted")]


def test_a_closed_run_longer_than_the_look_back_needs_a_newer_dose_to_come_back(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world, days=34)
    now = eight(MONDAY + 33 * DAY) + 10 * HOUR
    tell(session, world, [heard(world, 0, now)], now=now)
    screen(session, [world.patient_id], now=now)
    row = fetch(session, "SELECT alert_id FROM alert WHERE state <> 'closed'")[0]
    reader = Reader(
        uuid4(), "clinician", world.clinician.clinician_id, world.clinic.clinic_id
    )
    close(session, reader, row["alert_id"], outcome="other_cause", now=now)

    screen(session, [world.patient_id], now=now + 2 * DAY)

    assert missed_run(session) == [("closed", "other_cause")]


def test_out_of_range_is_no_missed_run(session: Session, world: World) -> None:
    doses_at_eight(session, world, days=4)
    now = eight(LAST) + 10 * HOUR
    send(session, world, [opening(world, 1, eight() - 3 * DAY)], now=now)

    screen(session, [world.patient_id], now=now)

    assert "doses-missed-in-a-row" not in {rule for rule, _, _ in alerts(session)}


def test_a_device_without_a_time_raises_once_and_is_resolved_by_one(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world, days=2)
    now = eight() + HOUR
    tell(session, world, [heard(world, 0, eight() - HOUR)], now=now - 2 * HOUR)
    lost = [opening(world, n, None) for n in (1, 2)]
    send(session, world, lost, now=now)
    assert count(session, "screen_due") == 1
    for _ in range(2):
        screen(session, [world.patient_id], now=now)
    assert alerts(session) == [("device-silent", "triggered", None)]
    [row] = fetch(session, "SELECT title, repeats FROM alert")
    assert "2 records have no time" in row["title"]
    assert row["repeats"] == 0

    send(session, world, [opening(world, 3, now + HOUR)], now=now + HOUR)
    screen(session, [world.patient_id], now=now + HOUR)
    assert alerts(session) == [("device-silent", "closed", "retracted")]


def test_a_silent_device_raises_and_is_resolved_when_it_is_heard(
    session: Session, world: World
) -> None:
    then = eight()
    tell(session, world, [heard(world, 0, then)], now=then)
    now = then + 3 * DAY
    execute(session, "DELETE FROM screen_due")
    assert due_again(session, now=now) == 1

    screen(session, [world.patient_id], now=now)
    assert alerts(session) == [("device-silent", "triggered", None)]
    execute(session, "DELETE FROM screen_due")
    assert due_again(session, now=now + HOUR) == 0

    tell(session, world, [heard(world, 0, now)], now=now)
    screen(session, [world.patient_id], now=now)
    assert alerts(session) == [("device-silent", "closed", "retracted")]
