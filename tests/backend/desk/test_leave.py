"""Who withdraws or is erased leaves no order behind that somebody still fills."""

from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from backend.audit.record import SYSTEM
from backend.database.sets import execute, fetch
from backend.desk.leave import erase_person, withdraw_consent
from backend.feeds.orders import FEED, publish
from backend.feeds.read import read
from backend.people.readers import Reader
from backend.supply.reorder import review, step
from backend.supply.tables import Reorder
from backend.supply.use import dispense
from tests import builders
from tests.backend.ingest.world import DAY, World, a_world, another, count, eight

NOW = eight()


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def an_order(session: Session, world: World, *steps: str) -> Reorder:
    """Return an order that its maker was told of, brought through these steps."""
    gtin = world.product.gtin
    start = NOW - DAY
    dispense(
        session, world.patient_id, gtin, Decimal(2), cause="start", at=start, now=start
    )
    order = review(session, [(world.patient_id, gtin)], now=NOW)[0]
    publish(session, order, now=NOW)
    for state in steps:
        whose = world.patient_id, order.reorder_id
        publish(session, step(session, *whose, state, actor=SYSTEM, now=NOW), now=NOW)
    return order


def told(session: Session, world: World) -> list[dict[str, Any]]:
    maker = world.manufacturer.organization_id
    reader = Reader(uuid4(), "manufacturer", maker, None)
    return read(session, reader, FEED, after=0, limit=1000)


def states(session: Session) -> list[str]:
    return [row["state"] for row in fetch(session, "SELECT state FROM reorder")]


def withdraws(session: Session, world: World, recipient_id: UUID | None = None) -> bool:
    return withdraw_consent(
        session,
        world.patient_id,
        "supply",
        recipient_id or world.manufacturer.organization_id,
        actor=SYSTEM,
        now=NOW,
    )


@pytest.mark.parametrize("steps", [(), ("acknowledged",)])
def test_a_withdrawn_consent_calls_off_the_order_and_says_no_more_than_that(
    session: Session, world: World, steps: tuple[str, ...]
) -> None:
    order = an_order(session, world, *steps)

    assert withdraws(session, world)

    assert states(session) == ["cancelled"]
    last = told(session, world)[-1]
    assert set(last) == {"cursor", "recorded_at", "reorder_id", "state"}
    assert (last["reorder_id"], last["state"]) == (str(order.reorder_id), "cancelled")
    open_orders = "SELECT open_reorders FROM patient_state"
    assert fetch(session, open_orders)[0]["open_reorders"] == 0


def test_what_is_on_its_way_is_still_awaited_after_a_withdrawal(
    session: Session, world: World
) -> None:
    an_order(session, world, "shipped")

    withdraws(session, world)

    assert states(session) == ["shipped"]
    assert [row["state"] for row in told(session, world)] == ["placed", "shipped"]


def test_a_proposal_outlives_a_withdrawal_for_it_is_the_clinics_own(
    session: Session, world: World
) -> None:
    execute(session, "UPDATE product SET controlled = true")
    an_order(session, world)

    withdraws(session, world)

    assert states(session) == ["proposed"]
    assert told(session, world) == []


def test_a_consent_withdrawn_from_somebody_else_calls_nothing_off(
    session: Session, world: World
) -> None:
    other = builders.a_manufacturer(session, name="Other").organization_id
    builders.a_consent(session, world.patient, "supply", other)
    neighbour = another(session, world)
    an_order(session, world)
    an_order(session, neighbour)

    withdraws(session, world, other)

    assert states(session) == ["placed", "placed"]


@pytest.mark.parametrize("steps", [(), ("acknowledged",), ("shipped",)])
def test_an_erased_persons_order_is_called_off_before_it_is_gone(
    session: Session, world: World, steps: tuple[str, ...]
) -> None:
    order = an_order(session, world, *steps)

    erase_person(session, world.patient_id, actor=SYSTEM, now=NOW)

    assert count(session, "reorder") == 0
    last = told(session, world)[-1]
    assert set(last) == {"cursor", "recorded_at", "reorder_id", "state"}
    assert (last["reorder_id"], last["state"]) == (str(order.reorder_id), "cancelled")


def test_nobody_hears_of_an_erased_persons_orders_that_are_over_or_only_proposed(
    session: Session, world: World
) -> None:
    an_order(session, world, "shipped", "delivered")
    neighbour = another(session, world)
    execute(session, "UPDATE product SET controlled = true")
    an_order(session, neighbour)

    for one in (world, neighbour):
        erase_person(session, one.patient_id, actor=SYSTEM, now=NOW)

    assert "cancelled" not in [row["state"] for row in told(session, world)]


def test_an_erased_persons_feed_rows_keep_their_place_and_name_nobody(
    session: Session, world: World
) -> None:
    an_order(session, world, "acknowledged", "shipped", "delivered")
    neighbour = another(session, world)
    an_order(session, neighbour)
    before = told(session, world)

    erase_person(session, world.patient_id, actor=SYSTEM, now=NOW)

    after = told(session, world)
    assert [row["cursor"] for row in after] == [row["cursor"] for row in before]
    names = [row["patient_pseudonym"] for row in after]
    assert names == [None] * 4 + [before[-1]["patient_pseudonym"]]
    rest = [{**row, "patient_pseudonym": None} for row in before]
    assert [{**row, "patient_pseudonym": None} for row in after] == rest
