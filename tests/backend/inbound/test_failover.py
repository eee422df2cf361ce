"""What failed goes another way: once, in time, and never round an opt-out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import Session, col, select

from backend.alerts.tables import Alert
from backend.database import transaction
from backend.inbound.failover import LATER, fail_over
from backend.inbound.notice import word_notices
from backend.outbox.deliver import deliver
from backend.outbox.enqueue import Draft, enqueue
from backend.outbox.message import Claimed, Verdict
from backend.outbox.receipts import receive
from backend.outbox.reconcile import reconcile
from backend.outbox.tables import OutboxMessage
from backend.people.tables import ContactPoint
from backend.reminders.tables import OptOut
from backend.settings import settings
from notifications.codes import GONE, UNSURE
from notifications.message import Message, SendFailed
from tests.backend.outbox.phone import REAL, Clock, Phone, a_draft, plain
from tests.builders import LONG_AGO, NOW, a_clinic, a_patient

pytestmark = pytest.mark.usefixtures("db")

PHONE, MAIL, OTHER = "+41790000001", "rosa@example.org", "+41790000002"
SECOND = timedelta(seconds=1)


class Once(Phone):
    """A channel whose provider can never be asked."""

    def look_up(self, message: Message) -> None:
        self.before_look_up(message)


class World:
    """One patient, the channels they are reached by, and the time."""

    def __init__(self, *contacts: tuple[str, str]) -> None:
        self.sms, self.voice, self.email = Phone(), Once(), Once()
        self.webhook = Phone()
        self.now, self.real = NOW, Clock()
        with transaction() as session:
            clinic = a_clinic(session)
            rosa = a_patient(session, clinic)
            for rank, (channel, address) in enumerate(contacts, 2):
                session.add(
                    ContactPoint(
                        patient_id=rosa.patient_id,
                        channel=channel,
                        address=address,
                        rank=rank,
                        since=LONG_AGO,
                    )
                )
            self.rosa, self.clinic = rosa.patient_id, clinic.clinic_id

    @property
    def channels(self) -> dict[str, Phone]:
        return {
            "sms": self.sms,
            "voice": self.voice,
            "email": self.email,
            "webhook": self.webhook,
        }

    def remind(self, channel: str = "sms", address: str = PHONE) -> None:
        draft = a_draft(patient_id=self.rosa, channel=channel, address=address)
        self.queue(draft)
        self.work()

    def queue(self, draft: Draft) -> None:
        with transaction() as session:
            enqueue(session, [replace(draft, clinic_id=self.clinic)], now=self.now)

    def work(self) -> None:
        """Do what workers do in a second, twice."""
        for _ in range(2):
            deliver(self.channels, now=self.now, real=self.real, word=worded)
            fail_over(self.channels, now=self.now)

    def told(self, status: str, code: str | None) -> None:
        """Have the provider of the first message say what became of it."""
        with transaction() as session:
            receive(
                session,
                message_id=self.messages()[0].message_id,
                provider_id="SM1",
                status=status,
                code=code,
                now=self.now,
                real=REAL,
            )
        self.work()

    def messages(self) -> list[OutboxMessage]:
        with transaction() as session:
            ordered = select(OutboxMessage).order_by(
                col(OutboxMessage.created_at), col(OutboxMessage.dedup_key)
            )
            return list(session.exec(ordered))

    def rules(self) -> list[str]:
        with transaction() as session:
            return [alert.rule for alert in session.exec(select(Alert)).all()]


def worded(
    session: Session, claimed: Sequence[Claimed], now: datetime
) -> dict[UUID, Verdict]:
    return {**plain(session, claimed, now), **word_notices(claimed)}


@pytest.mark.parametrize("code", ["21614", "30005", "30006", "21211", "30008", None])
def test_what_was_not_delivered_goes_by_mail_and_says_after_what(
    code: str | None,
) -> None:
    world = World(("email", MAIL))
    world.remind()

    world.told("undelivered", code)

    [mail] = world.email.got
    assert mail.to == MAIL
    first, second = world.messages()
    assert first.why["failed_over"] == "email"
    assert (second.why["after"], second.why["after_code"]) == (
        str(first.message_id),
        code,
    )
    assert second.valid_until == first.valid_until


def test_a_refusal_at_once_goes_the_same_way() -> None:
    world = World(("email", MAIL))
    world.sms.failing = [SendFailed("21614", retry=False)]

    world.remind()

    assert [mail.to for mail in world.email.got] == [MAIL]


def test_the_other_number_is_a_way_too() -> None:
    world = World(("sms", OTHER), ("email", MAIL))
    world.remind()

    world.told("undelivered", "30005")

    assert [text.to for text in world.sms.got] == [PHONE, OTHER]
    assert world.email.got == []


def test_what_is_no_number_is_none_for_calls_either() -> None:
    world = World(("voice", PHONE), ("email", MAIL))
    world.sms.failing = [SendFailed("21211", retry=False)]

    world.remind()

    assert (world.voice.got, len(world.email.got)) == ([], 1)


def test_what_is_no_mobile_may_still_be_called() -> None:
    world = World(("voice", PHONE))
    world.sms.failing = [SendFailed("21614", retry=False)]

    world.remind()

    assert [call.to for call in world.voice.got] == [PHONE]


def test_it_goes_another_way_once_however_often_the_provider_says_so() -> None:
    world = World(("email", MAIL), ("sms", OTHER))
    world.email.failing = [SendFailed("smtp 550", retry=False)]
    world.remind()

    for _ in range(3):
        world.told("undelivered", "30005")
        world.now += SECOND

    assert [it.state for it in world.messages()] == ["failed", "failed"]
    assert [text.to for text in world.sms.got] == [PHONE]


def test_nothing_goes_after_its_window() -> None:
    world = World(("email", MAIL))
    world.remind()
    world.now += timedelta(hours=3)

    world.told("undelivered", "30005")

    assert world.email.got == []
    assert world.rules() == ["address-wrong:sms"]


def test_a_wrong_number_is_on_the_worklist() -> None:
    world = World()
    world.sms.failing = [SendFailed("21211", retry=False)]
    world.remind()
    assert world.rules() == ["address-wrong:sms"]


def test_an_unknown_failure_is_not_on_the_worklist() -> None:
    world = World()
    world.remind()

    world.told("undelivered", "30008")
    assert world.rules() == []


def test_who_opted_out_at_the_provider_is_never_written_to_there_again() -> None:
    world = World(("email", MAIL))
    world.sms.failing = [SendFailed("21610", retry=False)]

    world.remind()

    with transaction() as session:
        [stopped] = session.exec(select(OptOut)).all()
        left = session.exec(
            select(ContactPoint.channel).where(col(ContactPoint.until).is_(None))
        ).all()
    assert (stopped.channel, stopped.address) == ("sms", PHONE)
    assert left == ["email"]
    assert world.email.got == []  # an opt-out is not gone round
    assert world.rules() == ["opted-out:sms"]


def test_a_phone_that_is_away_is_tried_again_later_where_there_is_no_other_way() -> (
    None
):
    world = World()
    world.remind()

    world.told("undelivered", "30003")
    assert len(world.sms.got) == 1

    world.now += LATER
    world.work()
    assert [text.to for text in world.sms.got] == [PHONE, PHONE]


def test_of_a_filtered_text_the_operator_hears_and_another_channel_takes_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOSELOOP_WEBHOOK_URL", "https://ops.example/hook")
    settings.cache_clear()
    world = World(("sms", OTHER), ("email", MAIL))
    world.remind()

    world.told("undelivered", "30007")

    assert [text.to for text in world.sms.got] == [PHONE]
    assert [mail.to for mail in world.email.got] == [MAIL]
    [notice] = world.webhook.got
    assert notice.to == "https://ops.example/hook"
    assert "30007" in notice.body
    assert PHONE not in notice.body
    settings.cache_clear()


def test_an_operator_is_not_called_for_each_of_a_hundred_filtered_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOSELOOP_WEBHOOK_URL", "https://ops.example/hook")
    settings.cache_clear()
    world = World()
    world.sms.failing = [SendFailed("30007", retry=False) for _ in range(3)]
    for key in "abc":
        world.queue(a_draft(patient_id=world.rosa, key=key))

    world.work()

    assert len(world.webhook.got) == 1
    settings.cache_clear()


def test_a_call_that_nobody_answered_leaves_the_word_to_the_next_rung() -> None:
    world = World(("voice", PHONE), ("email", MAIL))
    world.remind("voice")

    world.told("no-answer", None)

    assert world.email.got == []
    assert world.messages()[0].why["failed_over"] == "nobody"


def test_a_mail_of_which_nobody_knows_is_not_sent_twice_but_another_way() -> None:
    world = World(("email", MAIL))
    world.email.failing = [SendFailed("no answer", retry=None)]
    world.remind("email", MAIL)
    assert world.messages()[0].state == "unknown"

    world.real.pass_by(timedelta(minutes=3))
    reconcile(world.channels, now=world.now, real=world.real)
    world.work()

    assert world.messages()[0].code == UNSURE
    assert world.email.got == []
    assert [text.to for text in world.sms.got] == [PHONE]


def test_a_receipt_that_comes_after_all_ends_what_nobody_knew() -> None:
    world = World()
    world.voice.failing = [SendFailed("no answer", retry=None)]
    world.remind("voice")
    world.real.pass_by(timedelta(minutes=3))
    reconcile(world.channels, now=world.now, real=world.real)
    assert world.messages()[0].state == "failed"

    world.told("completed", None)

    assert world.messages()[0].state == "delivered"


def test_a_subscription_that_is_dead_ends_and_nobody_has_to_look() -> None:
    world = World(("push", "{}"))
    world.email.failing = []
    pushed = Phone()
    pushed.failing = [SendFailed(GONE, retry=False)]
    world.queue(a_draft(patient_id=world.rosa, channel="push", address="{}"))
    channels = {**world.channels, "push": pushed}
    deliver(channels, now=NOW, real=world.real, word=worded)

    fail_over(channels, now=NOW)
    world.work()

    assert [text.to for text in world.sms.got] == [PHONE]
    assert world.rules() == []
    with transaction() as session:
        ended = select(ContactPoint.channel).where(col(ContactPoint.until).is_not(None))
        assert session.exec(ended).all() == ["push"]


def test_a_channel_that_is_not_set_up_is_no_way() -> None:
    world = World(("push", "{}"))
    world.remind()

    world.told("undelivered", "30005")

    assert world.messages()[0].why["failed_over"] == "nobody"
    assert len(world.messages()) == 1
