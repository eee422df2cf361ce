from collections.abc import Generator
from uuid import uuid4

import httpx
import pytest
from fastapi import FastAPI
from sqlmodel import select

from backend import errors
from backend.database import transaction
from backend.outbox.deliver import deliver
from backend.outbox.enqueue import enqueue
from backend.outbox.routes import router
from backend.outbox.tables import OutboxMessage, Receipt
from backend.settings import settings
from notifications.message import SendFailed
from tests.backend.outbox.phone import Clock, Phone, a_draft, plain
from tests.builders import NOW
from tests.notifications.twilio_signature import signature
from tests.serving import serving

pytestmark = pytest.mark.usefixtures("db")

PUBLIC, TOKEN = "https://clinic.example", "12345"


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Generator[httpx.Client]:
    monkeypatch.setenv("DOSELOOP_TWILIO_TOKEN", TOKEN)
    monkeypatch.setenv("DOSELOOP_PUBLIC_URL", PUBLIC)
    settings.cache_clear()
    app = FastAPI()
    app.include_router(router)
    errors.install(app)
    with serving(app) as client:
        yield client


def sent(phone: Phone | None = None) -> OutboxMessage:
    with transaction() as session:
        enqueue(session, [a_draft()], now=NOW)
    deliver({"sms": phone or Phone()}, now=NOW, real=Clock(), word=plain)
    return the_message()


def the_message() -> OutboxMessage:
    with transaction() as session:
        return session.exec(select(OutboxMessage)).one()


def tell(
    client: httpx.Client,
    message: OutboxMessage,
    status: str,
    *,
    sid: str = "SM1",
    code: str = "",
    sign_with: str = TOKEN,
    at: str = PUBLIC,
) -> int:
    form = {"MessageSid": sid, "MessageStatus": status, "ErrorCode": code, "To": "+1"}
    path = f"/v1/twilio/status?message={message.message_id}"
    head = {"X-Twilio-Signature": signature(at + path, form, sign_with)}
    return client.post(path, data=form, headers=head).status_code


def test_a_delivered_message_stays_delivered(client: httpx.Client) -> None:
    message = sent()

    for status in "delivered", "sent", "delivered":
        assert tell(client, message, status) == 204

    assert the_message().state == "delivered"
    with transaction() as session:
        assert len(session.exec(select(Receipt)).all()) == 2


def test_an_undelivered_message_has_failed_by_its_code(client: httpx.Client) -> None:
    tell(client, sent(), "undelivered", code="30005")

    assert (the_message().state, the_message().code) == ("failed", "30005")


def test_a_receipt_ends_the_doubt_about_a_message(client: httpx.Client) -> None:
    phone = Phone()
    phone.failing = [SendFailed("no answer", retry=None)]
    message = sent(phone)
    assert message.state == "unknown"

    tell(client, message, "queued", sid="SM77")

    assert (the_message().state, the_message().provider_id) == ("sent", "SM77")


def test_a_receipt_for_another_acceptance_changes_nothing(client: httpx.Client) -> None:
    tell(client, sent(), "failed", sid="SM99")

    assert the_message().state == "sent"


@pytest.mark.parametrize(
    ("sign_with", "at"),
    [("wrong", PUBLIC), (TOKEN, "http://127.0.0.1")],
    ids=["another token", "the address of the socket"],
)
def test_a_signature_that_does_not_fit_is_refused(
    client: httpx.Client, sign_with: str, at: str
) -> None:
    message = sent()

    assert tell(client, message, "failed", sign_with=sign_with, at=at) == 403
    assert the_message().state == "sent"


def test_an_unsigned_call_and_an_unknown_message_do_no_harm(
    client: httpx.Client,
) -> None:
    path = f"/v1/twilio/status?message={uuid4()}"

    assert client.post(path, data={"MessageSid": "SM1"}).status_code == 403


def test_without_a_token_there_is_no_such_place(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DOSELOOP_TWILIO_TOKEN")
    settings.cache_clear()

    assert tell(client, sent(), "delivered") == 404
