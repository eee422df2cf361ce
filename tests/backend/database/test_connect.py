"""Transactions, engines and what a session is like."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from threading import Barrier
from uuid import uuid4

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlmodel import Session, select

from backend.database import (
    engine,
    forget,
    owner_engine,
    queue_engine,
    queue_transaction,
    transaction,
)
from backend.database.address import DATABASE, given
from backend.database.connect import to_json
from backend.people.tables import Clinic
from tests.conftest import Server

pytestmark = pytest.mark.usefixtures("db")
Opening = Callable[[], AbstractContextManager[Session]]
NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def a_clinic() -> Clinic:
    return Clinic(name="Hill", zone="Europe/Zurich", recorded_at=NOON)


def clinics() -> list[str]:
    with transaction() as session:
        return [clinic.name for clinic in session.exec(select(Clinic))]


def test_a_transaction_commits_when_it_ends() -> None:
    with transaction() as session:
        session.add(a_clinic())

    assert clinics() == ["Hill"]


def test_a_transaction_that_fails_leaves_nothing() -> None:
    def fail() -> None:
        with transaction() as session:
            session.add(a_clinic())
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert clinics() == []


def test_rows_stay_readable_after_the_commit() -> None:
    with transaction() as session:
        session.add(clinic := a_clinic())

    assert clinic.recorded_at == NOON


@pytest.mark.parametrize("opened", [transaction, queue_transaction])
def test_every_session_speaks_utc(opened: Opening) -> None:
    with opened() as session:
        now: datetime = session.connection().execute(text("SELECT now()")).scalar_one()

    assert now.utcoffset() == timedelta(0)


def test_a_statement_may_take_only_so_long() -> None:
    sleep = text("SELECT pg_sleep(5)")
    patience = timedelta(milliseconds=50)
    with (
        pytest.raises(OperationalError, match="statement timeout"),
        transaction(patience=patience) as session,
    ):
        session.connection().execute(sleep)

    with transaction() as session:
        shown = session.connection().execute(text("SHOW statement_timeout")).scalar()
    assert shown == "30s"


def test_only_the_queue_prepares_nothing() -> None:
    counts: list[int] = []
    for one in engine(), queue_engine():
        with one.connect() as connection:
            for _ in range(10):
                connection.execute(text("SELECT 1"))
            listed = text("SELECT count(*) FROM pg_prepared_statements")
            counts.append(connection.execute(listed).scalar_one())

    assert counts[0] > 0
    assert counts[1] == 0


def test_the_application_neither_owns_nor_changes_tables() -> None:
    for statement in "CREATE TABLE mine (n int)", "DROP TABLE clinic":
        with pytest.raises(ProgrammingError), transaction() as session:
            session.connection().execute(text(statement))


def test_a_lost_server_costs_one_error_and_then_all_connections_are_new(
    server: Server,
) -> None:
    held = [engine().connect() for _ in range(3)]
    for connection in held:
        connection.execute(text("SELECT 1"))
        connection.close()
    with closing(server.admin(DATABASE)) as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    with pytest.raises(OperationalError):
        clinics()

    assert [clinics() for _ in range(3)] == [[], [], []]


def test_documents_keep_amounts_to_the_digit_and_ids_as_text() -> None:
    known = uuid4()
    stored = to_json({"amount": Decimal("0.30"), "id": known, "at": NOON})

    assert stored == (
        f'{{"amount":"0.30","id":"{known}","at":"2026-03-02T12:00:00+00:00"}}'
    )
    with pytest.raises(TypeError):
        to_json({"what": object()})


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_an_operator_may_write_the_scheme_as_he_is_used_to(scheme: str) -> None:
    at = given(f"{scheme}://app:secret@db.example:5433/loop", None)

    assert at.app.drivername == "postgresql+psycopg"
    assert (at.app.username, at.app.host, at.app.port) == ("app", "db.example", 5433)
    assert at.owner == at.app


def test_the_owner_is_another_role(server: Server) -> None:
    with owner_engine().connect() as connection:
        who = connection.execute(text("SELECT current_user")).scalar_one()

    assert who == "doseloop_owner"


def test_threads_that_are_first_together_share_one_engine() -> None:
    """A second one would keep its connections open, and nobody would close them."""
    forget()
    start = Barrier(8)

    def first() -> Engine:
        start.wait(10)
        with transaction() as session:
            bind = session.get_bind()
        assert isinstance(bind, Engine)
        return bind

    with ThreadPoolExecutor(8) as threads:
        made = [it.result() for it in [threads.submit(first) for _ in range(8)]]

    assert len({id(one) for one in made}) == 1
