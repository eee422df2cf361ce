"""Web push against a server that decrypts as a browser does."""

import base64
import json
import socket
from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import http_ece
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from py_vapid import Vapid02

from notifications.channels.push import (
    LONGEST_PAYLOAD,
    LONGEST_TTL,
    PushChannel,
    payload,
    signer,
)
from notifications.codes import BAD_ADDRESS, GONE
from notifications.message import Message, SendFailed
from notifications.wording import LANGUAGES, catalogue, name_dose, say
from tests.notifications.answering import Answering, answering

CONTACT = "mailto:ops@clinic.example"


def b64(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


class Browser:
    """What a browser keeps of a subscription: its private key and a secret."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._secret = b"0123456789abcdef"

    def subscription(self, address: str) -> str:
        public = self._key.public_key().public_bytes(
            serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
        )
        keys = {"p256dh": b64(public), "auth": b64(self._secret)}
        return json.dumps({"endpoint": f"{address}/send/abc", "keys": keys})

    def reads(self, sealed: bytes) -> dict[str, Any]:
        coding: Any = http_ece
        shown: bytes = coding.decrypt(
            sealed, private_key=self._key, auth_secret=self._secret
        )
        return json.loads(shown)


def a_key() -> str:
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return b64(number.to_bytes(32, "big"))


def a_message(to: str, *, dies_in: timedelta = timedelta(hours=2)) -> Message:
    return Message(UUID(int=7), to, "Hallo. Größe: 5 µg", "AB12CD", dies_in, "de")


def pushed(server: Answering, message: Message) -> SendFailed | str:
    """Return the id that the channel gives, or what it raises."""
    try:
        return PushChannel(signer(a_key()), CONTACT).send(message).provider_id
    except SendFailed as failed:
        return failed


def test_only_the_browser_reads_what_was_sent() -> None:
    browser = Browser()
    with answering(Answering(headers={"Location": "https://push/1"})) as server:
        got = pushed(server, a_message(browser.subscription(server.address)))

    [sent] = server.got
    assert got == "https://push/1"
    assert sent.path == "/send/abc"
    assert "Größe".encode() not in sent.body
    assert browser.reads(sent.body) == {
        "title": say("push_title", "de"),
        "body": "Hallo. Größe: 5 µg",
        "lang": "de",
        "tag": "AB12CD",
    }


def test_a_push_dies_with_its_message_and_takes_the_place_of_its_copy() -> None:
    browser = Browser()
    with answering(Answering()) as server:
        to = browser.subscription(server.address)
        for dies_in in timedelta(hours=2), timedelta(days=60):
            pushed(server, a_message(to, dies_in=dies_in))

    first, second = server.got
    assert first.headers["ttl"] == "7200"
    assert second.headers["ttl"] == str(LONGEST_TTL)
    assert first.headers["topic"] == second.headers["topic"]
    assert len(first.headers["topic"]) <= 32
    assert first.headers["urgency"] == "high"
    assert first.headers["content-encoding"] == "aes128gcm"


def test_the_server_sees_who_sends_by_a_signature_for_its_own_origin() -> None:
    browser, key = Browser(), a_key()
    with answering(Answering()) as server:
        message = a_message(browser.subscription(server.address))
        PushChannel(signer(key), CONTACT).send(message)

    authorization = server.got[0].headers["authorization"]
    assert Vapid02.verify(authorization)  # pyright: ignore[reportUnknownMemberType]
    token = authorization.partition("t=")[2].partition(",")[0].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(token + "=="))
    assert (claims["aud"], claims["sub"]) == (server.address, CONTACT)


@pytest.mark.parametrize(
    ("status", "code", "retry"),
    [
        (404, GONE, False),
        (410, GONE, False),
        (400, "push 400", False),
        (403, "push 403", False),
        (413, "push 413", False),
        (429, "push 429", True),
        (500, "push 500", None),
        (503, "push 503", None),
        (302, "push 302", False),
        (0, "no answer", None),
    ],
)
def test_says_what_a_refusal_means(status: int, code: str, retry: object) -> None:
    with answering(Answering(status)) as server:
        failed = pushed(server, a_message(Browser().subscription(server.address)))

    assert isinstance(failed, SendFailed)
    assert (failed.code, failed.retry) == (code, retry)
    assert len(server.got) == 1


@pytest.mark.parametrize(
    "to",
    [
        "",
        "+41790000001",
        "[]",
        "{}",
        '{"endpoint": "https://push.example/1"}',
        '{"endpoint": "https://push.example/1", "keys": {"p256dh": "AA", "auth": ""}}',
        '{"endpoint": "https://push.example/1", "keys": {"p256dh": 7, "auth": 7}}',
    ],
)
def test_what_is_no_subscription_is_a_bad_address(to: str) -> None:
    failed = pushed(Answering(), a_message(to))

    assert isinstance(failed, SendFailed)
    assert (failed.code, failed.retry) == (BAD_ADDRESS, False)


def test_where_nobody_listens_nothing_was_sent() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"

    failed = pushed(Answering(), a_message(Browser().subscription(address)))

    assert isinstance(failed, SendFailed)
    assert failed.retry is True


@pytest.mark.parametrize(
    ("language", "key"),
    list(product(sorted(LANGUAGES), ["late", "ask", "ask_unheard", "ask_unsure"])),
)
def test_every_message_fits_a_push(language: str, key: str) -> None:
    body = say(
        key,
        language,
        time="20:45",
        since="30 sept. 20:45",
        reference="WWWWWW",
        dose=name_dose("Ю" * 200, language),
    )
    message = Message(UUID(int=7), "", body, "WWWWWW", timedelta(hours=1), language)

    assert len(payload(message)) <= LONGEST_PAYLOAD
    assert catalogue(language)["push_title"]
