"""Doses as needed: who is warned, of what, and what is taken back."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import Session, select

from backend.alerts.tables import Alert
from backend.audit.tables import Decision
from backend.doses.tables import DoseEvent
from backend.ingest.correct import void_dose
from backend.ingest.self_report import self_report
from backend.ingest.word import word
from backend.outbox.message import Claimed, Dropped, Worded
from backend.outbox.tables import OutboxMessage
from backend.people.readers import Reader
from backend.regimens.tables import RegimenVersion
from backend.regimens.timing import AsNeeded
from backend.regimens.timing_json import to_json
from tests.backend.ingest.world import World, a_world, opening, send

HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
FOUR = AsNeeded(4, 4 * HOUR)


def as_needed(session: Session, guard: AsNeeded = FOUR) -> World:
    world = a_world(session)
    version = session.get_one(
        RegimenVersion, (world.patient_id, world.regimen.regimen_id, 1)
    )
    version.timing = to_json(guard)
    session.flush()
    return world


def take(
    session: Session,
    world: World,
    number: int,
    at: datetime,
    *,
    now: datetime | None = None,
    **how: object,
) -> None:
    """Record a dose the minute it is taken, unless `now` says otherwise."""
    heard = now or at + timedelta(minutes=1)
    send(session, world, [opening(world, number, at, **how)], now=heard)


def alerts(session: Session) -> list[Alert]:
    session.expire_all()
    return [
        one
        for one in session.exec(select(Alert))
        if one.rule.startswith("as-needed-limit") and one.state != "closed"
    ]


def messages(session: Session) -> list[OutboxMessage]:
    session.expire_all()
    return [m for m in session.exec(select(OutboxMessage)) if m.kind == "limit"]


def test_doses_within_limits_say_nothing(session: Session) -> None:
    world = as_needed(session)
    for number in range(4):
        take(session, world, number, NOON + number * 4 * HOUR)

    assert (alerts(session), messages(session)) == ([], [])


def test_a_dose_too_soon_warns_the_patient_and_tells_the_clinician(
    session: Session,
) -> None:
    world = as_needed(session)
    take(session, world, 1, NOON)
    take(session, world, 2, NOON + HOUR)

    [alert] = alerts(session)
    [message] = messages(session)
    assert alert.finding | {"dose_event_id": "", "subject": ""} == {
        "code": "as-needed-limit",
        "subject": "",
        "at": "2026-03-04T13:00:00+00:00",
        "limits": "too_soon",
        "doses_in_24_hours": 2.0,
        "most_in_24_hours": 4,
        "least_hours": 4.0,
        "free_at": "2026-03-04T17:00:00+00:00",
        "dose_event_id": "",
    }
    assert message.valid_until == NOON + 5 * HOUR
    assert message.due_at == NOON + HOUR + timedelta(minutes=1)
    assert "exemplin" not in str(message.model_dump())
    decided = [d.rule for d in session.exec(select(Decision))]
    assert f"alert/as-needed-limit:{world.regimen.regimen_id}" in decided


def test_the_fifth_dose_in_24_hours_is_one_too_many(session: Session) -> None:
    world = as_needed(session, AsNeeded(4))
    for number in range(5):
        take(session, world, number, NOON + number * 5 * HOUR)

    [alert] = alerts(session)
    assert alert.finding["limits"] == "too_many"
    # The first leaves the 24 hours at noon, but four still lie in them; then three.
    assert alert.finding["free_at"] == "2026-03-05T17:00:00+00:00"


@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_24_hours_are_real_time_where_the_day_has_23_or_25(
    session: Session, day: str
) -> None:
    # The patient lives in Zurich: from 08:00 to 08:00 these are 23 or 25 hours.
    world = as_needed(session, AsNeeded(1))
    zurich = ZoneInfo("Europe/Zurich")
    morning = datetime.fromisoformat(f"{day}T08:00").replace(tzinfo=zurich)
    before = (morning - timedelta(days=1)).astimezone(UTC)  # by the wall
    take(session, world, 1, before)
    take(session, world, 2, morning.astimezone(UTC))

    assert len(alerts(session)) == (day == "2026-03-29")


def test_history_never_rings(session: Session) -> None:
    world = as_needed(session)
    late = NOON + 3 * HOUR
    take(session, world, 1, NOON, now=late)
    take(session, world, 2, NOON + HOUR, now=late)

    assert (alerts(session), messages(session)) == ([], [])


def test_what_is_sent_again_warns_once(session: Session) -> None:
    world = as_needed(session)
    take(session, world, 1, NOON)
    for _ in range(2):
        take(session, world, 2, NOON + HOUR)

    assert (len(alerts(session)), len(messages(session))) == (1, 1)


def test_a_lid_that_is_opened_twice_is_one_dose(session: Session) -> None:
    world = as_needed(session)
    take(session, world, 1, NOON)
    take(session, world, 2, NOON + timedelta(minutes=5))

    assert alerts(session) == []


def test_the_patients_own_word_counts_too(session: Session) -> None:
    world = as_needed(session)
    patient = Reader(uuid4(), "patient", world.patient_id, world.clinic.clinic_id)
    take(session, world, 1, NOON)
    self_report(
        session,
        patient,
        world.regimen.regimen_id,
        at=NOON + 2 * HOUR,
        key=world.device_id,
        now=NOON + 2 * HOUR,
    )

    assert len(alerts(session)) == 1


def test_half_a_dose_counts_half(session: Session) -> None:
    world = as_needed(session, AsNeeded(1))
    how: dict[str, Any] = {"evidence": "dose_delivered", "amount": "0.5", "unit": "1"}
    take(session, world, 1, NOON, **how)
    take(session, world, 2, NOON + HOUR, **how)
    assert alerts(session) == []

    take(session, world, 3, NOON + 2 * HOUR, **how)
    assert len(alerts(session)) == 1


def test_a_dose_that_never_was_takes_its_warning_back(session: Session) -> None:
    world = as_needed(session)
    take(session, world, 1, NOON)
    take(session, world, 2, NOON + HOUR)
    first = session.exec(select(DoseEvent).where(DoseEvent.sequence == 1)).one()
    clinician = Reader(
        uuid4(), "clinician", world.clinician.clinician_id, world.clinic.clinic_id
    )
    void_dose(
        session, clinician, first.dose_event_id, reason="a refill", now=NOON + 2 * HOUR
    )

    assert alerts(session) == []
    assert [message.state for message in messages(session)] == ["cancelled"]


def test_without_consent_only_the_clinician_is_told(session: Session) -> None:
    world = as_needed(session)
    session.connection().exec_driver_sql(
        "UPDATE consent SET until = now() - interval '1 year' "
        "WHERE purpose = 'reminders'"
    )
    take(session, world, 1, NOON)
    take(session, world, 2, NOON + HOUR)

    assert (len(alerts(session)), messages(session)) == (1, [])


def claimed(row: OutboxMessage) -> Claimed:
    return Claimed(
        *(row.message_id, row.patient_id, row.clinic_id, row.kind, row.channel),
        *(row.address, row.language, row.params, row.due_at, row.valid_until),
        *(row.attempt, row.reference, row.priority),
    )


def test_the_warning_says_until_when_and_names_no_drug(session: Session) -> None:
    world = as_needed(session)
    take(session, world, 1, NOON)
    take(session, world, 2, NOON + HOUR)
    [message] = messages(session)

    said = word(session, [claimed(message)], NOON + HOUR)[message.message_id]
    assert isinstance(said, Worded)
    assert said.body == (
        "You took your medicine sooner or more often than your clinic allows. "
        "Before 18:00 take no more; if you need it, ask your clinic. "
        f"Ref {message.reference}"
    )

    [event] = session.exec(select(DoseEvent).where(DoseEvent.sequence == 2))
    event.voided_at = NOON
    session.flush()
    assert isinstance(
        word(session, [claimed(message)], NOON + HOUR)[message.message_id], Dropped
    )


def test_a_scheduled_dose_is_none_as_needed(session: Session) -> None:
    world = a_world(session)
    take(session, world, 1, NOON)
    take(session, world, 2, NOON + HOUR)

    assert alerts(session) == []
