"""An order that a person has cancelled stays so, and nobody runs out unawares."""

from datetime import date, datetime, timedelta
from decimal import Decimal

import pytest
from sqlmodel import Session

from backend.audit.record import Actor
from backend.database.sets import execute, fetch
from backend.supply.reorder import review, step
from backend.supply.tables import Reorder
from backend.supply.use import dispense
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    doses_at_eight,
    eight,
    opening,
    send,
)

HOUR = timedelta(hours=1)
NOW = eight() - HOUR
CLINICIAN = Actor("clinician", None, None)
SYSTEM = Actor("system", None, None)


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def given_packs(
    session: Session, world: World, amount: int, *, at: datetime = NOW
) -> None:
    gtin, cause = world.product.gtin, f"{at}"
    dispense(
        session, world.patient_id, gtin, Decimal(amount), cause=cause, at=at, now=at
    )


def looked_at(session: Session, world: World, *, now: datetime) -> list[Reorder]:
    return review(session, [(world.patient_id, world.product.gtin)], now=now)


def cancelled(
    session: Session, world: World, *steps: str, by: Actor = CLINICIAN
) -> None:
    """Have the order opened, brought through these steps and cancelled."""
    order = looked_at(session, world, now=NOW)[0]
    for state in (*steps, "cancelled"):
        whose = world.patient_id, order.reorder_id
        step(session, *whose, state, actor=by, now=NOW)


def taken(session: Session, world: World, days: int) -> None:
    """Let the patient open the box at eight on each of these days."""
    for n in range(days):
        at = eight(MONDAY + n * DAY)
        send(session, world, [opening(world, n + 1, at)], now=at)


def states(session: Session) -> list[str]:
    rows = fetch(session, "SELECT state FROM reorder ORDER BY opened_at, state")
    return [row["state"] for row in rows]


def alerts(session: Session) -> list[tuple[str, str]]:
    rows = fetch(session, "SELECT rule, state FROM alert ORDER BY triggered_at")
    return [(row["rule"], row["state"]) for row in rows]


def test_the_next_dose_does_not_reopen_what_a_clinician_cancelled(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world, days=3)
    given_packs(session, world, 6)
    cancelled(session, world)

    taken(session, world, 1)

    assert states(session) == ["cancelled"]
    assert alerts(session) == []


def test_what_no_person_cancelled_is_ordered_again(
    session: Session, world: World
) -> None:
    given_packs(session, world, 6)
    cancelled(session, world, by=SYSTEM)

    assert [one.state for one in looked_at(session, world, now=NOW + HOUR)] == [
        "placed"
    ]


def test_once_there_was_enough_again_the_next_shortage_is_ordered_for(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world, days=3)
    given_packs(session, world, 6)
    cancelled(session, world)
    given_packs(session, world, 2, at=NOW + HOUR / 2)  # eight: above the point of seven
    assert looked_at(session, world, now=NOW + HOUR / 2) == []

    taken(session, world, 3)

    assert states(session) == ["cancelled", "placed"]


def test_a_little_more_that_is_still_too_little_changes_nothing(
    session: Session, world: World
) -> None:
    given_packs(session, world, 4)
    cancelled(session, world)
    given_packs(session, world, 2, at=NOW + HOUR)

    assert looked_at(session, world, now=NOW + HOUR) == []


def test_a_clinician_is_told_once_when_it_runs_out_sooner_than_it_could_arrive(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world, days=6)
    given_packs(session, world, 6)
    cancelled(session, world)
    rule = f"run-out:{world.product.gtin}"
    taken(session, world, 2)
    assert alerts(session) == []

    taken(session, world, 3)  # three left, three days to deliver
    assert alerts(session) == [(rule, "triggered")]
    execute(session, "UPDATE alert SET state = 'closed', closed_at = :now", now=NOW)
    taken(session, world, 6)

    assert states(session) == ["cancelled"]
    assert alerts(session) == [(rule, "closed")]
    ends = fetch(session, "SELECT finding FROM alert")[0]["finding"]["run_out_on"]
    assert date.fromisoformat(ends) == MONDAY + 5 * DAY
