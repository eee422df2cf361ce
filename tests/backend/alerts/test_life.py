"""The life of an alert: who took it, what rests, what comes back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from backend.alerts import act
from backend.alerts.act import AlreadyClosed
from backend.alerts.raise_ import Seen, trigger
from backend.alerts.reconsider import reconsider
from backend.alerts.screen import due_again, screen
from backend.alerts.wake import ANSWER_WITHIN, wake, waking
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.errors import Forbidden, NotFound, Unprocessable
from backend.ingest.screen import wake_alerts
from backend.people.readers import Reader
from tests import builders
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    count,
    doses_at_eight,
    eight,
    heard,
    send,
    tell,
)
from tests.backend.ingest.world import opening as box_opened

HOUR = timedelta(hours=1)
NOW = eight() + HOUR
Act = Callable[[Session, Reader, UUID], object]

ACTS: dict[str, Act] = {
    "acknowledge": lambda s, r, a: act.acknowledge(s, r, a, now=NOW),
    "snooze": lambda s, r, a: act.snooze(
        s, r, a, until=NOW + HOUR, reason="asleep", now=NOW
    ),
    "close": lambda s, r, a: act.close(s, r, a, outcome="artefact", now=NOW),
}


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def the_clinician(world: World) -> Reader:
    clinician = world.clinician.clinician_id
    return Reader(uuid4(), "clinician", clinician, world.clinic.clinic_id)


def an_alert(
    session: Session, world: World, *, severity: str = "medium", at: datetime = NOW
) -> UUID:
    seen = Seen(world.patient_id, "rule:x", 1, severity, "Something", {"n": 1})
    trigger(session, [seen], now=at)
    return fetch(session, "SELECT alert_id FROM alert")[0]["alert_id"]


def state(session: Session) -> str:
    return fetch(session, "SELECT state FROM alert")[0]["state"]


def steps(session: Session) -> list[tuple[str, UUID | None]]:
    rows = fetch(session, "SELECT what, actor_id FROM alert_event ORDER BY recorded_at")
    return [(row["what"], row["actor_id"]) for row in rows]


def test_each_step_says_who_and_when(session: Session, world: World) -> None:
    alert, reader = an_alert(session, world), the_clinician(world)

    for done in ACTS.values():
        done(session, reader, alert)

    me = reader.subject_id
    assert steps(session) == [
        ("triggered", None),
        ("acknowledged", me),
        ("snoozed", me),
        ("closed", me),
    ]
    row = fetch(session, "SELECT * FROM alert")[0]
    assert (row["acknowledged_by"], row["acknowledged_at"]) == (me, NOW)
    assert (row["closed_by"], row["closed_at"]) == (me, NOW)
    assert count(session, "audit_row") == 3


@pytest.mark.parametrize("name", ACTS)
def test_nobody_outside_the_care_team_touches_an_alert(
    session: Session, world: World, name: str
) -> None:
    alert = an_alert(session, world)
    other = builders.a_clinician(session, world.clinic, name="Dr. B")
    clinic = world.clinic.clinic_id

    with pytest.raises(NotFound):
        ACTS[name](
            session, Reader(uuid4(), "clinician", other.clinician_id, clinic), alert
        )
    with pytest.raises(Forbidden):
        ACTS[name](session, Reader(uuid4(), "patient", world.patient_id, clinic), alert)
    assert state(session) == "triggered"


@pytest.mark.parametrize("name", ACTS)
def test_what_is_closed_stays_closed(session: Session, world: World, name: str) -> None:
    alert, reader = an_alert(session, world), the_clinician(world)
    ACTS["close"](session, reader, alert)

    with pytest.raises(AlreadyClosed):
        ACTS[name](session, reader, alert)


def test_a_rest_lies_ahead(session: Session, world: World) -> None:
    alert = an_alert(session, world)
    with pytest.raises(Unprocessable):
        act.snooze(session, the_clinician(world), alert, until=NOW, reason="", now=NOW)


def test_acknowledging_twice_is_once(session: Session, world: World) -> None:
    alert = an_alert(session, world)
    for _ in range(2):
        ACTS["acknowledge"](session, the_clinician(world), alert)
    assert len(steps(session)) == 2


def test_a_snoozed_alert_comes_back_when_its_rest_is_over(db: object) -> None:
    with transaction() as session:
        world = a_world(session)
        ACTS["snooze"](session, the_clinician(world), an_alert(session, world))

    assert wake_alerts(NOW + HOUR / 2) == 0
    assert wake_alerts(NOW + HOUR) == 1
    assert wake_alerts(NOW + HOUR) == 0

    with transaction() as session:
        assert state(session) == "triggered"
        assert [what for what, _ in steps(session)][-1] == "woken"
        row = fetch(session, "SELECT open_alerts, worst_alert FROM patient_state")[0]
        assert (row["open_alerts"], row["worst_alert"]) == (1, "medium")


def test_a_high_alert_that_nobody_takes_is_passed_on_once(
    session: Session, world: World
) -> None:
    an_alert(session, world, severity="high")
    an_alert(session, world, severity="high", at=NOW + HOUR)  # a repeat
    late = NOW + ANSWER_WITHIN
    whom = [world.patient_id]

    assert wake(session, whom, now=late - HOUR) == 0
    assert waking(session, now=late, most=9) == {world.patient_id}
    assert wake(session, whom, now=late) == 1
    assert wake(session, whom, now=late + DAY) == 0

    assert state(session) == "escalated"
    assert [what for what, _ in steps(session)] == ["triggered", "escalated"]
    ACTS["acknowledge"](session, the_clinician(world), waiting(session))
    assert state(session) == "acknowledged"


def waiting(session: Session) -> UUID:
    return fetch(session, "SELECT alert_id FROM alert")[0]["alert_id"]


def test_two_products_that_cannot_be_counted_are_two_alerts(
    session: Session, world: World
) -> None:
    whose = [(world.patient_id, "1"), (world.patient_id, "2")]

    reconsider(session, [world.patient_id], whose, now=NOW)
    reconsider(session, [world.patient_id], whose, now=NOW)

    assert count(session, "alert") == 2


def four_missed(session: Session, world: World) -> datetime:
    doses_at_eight(session, world, days=5)
    now = eight(MONDAY + 3 * DAY) + 10 * HOUR
    tell(session, world, [heard(world, 0, now)], now=now)
    screen(session, [world.patient_id], now=now)
    return now


def close_it(session: Session, world: World, now: datetime) -> None:
    alert = fetch(session, "SELECT alert_id FROM alert WHERE state <> 'closed'")
    act.close(
        session,
        the_clinician(world),
        alert[0]["alert_id"],
        outcome="other_cause",
        now=now,
    )


def states(session: Session) -> list[Any]:
    rows = fetch(session, "SELECT state FROM alert ORDER BY triggered_at")
    return [row["state"] for row in rows]


def test_a_closed_run_of_missed_doses_comes_back_with_the_next_missed_dose_only(
    session: Session, world: World
) -> None:
    now = four_missed(session, world)
    close_it(session, world, now)

    screen(session, [world.patient_id], now=now + HOUR)
    assert states(session) == ["closed"]

    tell(session, world, [heard(world, 0, now + DAY)], now=now + DAY)
    screen(session, [world.patient_id], now=now + DAY)
    assert states(session) == ["closed", "triggered"]


def test_a_closed_silence_comes_back_when_the_box_was_heard_and_fell_silent_again(
    session: Session, world: World
) -> None:
    tell(session, world, [heard(world, 0, NOW)], now=NOW)
    later = NOW + 3 * DAY
    screen(session, [world.patient_id], now=later)
    close_it(session, world, later)
    execute(session, "DELETE FROM screen_due")

    assert due_again(session, now=later + DAY) == 0
    screen(session, [world.patient_id], now=later + DAY)
    assert states(session) == ["closed"]

    tell(session, world, [heard(world, 0, later + DAY)], now=later + DAY)
    execute(session, "DELETE FROM screen_due")
    assert due_again(session, now=later + 4 * DAY) == 1
    screen(session, [world.patient_id], now=later + 4 * DAY)
    assert states(session) == ["closed", "triggered"]


def test_an_amount_in_a_strange_unit_is_a_dose_that_stock_cannot_count(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    item = box_opened(
        world, 1, eight(), evidence="dose_delivered", amount="1.5", unit="spoons"
    )

    verdicts = send(session, world, [item], now=NOW)

    assert [(v.verdict, v.reason) for v in verdicts] == [("new", None)]
    rules = [row["rule"] for row in fetch(session, "SELECT rule FROM alert")]
    assert rules == [f"stock-unit:{world.product.gtin}"]
    assert count(session, "stock_entry") == 0
