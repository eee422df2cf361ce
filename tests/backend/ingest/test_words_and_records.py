"""What a patient said and what the device then delivers of the same dose."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlmodel import Session

from backend.database.sets import fetch
from backend.ingest.self_report import self_report
from backend.people.readers import Reader
from backend.supply.use import dispense
from tests.backend.ingest.world import (
    DAY,
    World,
    a_world,
    doses_at_eight,
    eight,
    labels,
    opening,
    send,
)

NOON = eight() + timedelta(hours=4)


def says(session: Session, world: World) -> None:
    reader = Reader(uuid4(), "patient", world.patient_id, world.clinic.clinic_id)
    regimen = world.regimen.regimen_id
    self_report(session, reader, regimen, at=eight(), key=uuid4(), now=NOON)


def delivers(session: Session, world: World) -> None:
    item = opening(
        world,
        1,
        eight() + timedelta(minutes=20),
        evidence="dose_delivered",
        amount="1",
        unit="1",
    )
    send(session, world, [item], now=NOON)


@pytest.mark.parametrize(
    "arriving", [(says, delivers), (delivers, says)], ids=["word first", "record first"]
)
def test_a_dose_that_was_said_and_recorded_is_one_dose_and_one_unit_of_stock(
    session: Session, arriving: tuple[Callable[[Session, World], None], ...]
) -> None:
    world = a_world(session)
    doses_at_eight(session, world)
    before = eight() - DAY
    dispense(
        session,
        world.patient_id,
        world.product.gtin,
        Decimal(30),
        cause="start",
        at=before,
        now=before,
    )

    for arrive in arriving:
        arrive(session, world)

    events = fetch(session, "SELECT evidence, label FROM dose_event ORDER BY evidence")
    assert [(row["evidence"], row["label"]) for row in events] == [
        ("dose_delivered", "therapeutic"),
        ("self_reported", "duplicate"),
    ]
    assert set(labels(session, world).values()) == {"on_time"}
    [dose] = fetch(
        session,
        "SELECT evidence FROM scheduled_dose "
        "JOIN dose_event USING (patient_id, dose_event_id)",
    )
    assert dose["evidence"] == "dose_delivered"
    assert fetch(session, "SELECT on_hand FROM stock")[0]["on_hand"] == 29
