"""Who is first, how many a second, and how many one person gets."""

from collections import Counter
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import delete, select

from backend.database import transaction
from backend.outbox.claim import due_channels, next_due
from backend.outbox.deliver import deliver
from backend.outbox.enqueue import Draft, enqueue
from backend.outbox.pace import PER_RECIPIENT, allowed
from backend.outbox.recent import REMEMBERED, forget
from backend.outbox.tables import OutboxMessage, RecentSend
from notifications.message import Message, SendFailed
from tests.backend.outbox.phone import REAL, Clock, Phone, a_draft, plain
from tests.builders import NOW

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
CRITICAL, HIGH, STANDARD = 1, 3, 5
db = pytest.mark.usefixtures("db")


class Worker:
    """Delivers by one phone; domain time and real time pass together."""

    def __init__(self, phone: Phone) -> None:
        self.phone, self.clock, self.now = phone, Clock(), NOW

    def turn(self, *, batch: int = 500, speed: float = 1.0) -> int:
        return deliver(
            {"sms": self.phone},
            now=self.now,
            real=self.clock,
            word=plain,
            batch=batch,
            speed=speed,
        )

    def pass_by(self, time: timedelta) -> None:
        self.clock.pass_by(time)
        self.now += time

    def got(self) -> list[str]:
        return [message.to for message in self.phone.got]


@pytest.fixture
def worker() -> Worker:
    return Worker(Phone())


def queued(*drafts: Draft) -> None:
    with transaction() as session:
        enqueue(session, drafts, now=NOW)


def states() -> Counter[str]:
    with transaction() as session:
        return Counter(session.exec(select(OutboxMessage.state)))


@db
def test_the_most_urgent_go_first_and_among_them_the_earliest(worker: Worker) -> None:
    queued(
        a_draft(address="+3", priority=STANDARD, due_at=NOW - 2 * MINUTE),
        a_draft(address="+2", priority=CRITICAL),
        a_draft(address="+1", priority=CRITICAL, due_at=NOW - MINUTE),
        a_draft(address="+0", priority=CRITICAL, due_at=NOW + MINUTE),
    )

    worker.turn()

    assert worker.got() == ["+1", "+2", "+3"]


@db
def test_a_round_does_not_look_back_and_the_next_one_does(worker: Worker) -> None:
    queued(a_draft(address="+1"), a_draft(address="+3", due_at=NOW + SECOND))
    between = [
        a_draft(address="+2", priority=CRITICAL),
        a_draft(address="+4", due_at=NOW - MINUTE),
    ]

    def more_come(_message: Message) -> None:
        queued(*between)
        between.clear()

    worker.phone.before_send = more_come
    worker.pass_by(SECOND)

    assert worker.turn(batch=1) == 3
    assert worker.got() == ["+1", "+2", "+3"]
    assert worker.turn(batch=1) == 1
    assert worker.got() == ["+1", "+2", "+3", "+4"]


@db
@given(
    due=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), max_size=12),
    batch=st.integers(1, 4),
)
def test_however_many_a_claim_takes_each_goes_once_and_in_order(
    due: list[tuple[int, int]], batch: int
) -> None:
    worker = Worker(Phone())
    with transaction() as session:
        session.exec(delete(OutboxMessage))
        session.exec(delete(RecentSend))
    queued(
        *(
            a_draft(address=f"+{at}", priority=priority, due_at=NOW - minutes * MINUTE)
            for at, (priority, minutes) in enumerate(due)
        )
    )

    assert worker.turn(batch=batch) == len(due)

    order = [(due[int(it[1:])][0], -due[int(it[1:])][1]) for it in worker.got()]
    assert order == sorted(order)
    assert Counter(worker.got()) == Counter(f"+{at}" for at in range(len(due)))


@db
def test_at_a_hundred_a_second_the_critical_go_first_and_nothing_after_its_window(
    worker: Worker,
) -> None:
    worker.phone.per_second = 100
    closes = NOW + 5 * SECOND
    for priority, address in (STANDARD, "+5"), (CRITICAL, "+1"), (HIGH, "+3"):
        queued(
            *(
                a_draft(
                    address=f"{address}{number:03}",
                    priority=priority,
                    valid_until=closes,
                )
                for number in range(300)
            )
        )

    sent_in: list[int] = []
    for _ in range(8):
        before = len(worker.phone.got)
        worker.turn()
        sent_in.append(len(worker.phone.got) - before)
        worker.pass_by(SECOND)

    assert sent_in == [200, 100, 100, 100, 100, 0, 0, 0]
    assert [to[:2] for to in worker.got()] == ["+1"] * 300 + ["+3"] * 300
    assert states() == {"sent": 600, "expired": 300}


@db
def test_two_workers_share_one_senders_rate() -> None:
    clock = Clock()
    phones = [Phone(), Phone()]
    queued(*(a_draft() for _ in range(50)))
    for phone in phones:
        phone.per_second = 10

    for _ in range(3):
        for phone in phones:
            deliver({"sms": phone}, now=NOW, real=clock, word=plain, batch=500)
        clock.pass_by(SECOND)

    assert sum(len(phone.got) for phone in phones) == 20 + 10 + 10


@db
def test_a_sender_of_less_than_one_a_second_still_sends(worker: Worker) -> None:
    worker.phone.per_second = 0.1
    queued(*(a_draft() for _ in range(3)))

    sent: list[int] = []
    for _ in range(21):
        worker.turn()
        sent.append(len(worker.phone.got))
        worker.pass_by(SECOND)

    assert (sent[0], sent[9], sent[10], sent[19], sent[20]) == (1, 1, 2, 2, 3)


@db
def test_one_person_gets_a_text_a_minute_and_the_others_wait(worker: Worker) -> None:
    queued(*(a_draft(address="+1") for _ in range(3)), a_draft(address="+2"))

    worker.turn()
    worker.pass_by(30 * SECOND)
    worker.turn()
    assert sorted(worker.got()) == ["+1", "+2"]

    worker.pass_by(30 * SECOND)
    worker.turn()
    worker.pass_by(MINUTE)
    worker.turn()
    assert sorted(worker.got()) == ["+1", "+1", "+1", "+2"]


@db
def test_what_is_critical_never_waits_for_its_recipient(worker: Worker) -> None:
    queued(*(a_draft(address="+1", priority=CRITICAL) for _ in range(3)))

    worker.turn()

    assert worker.got() == ["+1"] * 3


@db
def test_texts_to_one_person_at_one_instant_count_one_by_one(worker: Worker) -> None:
    queued(*(a_draft(address="+1", priority=CRITICAL) for _ in range(5)))
    worker.turn()
    worker.pass_by(2 * MINUTE)
    queued(a_draft(address="+1"))

    worker.turn()

    assert len(worker.got()) == 5, (
        "five in a quarter of an hour are as many as one bears"
    )


@db
def test_what_was_not_accepted_does_not_count_against_its_recipient(
    worker: Worker,
) -> None:
    worker.phone.failing = [SendFailed("20429", retry=True)]
    queued(a_draft())

    worker.turn()
    worker.pass_by(3 * SECOND)
    worker.turn()

    assert states() == {"sent": 1}


@db
def test_at_a_demos_speed_a_minute_of_its_people_is_a_minute(worker: Worker) -> None:
    queued(*(a_draft(address="+1") for _ in range(2)))

    worker.turn(speed=60)
    worker.clock.pass_by(SECOND)
    worker.now += MINUTE
    worker.turn(speed=60)

    assert worker.got() == ["+1", "+1"]


@db
def test_what_no_limit_looks_at_any_more_is_forgotten(worker: Worker) -> None:
    queued(a_draft())
    worker.turn()

    with transaction() as session:
        assert forget(session, now=NOW + REMEMBERED - SECOND) == 0
        assert forget(session, now=NOW + REMEMBERED) == 1
        assert session.exec(select(RecentSend)).all() == []


@db
def test_a_message_whose_window_closes_while_its_batch_is_sent_stays_here(
    worker: Worker,
) -> None:
    def slow(_message: Message) -> None:
        worker.clock.pass_by(2 * SECOND)

    worker.phone.before_send = slow
    queued(
        a_draft(address="+1", due_at=NOW - MINUTE),
        a_draft(address="+2", valid_until=NOW + SECOND),
    )

    worker.turn()

    assert worker.got() == ["+1"]
    assert states() == {"sent": 1, "expired": 1}


@db
def test_each_channel_that_is_due_is_named_and_the_next_instant_of_any() -> None:
    queued(
        a_draft(channel="sms"),
        a_draft(channel="voice", priority=CRITICAL, due_at=NOW + 2 * MINUTE),
        a_draft(channel="email", due_at=NOW + MINUTE),
        a_draft(channel="pigeon", priority=HIGH, due_at=NOW - MINUTE),
    )

    assert due_channels(now=NOW, real=REAL) == ["pigeon", "sms"]
    assert next_due(now=NOW) == NOW + MINUTE
    assert next_due(now=NOW + 2 * MINUTE) is None


@given(st.lists(st.integers(0, 4000), max_size=60), st.sampled_from(["sms", "voice"]))
def test_sent_when_allowed_no_limit_is_ever_broken(
    asked: list[int], channel: str
) -> None:
    limits = PER_RECIPIENT[channel]
    sent: list[datetime] = []
    for second in sorted(asked):
        wanted = NOW + second * SECOND
        sent.append(allowed(sent, limits, max([wanted, *sent[-1:]])))

    for limit in limits:
        for first, later in zip(sent, sent[limit.most :], strict=False):
            assert later - first >= limit.within


@given(st.lists(st.integers(0, 4000), max_size=12), st.integers(0, 5000))
def test_nobody_waits_longer_than_a_limit_asks(asked: list[int], second: int) -> None:
    limits = PER_RECIPIENT["sms"]
    sent = sorted(NOW + at * SECOND for at in asked if at <= second)
    now = NOW + second * SECOND

    at = allowed(sent, limits, now)

    assert at == now or any(
        sum(earlier > at - SECOND - limit.within for earlier in sent) >= limit.most
        for limit in limits
    )
