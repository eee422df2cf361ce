"""What went to whom lately, as each worker knows it."""

from datetime import datetime, timedelta
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import Session, delete

from backend.database import engine, transaction
from backend.outbox.recent import (
    COMMITTED,
    REMEMBERED,
    TIDIED,
    Recent,
    packed,
    recipient,
)
from backend.outbox.tables import RecentSend
from tests.builders import NOW

MINUTE = timedelta(minutes=1)
A_64_BIT = st.integers(-(2**63), 2**63 - 1)
PEOPLE = [recipient("sms", address) for address in ("+1", "+2", "+3")]
ONE, TWO, THREE = PEOPLE


class Worker:
    """Sends, writes that down, and reads what others have written."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.recent = Recent(lambda: self.seconds)

    def send(self, *to: int, at: datetime) -> None:
        with transaction() as session:
            session.add(self.row(*to, at=at))
        self.recent.add(at, to)

    def row(self, *to: int, at: datetime) -> RecentSend:
        return RecentSend(owner=self.recent.owner, at=at, recipients=packed(to))

    def known(self, *, now: datetime = NOW) -> list[list[datetime]]:
        """When each of `PEOPLE` got something, after reading."""
        with transaction() as session:
            self.recent.read(session, now=now)
        sent_to = self.recent.sent_to(PEOPLE)
        return [sent_to.get(each, []) for each in PEOPLE]


@given(st.lists(A_64_BIT))
def test_recipients_are_eight_octets_each(recipients: list[int]) -> None:
    assert len(packed(recipients)) == 8 * len(recipients)


def test_a_text_and_a_call_to_one_number_have_limits_of_their_own() -> None:
    assert recipient("sms", "+1") != recipient("voice", "+1")
    assert recipient("sms", "+1") == recipient("sms", "+1")


A_BATCH = st.tuples(
    st.integers(0, 1),
    st.lists(st.sampled_from(PEOPLE), min_size=1, max_size=4),
    st.integers(0, 30),
    st.sets(st.integers(0, 1)),
    st.sampled_from([0.0, COMMITTED]),
)


@pytest.mark.usefixtures("db")
@given(st.lists(A_BATCH, max_size=8))
def test_whoever_sends_and_however_often_one_looks_all_workers_know_all_sends(
    batches: list[tuple[int, list[int], int, set[int], float]],
) -> None:
    with transaction() as session:
        session.exec(delete(RecentSend))
    workers = [Worker(), Worker()]

    for sender, to, minutes, looking, seconds in batches:
        workers[sender].send(*to, at=NOW - minutes * MINUTE)
        for each in looking:
            workers[each].known()
        for worker in workers:
            worker.seconds += seconds

    sends = list(
        chain.from_iterable(
            ((each, NOW - minutes * MINUTE) for each in to)
            for _, to, minutes, _, _ in batches
        )
    )
    everything = [sorted(at for to, at in sends if to == each) for each in PEOPLE]
    assert [worker.known() for worker in (*workers, Worker())] == [everything] * 3


@pytest.mark.usefixtures("db")
def test_what_is_committed_after_a_later_one_was_read_is_read_too() -> None:
    slow, quick, reader = Worker(), Worker(), Worker()
    with Session(engine()) as session:
        session.add(slow.row(ONE, at=NOW))
        session.flush()
        quick.send(TWO, at=NOW)
        assert reader.known() == [[], [NOW], []]
        reader.seconds = COMMITTED - 1
        assert reader.known() == [[], [NOW], []]
        session.commit()

    assert reader.known() == [[NOW], [NOW], []]
    reader.seconds = 5 * COMMITTED
    assert reader.known() == [[NOW], [NOW], []]


@pytest.mark.usefixtures("db")
def test_what_was_sent_counts_once_though_its_row_was_undone_and_written_anew() -> None:
    worker = Worker()
    with Session(engine()) as session:
        session.add(worker.row(ONE, at=NOW))
        worker.recent.add(NOW, [ONE])
        session.flush()
        worker.recent.read(session, now=NOW)
        session.rollback()
    with transaction() as session:
        session.add(worker.row(ONE, at=NOW))

    assert worker.known() == [[NOW], [], []]


@pytest.mark.usefixtures("db")
def test_of_what_is_over_an_hour_ago_nothing_is_read_and_little_is_kept() -> None:
    other, worker = Worker(), Worker()
    other.send(ONE, at=NOW - REMEMBERED)
    other.send(TWO, at=NOW - REMEMBERED + MINUTE)
    worker.send(THREE, at=NOW)

    assert worker.known() == [[], [NOW - REMEMBERED + MINUTE], [NOW]]
    assert worker.known(now=NOW + TIDIED) == [[], [], [NOW]]
    assert worker.known(now=NOW + REMEMBERED + TIDIED) == [[], [], []]
