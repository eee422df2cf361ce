from datetime import timedelta

import pytest
from sqlmodel import select

from backend.database import transaction
from backend.outbox.deliver import deliver
from backend.outbox.enqueue import cancel, enqueue
from backend.outbox.message import GRACE, LEASE
from backend.outbox.reconcile import Discrepancy, reconcile, report
from backend.outbox.tables import MessageAttempt, OutboxMessage, Receipt
from notifications.message import Message, SendFailed
from tests.backend.outbox.phone import Clock, Phone, a_draft, plain
from tests.builders import NOW

pytestmark = pytest.mark.usefixtures("db")

MOMENT = timedelta(seconds=1)


class Killed(BaseException):
    """The worker is gone: nothing after the send happens."""


class Desk:
    """A worker with one phone, one message and a clock that is moved by hand."""

    def __init__(self) -> None:
        self.phone, self.clock, self.draft = Phone(), Clock(), a_draft()
        self.now = NOW
        with transaction() as session:
            enqueue(session, [self.draft], now=NOW)

    def deliver(self) -> int:
        return deliver({"sms": self.phone}, now=self.now, real=self.clock, word=plain)

    def reconcile(self) -> int:
        return reconcile({"sms": self.phone}, now=self.now, real=self.clock)

    def report(self) -> list[Discrepancy]:
        return report({"sms": self.phone}, now=self.now, real=self.clock.at)

    def pass_by(self, time: timedelta) -> None:
        self.clock.pass_by(time)
        self.now += time

    def message(self) -> OutboxMessage:
        with transaction() as session:
            return session.exec(select(OutboxMessage)).one()

    def outcomes(self) -> list[str | None]:
        with transaction() as session:
            return [it.outcome for it in session.exec(select(MessageAttempt))]


@pytest.fixture
def desk() -> Desk:
    return Desk()


def accept_then_lose_the_answer(desk: Desk) -> None:
    def cut(message: Message) -> None:
        desk.phone.got.append(message)
        raise SendFailed("no answer", retry=None)

    desk.phone.before_send = cut
    desk.deliver()
    desk.phone.before_send = lambda _message: None


def die_after_sending(desk: Desk) -> None:
    def die(message: Message) -> None:
        desk.phone.got.append(message)
        raise Killed

    desk.phone.before_send = die
    with pytest.raises(Killed):
        desk.deliver()
    desk.phone.before_send = lambda _message: None


def test_what_the_provider_took_is_sent_and_not_sent_again(desk: Desk) -> None:
    accept_then_lose_the_answer(desk)
    desk.pass_by(GRACE + MOMENT)

    assert desk.reconcile() == 1
    assert desk.deliver() == 0

    assert (desk.message().state, desk.message().provider_id) == ("sent", "SM1")
    assert len(desk.phone.got) == 1
    assert desk.report() == []


def test_before_the_grace_nobody_asks(desk: Desk) -> None:
    accept_then_lose_the_answer(desk)
    desk.pass_by(GRACE - MOMENT)

    assert desk.reconcile() == 0
    assert desk.message().state == "unknown"


def test_what_the_provider_never_saw_is_sent_again(desk: Desk) -> None:
    desk.phone.failing = [SendFailed("no answer", retry=None)]
    desk.deliver()
    desk.pass_by(GRACE + MOMENT)

    assert desk.reconcile() == 1
    assert desk.deliver() == 1

    assert (desk.message().state, desk.message().attempt) == ("sent", 2)
    assert desk.outcomes() == ["unknown"]


def test_but_not_after_its_window(desk: Desk) -> None:
    desk.phone.failing = [SendFailed("no answer", retry=None)]
    desk.deliver()
    desk.pass_by(timedelta(hours=3))

    desk.reconcile()

    assert desk.message().state == "expired"
    assert desk.deliver() == 0


def test_nor_after_the_dose_was_taken(desk: Desk) -> None:
    desk.phone.failing = [SendFailed("no answer", retry=None)]
    desk.deliver()
    with transaction() as session:
        keys = [(desk.draft.patient_id, desk.draft.dedup_key)]
        cancel(session, keys, because="dose_recorded", now=desk.now)
    desk.pass_by(GRACE + MOMENT)

    desk.reconcile()

    assert desk.message().state == "cancelled"
    assert desk.deliver() == 0


def test_a_dead_workers_message_is_found_when_its_lease_ends(desk: Desk) -> None:
    die_after_sending(desk)
    desk.pass_by(LEASE + MOMENT)

    assert desk.reconcile() == 1
    assert (desk.message().state, desk.outcomes()) == ("unknown", ["lost"])

    desk.pass_by(GRACE + MOMENT)
    desk.reconcile()
    assert (desk.message().state, desk.message().provider_id) == ("sent", "SM1")


def test_while_the_provider_is_away_the_message_stays_unknown(desk: Desk) -> None:
    accept_then_lose_the_answer(desk)
    desk.phone.unreachable = True
    desk.pass_by(GRACE + MOMENT)
    desk.reconcile()
    assert desk.message().state == "unknown"
    assert desk.reconcile() == 0

    desk.phone.unreachable = False
    desk.pass_by(LEASE + MOMENT)
    desk.reconcile()
    assert desk.message().state == "sent"


def test_a_stalled_worker_that_wakes_has_no_second_say(desk: Desk) -> None:
    def stall(message: Message) -> None:
        desk.pass_by(LEASE + MOMENT)
        desk.reconcile()
        desk.pass_by(GRACE + MOMENT)
        desk.reconcile()
        assert desk.message().state == "pending"
        desk.phone.before_send = lambda _message: None
        desk.deliver()
        raise SendFailed("no answer", retry=None)

    desk.phone.before_send = stall
    desk.deliver()

    assert (desk.message().state, desk.message().attempt) == ("sent", 2)
    assert desk.outcomes() == ["lost"]


def test_a_stalled_workers_acceptance_stops_the_resend(desk: Desk) -> None:
    def stall(message: Message) -> None:
        desk.pass_by(LEASE + MOMENT)
        desk.reconcile()
        desk.pass_by(GRACE + MOMENT)
        desk.reconcile()
        assert desk.message().state == "pending"

    desk.phone.before_send = stall
    desk.deliver()
    desk.phone.before_send = lambda _message: None

    assert desk.deliver() == 0
    assert desk.message().state == "sent"
    assert len(desk.phone.got) == 1


def test_what_was_accepted_later_than_the_bound_is_reported(desk: Desk) -> None:
    accept_then_lose_the_answer(desk)
    desk.phone.hides = {desk.message().reference}
    desk.pass_by(GRACE + MOMENT)
    desk.reconcile()
    desk.deliver()
    desk.phone.hides = set()

    found = desk.report()

    assert [(it.kind, it.provider_ids) for it in found] == [("doubled", ("SM1", "SM2"))]
    assert desk.report() == found
    with transaction() as session:
        kept = session.exec(select(Receipt)).all()
    assert {(it.provider_id, it.status) for it in kept} == {
        ("SM1", "doubled"),
        ("SM2", "doubled"),
    }


def test_what_was_accepted_though_it_stands_as_expired_is_reported(desk: Desk) -> None:
    accept_then_lose_the_answer(desk)
    desk.phone.hides = {desk.message().reference}
    desk.pass_by(timedelta(hours=3))
    desk.reconcile()
    assert desk.message().state == "expired"
    desk.phone.hides = set()

    assert [it.kind for it in desk.report()] == ["unexpected"]


def test_a_slow_providers_answer_is_written_before_the_next_question(
    desk: Desk,
) -> None:
    """Else another worker takes the rest over meanwhile, and neither has a say."""
    others = [a_draft(address=f"+4179000{number:04}") for number in range(9)]
    with transaction() as session:
        enqueue(session, others, now=NOW)
    desk.phone.failing = [SendFailed("no answer", retry=None)] * 10
    desk.deliver()
    desk.pass_by(GRACE + MOMENT)
    undecided: list[int] = []

    def slowly(_message: Message) -> None:
        with transaction() as session:
            states = [it.state for it in session.exec(select(OutboxMessage))]
        undecided.append(states.count("unknown"))
        desk.pass_by(timedelta(seconds=10))

    desk.phone.before_look_up = slowly
    while desk.reconcile():
        pass

    assert undecided == list(range(10, 0, -1))
