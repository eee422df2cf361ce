"""Months of vitals: there before they are written to, invisible to the migrations."""

import threading
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlmodel import Session

from backend import migrations
from backend.database import ensure_partitions, owner_engine, transaction
from backend.vitals.tables import VitalSegment

pytestmark = pytest.mark.usefixtures("db")


def at(year: int, month: int, day: int = 1, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def a_segment(start: datetime) -> VitalSegment:
    return VitalSegment(
        patient_id=uuid4(),
        code="8867-4",
        source_id=1,
        start=start,
        recorded_at=start,
        unit="/min",
        step_ms=1000,
        values=[60.0],
    )


def where(session: Session) -> set[str]:
    session.flush()
    found = session.connection().execute(
        text("SELECT DISTINCT tableoid::regclass::text FROM vital_segment")
    )
    return set(found.scalars())


def test_a_row_goes_to_the_month_of_its_start_in_utc(session: Session) -> None:
    ensure_partitions(session, at(2031, 12, 31), at(2032, 2, 1))
    session.add(a_segment(at(2031, 12, 31, 23)))
    session.add(a_segment(at(2032, 1, 1, 0)))

    assert where(session) == {"vital_segment_2031_12", "vital_segment_2032_01"}


def test_rows_that_came_before_their_month_move_into_it(session: Session) -> None:
    session.add(a_segment(at(1999, 5, 31, 23)))
    assert where(session) == {"vital_segment_default"}

    ensure_partitions(session, at(1999, 5), at(1999, 5))

    assert where(session) == {"vital_segment_1999_05"}


def test_a_month_made_in_a_transaction_that_failed_is_made_again() -> None:
    def fail() -> None:
        with transaction() as session:
            ensure_partitions(session, at(2033, 1), at(2033, 1))
            session.add(a_segment(at(2033, 1, 5)))
            assert where(session) == {"vital_segment_2033_01"}
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            fail()


def test_many_who_need_one_month_at_once_all_get_it() -> None:
    start = threading.Barrier(4)
    seen: list[set[str]] = []

    def write() -> None:
        start.wait()
        with transaction() as session:
            ensure_partitions(session, at(2034, 3), at(2034, 4))
            session.add(a_segment(at(2034, 3, 9)))
            seen.append(where(session))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert seen == [{"vital_segment_2034_03"}] * 4


def test_an_absurd_span_is_refused() -> None:
    with pytest.raises(DBAPIError, match="150 years"), transaction() as session:
        ensure_partitions(session, at(1900, 1), at(2100, 1))


def test_the_application_cannot_make_partitions_any_other_way() -> None:
    with pytest.raises(ProgrammingError), transaction() as session:
        session.connection().execute(
            text("CREATE TABLE mine PARTITION OF vital_segment DEFAULT")
        )


def test_new_months_are_no_difference_to_the_migrations(session: Session) -> None:
    ensure_partitions(session, at(2035, 1), at(2035, 6))
    session.commit()

    migrations.check(owner_engine())
