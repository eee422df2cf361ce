"""When a stock runs out follows from the facts, not from when they were told."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.state.refresh import refresh
from backend.supply.reorder import review
from backend.supply.use import dispense
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    doses_at_eight,
    eight,
    heard,
    opening,
    send,
    tell,
)

DAYS = 14
NOW = eight(MONDAY + DAYS * DAY)


@pytest.fixture
def world(session: Session) -> World:
    made = a_world(session)
    doses_at_eight(session, made, days=DAYS)
    dispense(
        session,
        made.patient_id,
        made.product.gtin,
        Decimal(20),
        cause="start",
        at=eight(),
        now=eight(),
    )
    return made


@pytest.mark.parametrize("first", ["recorded", "heard"])
def test_doses_that_turn_out_missed_lower_what_is_used_a_day(
    session: Session, world: World, first: str
) -> None:
    steps = [
        lambda: send(session, world, [opening(world, 1, eight())], now=NOW),
        lambda: tell(session, world, [heard(world, 0, NOW)], now=NOW),
    ]
    for act in steps if first == "recorded" else reversed(steps):
        act()

    row = fetch(session, "SELECT run_out_on, use_per_day FROM stock")[0]
    # One in fourteen days, and fourteen days of one each to begin with.
    assert row["use_per_day"] == Decimal("0.535714")
    assert row["run_out_on"] == NOW.date() + timedelta(days=35)
    assert state(session, world)["run_out_on"] == row["run_out_on"]


def test_what_is_no_longer_prescribed_runs_out_for_nobody(
    session: Session, world: World
) -> None:
    review(session, [(world.patient_id, world.product.gtin)], now=NOW)
    execute(session, "UPDATE stock SET run_out_on = :day", day=NOW.date())
    refresh(session, [world.patient_id], now=NOW)
    assert "runs_out" in needs(session, world)

    execute(session, "UPDATE regimen_version SET until = :now", now=NOW)
    refresh(session, [world.patient_id], now=NOW)

    assert state(session, world)["run_out_on"] is None
    assert "runs_out" not in needs(session, world)


def state(session: Session, world: World) -> Any:  # noqa: ANN401 (a row)
    return fetch(
        session,
        "SELECT run_out_on, needs FROM patient_state WHERE patient_id = :id",
        id=world.patient_id,
    )[0]


def needs(session: Session, world: World) -> set[str]:
    return {reason["code"] for reason in state(session, world)["needs"]}
