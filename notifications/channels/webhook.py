"""Calls to an operator's own address, signed as the Standard Webhooks say.

A receiver knows a call that comes again by its `webhook-id`, which is the message's,
so that whatever is not a yes goes again until the message's time is over.
https://github.com/standard-webhooks/standard-webhooks (spec, "Webhook scheme").
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Self

import httpx
import orjson

from notifications.codes import GONE
from notifications.message import ChannelSettings, Message, Receipt, SendFailed

TIMEOUT = timedelta(seconds=15)
PREFIX = "whsec_"
SHORTEST_SECRET = 24  # octets, as the specification has it


class WebhookChannel:
    """`to` is the address that is called; `clock` is real time in seconds."""

    per_second: float | None = None
    at_once = 4

    def __init__(
        self,
        secret: bytes,
        *,
        client: httpx.Client | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._secret = secret
        self._clock = clock
        self._client = client or httpx.Client(
            timeout=TIMEOUT.total_seconds(), follow_redirects=False
        )

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        given = settings.webhook_secret
        return None if given is None else cls(secret_of(given.get_secret_value()))

    def send(self, message: Message) -> Receipt:
        """Call the operator; only an answer of 2xx is a yes."""
        at = int(self._clock())
        called = str(message.message_id)
        body = payload(message, at)
        headers = {
            "Content-Type": "application/json",
            "webhook-id": called,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(self._secret, called, at, body),
        }
        try:
            answer = self._client.post(message.to, content=body, headers=headers)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise SendFailed("unreachable", retry=True) from error
        if answer.status_code == HTTPStatus.GONE:
            raise SendFailed(GONE, retry=False)
        if not answer.is_success:
            raise SendFailed(f"webhook {answer.status_code}", retry=True)
        return Receipt(called, "delivered")

    def look_up(self, message: Message) -> tuple[Receipt, ...]:  # noqa: ARG002
        """Return nothing: a call that comes twice is known by its id."""
        return ()


def payload(message: Message, at: int) -> bytes:
    """Return the body: what kind of event, when, and what there is to say."""
    event = {
        "type": "operator.notice",
        "timestamp": datetime.fromtimestamp(at, UTC).isoformat(),
        "data": {"text": message.body, "reference": message.reference},
    }
    return orjson.dumps(event)


def signature(secret: bytes, called: str, at: int, body: bytes) -> str:
    """Return `v1,` and the base64 of HMAC-SHA256 over id, timestamp and body."""
    signed = f"{called}.{at}.".encode() + body
    digest = hmac.new(secret, signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def secret_of(given: str) -> bytes:
    """Return the key in `whsec_...`; raises ValueError when it is none."""
    try:
        secret = base64.b64decode(given.removeprefix(PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a webhook secret is whsec_ and base64") from error
    if len(secret) < SHORTEST_SECRET:
        raise ValueError(f"a webhook secret has at least {SHORTEST_SECRET} octets")
    return secret


CHANNEL = WebhookChannel
