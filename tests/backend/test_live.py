"""Hints to open pages: after the commit, coalesced, never for what was undone."""

import time
from collections.abc import Generator
from uuid import UUID, uuid4

import psycopg
import pytest
from sqlmodel import select

from backend import live
from backend.database import addresses, transaction
from backend.live import CHANNEL, MOST_NAMED, touch, touched
from backend.outbox.deliver import deliver
from backend.outbox.enqueue import enqueue
from backend.outbox.receipts import receive
from backend.outbox.tables import OutboxMessage
from tests.backend.outbox.phone import REAL, Clock, Phone, a_draft, plain
from tests.builders import NOW

CLINIC, OTHER = uuid4(), uuid4()
DEADLINE = 5.0


class Ear:
    """A connection that listens, as the web process does."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        connection.execute(f"LISTEN {CHANNEL}")  # pyright: ignore[reportCallIssue, reportArgumentType]

    def next(self) -> list[UUID]:
        """Return the next hint: the clinic, then its patients."""
        for heard in self._connection.notifies(timeout=DEADLINE, stop_after=1):
            return [UUID(one) for one in heard.payload.split()]
        raise TimeoutError("no hint came")

    def nothing_for(self, seconds: float) -> bool:
        return not list(self._connection.notifies(timeout=seconds, stop_after=1))


@pytest.fixture
def ear(db: object) -> Generator[Ear]:
    at = addresses().app.set(drivername="postgresql")
    with psycopg.connect(
        at.render_as_string(hide_password=False), autocommit=True
    ) as connection:
        yield Ear(connection)
    live.stop()


def test_what_was_touched_is_told_after_the_commit_and_not_before(ear: Ear) -> None:
    patient_id = uuid4()
    with transaction() as session:
        touch(session, {CLINIC: [patient_id]})
        assert ear.nothing_for(0.1)
    assert ear.next() == [CLINIC, patient_id]


def test_what_was_rolled_back_is_told_to_nobody(ear: Ear) -> None:
    def fail() -> None:
        with transaction() as session:
            touch(session, {CLINIC: []})
            session.connection()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    touched([OTHER])
    assert ear.next() == [OTHER]


def test_a_savepoint_is_no_commit(ear: Ear) -> None:
    with transaction() as session:
        with session.begin_nested():
            touch(session, {CLINIC: []})
        assert ear.nothing_for(0.1)
    assert ear.next() == [CLINIC]


def test_many_changes_of_a_moment_are_one_hint_a_clinic(ear: Ear) -> None:
    patients = [uuid4() for _ in range(50)]
    touched([CLINIC], patients[:1])  # goes at once; the others gather meanwhile
    assert ear.next() == [CLINIC, patients[0]]
    for patient_id in patients[1:]:
        touched([CLINIC], [patient_id])
    assert ear.next() == [CLINIC, *sorted(patients[1:])]
    assert ear.nothing_for(2 * live.EVERY)


def test_a_change_of_anybody_swallows_the_names(ear: Ear) -> None:
    touched([OTHER])
    assert ear.next() == [OTHER]
    touched([CLINIC], [uuid4()])
    touched([CLINIC])
    touched([CLINIC], [uuid4()])
    assert ear.next() == [CLINIC]


def test_too_many_names_are_told_as_everybody(ear: Ear) -> None:
    touched([CLINIC], [uuid4() for _ in range(MOST_NAMED + 1)])
    assert ear.next() == [CLINIC]


def test_a_message_that_went_and_its_receipt_are_told(ear: Ear) -> None:
    draft = a_draft()
    with transaction() as session:
        enqueue(session, [draft], now=NOW)

    deliver({"sms": Phone()}, now=NOW, real=Clock(), word=plain)

    assert ear.next() == [draft.clinic_id, draft.patient_id]
    with transaction() as session:
        message = session.exec(select(OutboxMessage)).one()
        assert message.state == "sent"
        receive(
            session,
            message_id=message.message_id,
            provider_id=message.provider_id or "",
            status="delivered",
            code=None,
            now=NOW,
            real=REAL,
        )
    assert ear.next() == [draft.clinic_id, draft.patient_id]


def test_stopping_tells_what_is_marked_and_is_quick(ear: Ear) -> None:
    touched([OTHER])
    ear.next()
    touched([CLINIC])
    began = time.monotonic()
    live.stop()
    assert time.monotonic() - began < 1
    assert ear.next() == [CLINIC]
    touched([OTHER])  # and it begins anew
    assert ear.next() == [OTHER]
