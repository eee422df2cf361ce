"""The last rung: one alert a dose, whatever happens between worker and list."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlmodel import select

from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.ingest.worklist import Worklist
from backend.outbox.tables import OutboxMessage
from backend.reminders.plan import replan
from notifications.message import Message, SendFailed
from tests.backend.ingest.world import World, a_world, doses_at_eight, eight

MINUTE = timedelta(minutes=1)
NOW = eight() + 120 * MINUTE


@pytest.fixture
def rung(db: object) -> Message:
    """The rung for the clinic of a dose of a drug that matters, as it is claimed."""
    with transaction() as session:
        world: World = a_world(session)
        execute(session, "UPDATE regimen SET criticality = 'high'")
        doses_at_eight(session, world)
        replan(session, [world.patient_id], now=eight() - 60 * MINUTE)
        row = session.exec(
            select(OutboxMessage).where(OutboxMessage.channel == "worklist")
        ).one()
    assert row.due_at == NOW
    return Message(row.message_id, row.address, "", row.reference, MINUTE)


def alerts() -> list[tuple[str, str]]:
    with transaction() as session:
        rows = fetch(session, "SELECT title, severity FROM alert")
        return [(row["title"], row["severity"]) for row in rows]


def a_list() -> Worklist:
    return Worklist(lambda: NOW)


def test_a_rung_sent_twice_is_one_alert_and_is_found_when_asked_for(
    rung: Message,
) -> None:
    assert a_list().look_up(rung) == []
    first, second = a_list().send(rung), a_list().send(rung)

    assert first == second
    assert a_list().look_up(rung) == [first]
    assert alerts() == [("No record of the 08:00 dose, and no answer", "medium")]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE scheduled_dose SET label = 'on_time'",
        "DELETE FROM scheduled_dose",
        "UPDATE patient SET erased_at = recorded_at",
    ],
    ids=["taken", "not scheduled", "erased"],
)
def test_a_dose_that_is_settled_meanwhile_raises_nothing(
    rung: Message, change: str
) -> None:
    with transaction() as session:
        execute(session, change)
    send: Callable[[Message], object] = a_list().send

    with pytest.raises(SendFailed) as refused:
        send(rung)

    assert refused.value.retry is False
    assert alerts() == []
