"""What people do to the record: report a dose, void one, hand over a box late."""

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.devices.assign import AlreadyAssigned, assign, end
from backend.errors import Forbidden, NotFound, Unprocessable
from backend.ingest.adopt import adopt
from backend.ingest.correct import AlreadyVoid, void_dose
from backend.ingest.self_report import self_report
from backend.people.readers import Reader
from backend.reminders.plan import replan
from backend.supply.use import dispense
from tests import builders
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    count,
    doses_at_eight,
    eight,
    labels,
    opening,
    send,
)

HOUR = timedelta(hours=1)
OCCURRENCE = f"{MONDAY}T08:00"


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def the_patient(world: World) -> Reader:
    return Reader(uuid4(), "patient", world.patient_id, world.clinic.clinic_id)


def the_clinician(world: World) -> Reader:
    clinician = world.clinician.clinician_id
    return Reader(uuid4(), "clinician", clinician, world.clinic.clinic_id)


def test_a_patients_word_counts_once_however_often_it_is_sent(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    key, at = uuid4(), eight() + HOUR / 2
    reader, regimen = the_patient(world), world.regimen.regimen_id

    first = self_report(session, reader, regimen, at=at, key=key, now=at + HOUR)
    again = self_report(session, reader, regimen, at=at, key=key, now=at + HOUR)

    assert (first, again) == (True, False)
    assert labels(session, world) == {OCCURRENCE: "on_time"}
    rows = fetch(session, "SELECT evidence FROM dose_event")
    assert [row["evidence"] for row in rows] == ["self_reported"]


def test_nobody_reports_for_another_or_from_the_future(
    session: Session, world: World
) -> None:
    stranger = builders.a_patient(session, world.clinic, phone=None)
    other = Reader(uuid4(), "patient", stranger.patient_id, world.clinic.clinic_id)
    regimen, now = world.regimen.regimen_id, eight()

    with pytest.raises(NotFound):
        self_report(session, other, regimen, at=now, key=uuid4(), now=now)
    with pytest.raises(Forbidden):
        self_report(
            session, the_clinician(world), regimen, at=now, key=uuid4(), now=now
        )
    with pytest.raises(Unprocessable):
        self_report(
            session, the_patient(world), regimen, at=now + DAY, key=uuid4(), now=now
        )


def test_a_voided_opening_gives_dose_and_stock_back_and_stays_on_record(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    dispense(
        session,
        world.patient_id,
        world.product.gtin,
        Decimal(30),
        cause="start",
        at=eight() - DAY,
        now=eight() - DAY,
    )
    send(session, world, [opening(world, 1, eight())], now=eight() + HOUR)
    event = fetch(session, "SELECT dose_event_id FROM dose_event")[0]["dose_event_id"]

    void_dose(
        session, the_clinician(world), event, reason="refill", now=eight() + 9 * HOUR
    )

    assert labels(session, world) == {OCCURRENCE: "unknown"}
    assert fetch(session, "SELECT on_hand FROM stock")[0]["on_hand"] == 30
    assert count(session, "stock_entry") == 3
    assert count(session, "dose_event") == 1
    assert count(session, "void") == 1
    assert count(session, "outbox_message") == 0
    with pytest.raises(AlreadyVoid):
        void_dose(session, the_clinician(world), event, reason="again", now=eight())


def a_refill_taken_for_the_dose(session: Session, world: World) -> UUID:
    """A reminder at 08:30 that an opening at 05:00 cancels; the opening."""
    doses_at_eight(session, world)
    replan(session, [world.patient_id], now=eight() - 12 * HOUR)
    send(
        session, world, [opening(world, 1, eight() - 3 * HOUR)], now=eight() - 3 * HOUR
    )
    assert labels(session, world) == {OCCURRENCE: "early"}
    assert reminders(session) == [("cancelled", "dose_recorded")]
    return fetch(session, "SELECT dose_event_id FROM dose_event")[0]["dose_event_id"]


def reminders(session: Session) -> list[tuple[str, str | None]]:
    rows = fetch(session, "SELECT state, why ->> 'cancelled' AS w FROM outbox_message")
    return [(row["state"], row["w"]) for row in rows]


def test_a_dose_that_is_open_again_is_reminded_of_as_it_was_planned(
    session: Session, world: World
) -> None:
    event = a_refill_taken_for_the_dose(session, world)
    now = eight() - 2 * HOUR

    void_dose(session, the_clinician(world), event, reason="refill", now=now)

    assert labels(session, world) == {OCCURRENCE: "pending"}
    assert reminders(session) == [("pending", None)]
    due = fetch(session, "SELECT due_at FROM outbox_message")[0]["due_at"]
    assert due == eight() + HOUR / 2


def test_a_dose_that_is_open_again_too_late_to_remind_rings_nobody(
    session: Session, world: World
) -> None:
    event = a_refill_taken_for_the_dose(session, world)
    now = eight() + HOUR / 2

    void_dose(session, the_clinician(world), event, reason="refill", now=now)

    assert reminders(session) == [("cancelled", "dose_recorded")]


def test_a_dose_that_another_opening_still_covers_stays_without_a_reminder(
    session: Session, world: World
) -> None:
    event = a_refill_taken_for_the_dose(session, world)
    now = eight() - HOUR
    send(session, world, [opening(world, 2, now)], now=now)
    [dose] = fetch(session, "SELECT dose_event_id FROM scheduled_dose")

    assert dose["dose_event_id"] != event
    void_dose(
        session, the_clinician(world), dose["dose_event_id"], reason="look", now=now
    )

    assert labels(session, world) == {OCCURRENCE: "early"}
    assert reminders(session) == [("cancelled", "dose_recorded")]


def test_a_clinician_who_does_not_care_for_the_patient_voids_nothing(
    session: Session, world: World
) -> None:
    send(session, world, [opening(world, 1, eight())], now=eight() + HOUR)
    event = fetch(session, "SELECT dose_event_id FROM dose_event")[0]["dose_event_id"]
    other = builders.a_clinician(session, world.clinic, name="Dr. B")
    reader = Reader(uuid4(), "clinician", other.clinician_id, world.clinic.clinic_id)

    with pytest.raises(NotFound):
        void_dose(session, reader, event, reason="no", now=eight() + HOUR)


def test_records_from_before_the_assignment_was_entered_find_their_patient(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    execute(session, "DELETE FROM assignment")
    send(session, world, [opening(world, 1, eight())], now=eight() + HOUR)
    assert count(session, "dose_event") == 0

    assign(
        session,
        world.device_id,
        world.patient_id,
        regimen_id=world.regimen.regimen_id,
        since=eight() - DAY,
    )
    adopted = adopt(session, world.device_id, now=eight() + 2 * HOUR)

    assert adopted == 1
    assert labels(session, world) == {OCCURRENCE: "on_time"}
    assert adopt(session, world.device_id, now=eight() + 2 * HOUR) == 0


def test_a_compartment_serves_one_patient_at_a_time(
    session: Session, world: World
) -> None:
    second = builders.a_patient(session, world.clinic, phone=None)
    with pytest.raises(AlreadyAssigned):
        assign(session, world.device_id, second.patient_id, since=eight())

    end(session, world.device_id, 0, at=eight())
    assign(session, world.device_id, second.patient_id, since=eight())
    assign(session, world.device_id, second.patient_id, compartment=1, since=eight())

    assert count(session, "assignment") == 3
