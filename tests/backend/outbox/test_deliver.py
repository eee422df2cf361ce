from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Barrier, Timer
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session, col, select

from backend.database import engine, transaction
from backend.outbox.deliver import deliver, pause
from backend.outbox.enqueue import Draft, cancel, enqueue
from backend.outbox.message import GRACE, LEASE, Claimed, Dropped, Verdict
from backend.outbox.reconcile import reconcile
from backend.outbox.tables import MessageAttempt, OutboxMessage
from notifications.message import Message, SendFailed
from tests.backend.outbox.phone import REAL, Clock, Phone, a_draft, plain
from tests.builders import NOW

pytestmark = pytest.mark.usefixtures("db")


def queued(*drafts: Draft) -> None:
    with transaction() as session:
        enqueue(session, drafts, now=NOW)


def messages() -> list[OutboxMessage]:
    with transaction() as session:
        order = select(OutboxMessage).order_by(col(OutboxMessage.dedup_key))
        return list(session.exec(order))


def the_message() -> OutboxMessage:
    [message] = messages()
    return message


def other_attempts() -> list[tuple[int, str | None, str | None]]:
    with transaction() as session:
        rows = session.exec(
            select(MessageAttempt).order_by(col(MessageAttempt.attempt))
        )
        return [(row.attempt, row.outcome, row.code) for row in rows]


def run(
    phone: Phone, *, now: datetime = NOW, clock: Clock | None = None, batch: int = 100
) -> int:
    return deliver(
        {"sms": phone}, now=now, real=clock or Clock(), word=plain, batch=batch
    )


def meet(others: Barrier) -> None:
    others.wait(timeout=20)


def test_sends_what_is_due_and_keeps_what_the_provider_said() -> None:
    phone = Phone()
    queued(a_draft(), a_draft(due_at=NOW + timedelta(minutes=1)))

    assert run(phone) == 1
    assert run(phone) == 0

    sent, waiting = sorted(messages(), key=lambda it: it.due_at)
    assert (sent.state, sent.provider_id, sent.attempt) == ("sent", "SM1", 1)
    assert sent.body == f"Ref {sent.reference}"
    assert waiting.state == "pending"
    assert (sent.attempt, sent.started_at, sent.ended_at) == (1, REAL, REAL)
    assert other_attempts() == []
    assert phone.got[0].dies_in == timedelta(hours=2)


def test_all_that_is_due_goes_the_earliest_first_however_small_the_batch() -> None:
    phone = Phone()
    queued(
        *(
            a_draft(address=f"+{number}", due_at=NOW - timedelta(minutes=number))
            for number in range(5)
        )
    )

    assert run(phone, batch=2) == 5
    assert [message.to for message in phone.got] == ["+4", "+3", "+2", "+1", "+0"]
    assert {it.state for it in messages()} == {"sent"}


def test_as_many_go_at_once_as_the_channel_takes() -> None:
    phone, together = Phone(), Barrier(3)
    phone.at_once = 3
    phone.before_send = lambda _message: meet(together)
    queued(*(a_draft(address=f"+{number}") for number in range(6)))

    assert run(phone) == 6

    assert sorted(message.to for message in phone.got) == [f"+{it}" for it in range(6)]
    assert {(it.state, it.attempt) for it in messages()} == {("sent", 1)}


def test_a_send_that_fails_leaves_those_beside_it_alone() -> None:
    phone = Phone()
    phone.at_once = 4
    phone.failing = [SendFailed("21211", retry=False), SendFailed("?", retry=None)]
    queued(*(a_draft(address=f"+{number}") for number in range(8)))

    run(phone)

    assert Counter(it.state for it in messages()) == {
        "sent": 6,
        "failed": 1,
        "unknown": 1,
    }


def test_after_a_second_the_time_of_day_is_looked_at_again() -> None:
    phone, clock = Phone(), Clock()
    queued(*(a_draft(key=str(number)) for number in range(3)))
    phone.before_send = lambda _message: clock.pass_by(timedelta(seconds=2))

    assert [run(phone, clock=clock, batch=1) for _ in range(4)] == [1, 1, 1, 0]


def test_the_same_key_is_queued_once_and_moves_while_it_waits() -> None:
    draft = a_draft(patient_id=uuid4())
    later = a_draft(patient_id=draft.patient_id, due_at=NOW + timedelta(hours=1))
    with transaction() as session:
        assert enqueue(session, [draft], now=NOW) == 1
        assert enqueue(session, [draft], now=NOW) == 0
        assert enqueue(session, [later], now=NOW) == 1

    assert the_message().due_at == later.due_at


def test_what_was_sent_is_not_queued_again() -> None:
    phone = Phone()
    draft = a_draft(patient_id=uuid4())
    queued(draft)
    run(phone)
    queued(a_draft(patient_id=draft.patient_id, valid_until=NOW + timedelta(hours=9)))

    assert run(phone) == 0
    assert len(phone.got) == 1


@pytest.mark.parametrize(
    ("because", "state"), [("dose_recorded", "cancelled"), ("rescheduled", "pending")]
)
def test_only_what_was_rescheduled_comes_back(because: str, state: str) -> None:
    draft = a_draft(patient_id=uuid4())
    queued(draft)
    with transaction() as session:
        keys = [(draft.patient_id, draft.dedup_key)]
        assert cancel(session, keys, because=because, now=NOW) == 1

    queued(draft)

    assert the_message().state == state


def test_a_message_dies_with_its_window() -> None:
    phone = Phone()
    queued(a_draft(valid_until=NOW + timedelta(minutes=5)))

    assert run(phone, now=NOW + timedelta(minutes=5)) == 1

    assert the_message().state == "expired"
    assert phone.got == []


def test_what_has_no_words_is_not_sent_and_says_why() -> None:
    phone = Phone()
    queued(a_draft(), a_draft())

    def taken(
        session: Session, claimed: Sequence[Claimed], now: datetime
    ) -> dict[UUID, Verdict]:
        first = min(claimed, key=lambda row: row.message_id)
        return {first.message_id: Dropped("cancelled", {"cancelled": "taken"})}

    deliver({"sms": phone}, now=NOW, real=Clock(), word=taken)

    assert {it.state for it in messages()} == {"cancelled"}
    assert {it.why["cancelled"] for it in messages()} == {"taken", "no words"}
    assert phone.got == []
    assert other_attempts() == []


def test_a_definite_refusal_is_final() -> None:
    phone = Phone()
    phone.failing = [SendFailed("21211", retry=False)]
    queued(a_draft())

    run(phone)
    run(phone)

    assert (the_message().state, the_message().code) == ("failed", "21211")
    assert other_attempts() == [(1, "failed", "21211")]


def test_a_busy_provider_is_asked_again_after_a_pause() -> None:
    phone, clock = Phone(), Clock()
    phone.failing = [SendFailed("20429", retry=True)]
    queued(a_draft())

    run(phone, clock=clock)
    assert run(phone, clock=clock) == 0
    clock.pass_by(timedelta(seconds=2))
    assert run(phone, clock=clock) == 1

    assert (the_message().state, the_message().attempt) == ("sent", 2)
    assert other_attempts() == [(1, "retry", "20429")]


@pytest.mark.parametrize("attempt", [1, 5, 40, 32000])
def test_a_pause_doubles_up_to_five_minutes(attempt: int) -> None:
    longest = timedelta(seconds=min(2 ** min(attempt, 20), 300))

    assert longest / 2 <= pause(attempt) <= longest


def test_an_unknown_outcome_rests_for_the_grace() -> None:
    phone, clock = Phone(), Clock()
    phone.failing = [SendFailed("no answer", retry=None)]
    queued(a_draft())

    run(phone, clock=clock)

    assert the_message().state == "unknown"
    assert the_message().lease_until == REAL + GRACE
    assert run(phone, clock=clock) == 0


def test_a_channel_that_breaks_leaves_one_message_in_doubt_and_sends_the_rest() -> None:
    phone = Phone()
    queued(a_draft(key="a", address="+1"), a_draft(key="b", address="+2"))

    def break_for(message: Message) -> None:
        if message.to == "+1":
            raise ZeroDivisionError

    phone.before_send = break_for
    run(phone)

    assert [it.state for it in messages()] == ["unknown", "sent"]


def test_without_its_channel_a_message_fails() -> None:
    queued(a_draft(channel="pigeon"))

    deliver({"pigeon": None}, now=NOW, real=Clock(), word=plain)

    assert (the_message().state, the_message().code) == ("failed", "no channel")


def test_a_dose_taken_while_the_batch_is_sent_stops_the_rest_of_it() -> None:
    phone, clock = Phone(), Clock()
    drafts = [a_draft(key=key, due_at=NOW, address=f"+{key}") for key in "ab"]
    queued(*drafts)

    def take_the_other(message: Message) -> None:
        other = next(it for it in drafts if it.address != message.to)
        with transaction() as session:
            keys = [(other.patient_id, other.dedup_key)]
            assert cancel(session, keys, because="dose_recorded", now=NOW) == 1
        clock.pass_by(timedelta(seconds=2))

    phone.before_send = take_the_other
    run(phone, clock=clock)

    assert len(phone.got) == 1
    assert sorted(it.state for it in messages()) == ["cancelled", "sent"]


def test_a_slow_batch_keeps_its_lease_and_settles_as_it_goes() -> None:
    phone, clock = Phone(), Clock()
    queued(*(a_draft(key=key) for key in "abc"))
    seen: list[list[str]] = []

    def slow(message: Message) -> None:
        seen.append(sorted(it.state for it in messages()))
        leases = {it.lease_until for it in messages() if it.state == "leased"}
        assert leases == {clock.at + LEASE}
        clock.pass_by(timedelta(seconds=14))

    phone.before_send = slow
    run(phone, clock=clock)

    assert seen == [
        ["leased"] * 3,
        ["leased"] * 2 + ["sent"],
        ["leased"] + ["sent"] * 2,
    ]
    assert len(phone.got) == 3


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_not_sent() -> None:
    phone = Phone()
    queued(*(a_draft(key=key) for key in "abc"))

    deliver(
        {"sms": phone},
        now=NOW,
        real=Clock(),
        word=plain,
        stopping=lambda: len(phone.got) == 1,
    )

    assert sorted(it.state for it in messages()) == ["pending", "pending", "sent"]
    run(phone)
    assert len(phone.got) == 3


def test_a_row_that_somebody_holds_is_settled_when_they_let_go() -> None:
    phone = Phone()
    queued(a_draft())
    with Session(engine()) as other:
        let_go = Timer(0.4, other.rollback)

        def hold_it(message: Message) -> None:
            other.exec(select(OutboxMessage).with_for_update()).all()
            let_go.start()

        phone.before_send = hold_it
        run(phone)
        let_go.join()  # a session belongs to one thread at a time

    assert the_message().state == "sent"


def test_a_busy_provider_is_not_asked_again_for_what_was_withdrawn() -> None:
    phone = Phone()
    draft = a_draft()
    queued(draft)

    def take_it(message: Message) -> None:
        with transaction() as session:
            keys = [(draft.patient_id, draft.dedup_key)]
            cancel(session, keys, because="dose_recorded", now=NOW)
        raise SendFailed("20429", retry=True)

    phone.before_send = take_it
    run(phone)

    assert the_message().state == "cancelled"


def test_a_machine_that_slept_loses_no_message() -> None:
    phone, clock = Phone(), Clock()
    queued(*(a_draft(key=key) for key in "ab"))

    def sleep(message: Message) -> None:
        phone.before_send = lambda _message: None
        clock.pass_by(LEASE + timedelta(seconds=1))
        reconcile({"sms": phone}, now=NOW, real=clock)

    phone.before_send = sleep
    run(phone, clock=clock)
    run(phone, clock=clock)

    assert [it.state for it in messages()] == ["sent", "sent"]
    assert len(phone.got) == 2


def test_what_was_decided_half_a_minute_ago_is_decided_anew_before_it_goes() -> None:
    """A provider takes ten seconds a message; meanwhile windows close."""
    clock, phone = Clock(), Phone()
    queued(*(a_draft(key=f"{n:02}", address=f"+417900000{n:02}") for n in range(9)))
    closed = NOW + timedelta(hours=2)

    def slowly(_message: Message) -> None:
        clock.pass_by(timedelta(seconds=10))

    phone.before_send = slowly
    run(phone, clock=clock)

    assert Counter(it.state for it in messages()) == {"sent": 4, "pending": 5}
    run(phone, now=closed, clock=clock)
    assert Counter(it.state for it in messages()) == {"sent": 4, "expired": 5}
    assert len(phone.got) == 4
