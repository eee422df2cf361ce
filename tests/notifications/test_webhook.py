import base64
import json
from datetime import timedelta
from uuid import UUID

import pytest

from notifications.channels.webhook import WebhookChannel, secret_of, signature
from notifications.codes import GONE
from notifications.message import Message, Receipt, SendFailed
from tests.notifications.answering import Answering, answering

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
AT = 1614265330


def called(server: Answering) -> Receipt:
    message = Message(
        UUID(int=7), f"{server.address}/hook", "Hi", "AB12CD", timedelta(1)
    )
    return WebhookChannel(secret_of(SECRET), clock=lambda: AT).send(message)


def test_the_signature_is_that_of_the_specification() -> None:
    """The vector of the Standard Webhooks libraries' own tests."""
    signed = signature(
        secret_of(SECRET),
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        AT,
        b'{"test": 2432232314}',
    )

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_operator_is_called_with_a_signed_event_that_has_an_id() -> None:
    with answering(Answering(204)) as server:
        receipt = called(server)

    [sent] = server.got
    assert receipt == Receipt(str(UUID(int=7)), "delivered")
    assert json.loads(sent.body) == {
        "type": "operator.notice",
        "timestamp": "2021-02-25T15:02:10+00:00",
        "data": {"text": "Hi", "reference": "AB12CD"},
    }
    assert sent.headers["webhook-id"] == str(UUID(int=7))
    assert sent.headers["webhook-signature"] == signature(
        secret_of(SECRET), str(UUID(int=7)), AT, sent.body
    )


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (410, GONE, False),
        (500, "webhook 500", True),
        (404, "webhook 404", True),
        (301, "webhook 301", True),
        (0, "unreachable", True),
    ],
)
def test_what_is_no_yes_goes_again_for_the_receiver_knows_its_id(
    status: int, code: str, *, retry: bool
) -> None:
    with answering(Answering(status)) as server, pytest.raises(SendFailed) as caught:
        called(server)

    assert (caught.value.code, caught.value.retry) == (code, retry)


@pytest.mark.parametrize("secret", ["whsec_", "whsec_AAAA", "whsec_%%%", "hunter2"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(ValueError, match="webhook secret"):
        secret_of(secret)


def test_a_secret_may_stand_without_its_prefix() -> None:
    assert secret_of(SECRET.removeprefix("whsec_")) == base64.b64decode(SECRET[6:])
