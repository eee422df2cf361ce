"""Web push (RFC 8030): a notification on a phone or computer that subscribed.

At most once: a push server cannot be asked. A message's topic and tag follow from it,
so that a second copy would take the place of the first. The words are encrypted for
the browser (RFC 8291), and the server that passes them on sees none (RFC 8188).
"""

import base64
import binascii
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Protocol, Self, cast
from urllib.parse import urlsplit

import httpx
import orjson
from cryptography.hazmat.primitives import serialization
from py_vapid import Vapid
from pywebpush import WebPusher, WebPushException

from notifications.codes import BAD_ADDRESS, GONE
from notifications.message import ChannelSettings, Message, Receipt, SendFailed
from notifications.wording import say, without_reference

TIMEOUT = timedelta(seconds=10)
LONGEST_TTL = 2_419_200  # seconds, four weeks: what servers keep at most
# A record of 4,096 octets less the header of 86, the tag of 16 and the delimiter.
LONGEST_PAYLOAD = 3_993
DEAD = frozenset({404, 410})
LATER = frozenset({429})


class Signer(Protocol):
    """What we use of py-vapid, which ships no types."""

    def sign(self, claims: dict[str, str]) -> dict[str, str]: ...


class Encoder(Protocol):
    """What we use of pywebpush."""

    def encode(self, data: bytes) -> Mapping[str, bytes]: ...


class PushChannel:
    """`to` is the subscription as the browser's JSON: endpoint, keys."""

    per_second: float | None = None
    at_once = 8

    def __init__(
        self, signer: Signer, contact: str, *, client: httpx.Client | None = None
    ) -> None:
        self._signer = signer
        self._contact = contact
        self._client = client or httpx.Client(
            timeout=TIMEOUT.total_seconds(), follow_redirects=False
        )

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        key, contact = settings.push_key, settings.push_contact
        if key is None or not contact:
            return None
        return cls(signer(key.get_secret_value()), contact)

    def send(self, message: Message) -> Receipt:
        """Hand one notification to the push server of the subscription."""
        endpoint, sealed = _sealed(message)
        origin = urlsplit(endpoint)
        claims = {"sub": self._contact, "aud": f"{origin.scheme}://{origin.netloc}"}
        seconds = int(message.dies_in.total_seconds())
        headers = {
            **self._signer.sign(claims),
            "Content-Encoding": "aes128gcm",
            "Content-Type": "application/octet-stream",
            "TTL": str(min(max(seconds, 0), LONGEST_TTL)),
            "Urgency": "high",
            "Topic": _topic(message),
        }
        try:
            answer = self._client.post(endpoint, content=sealed, headers=headers)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise SendFailed("unreachable", retry=True) from error
        except httpx.TransportError as error:
            raise SendFailed("no answer", retry=None) from error
        except httpx.InvalidURL as error:
            raise SendFailed(BAD_ADDRESS, retry=False) from error
        if not answer.is_success:
            raise _refused(answer.status_code)
        return Receipt(answer.headers.get("Location") or str(message.message_id))

    def look_up(self, message: Message) -> None:
        """Return None: a push server cannot be asked."""


def signer(key: str) -> Signer:
    """Return what signs for a private key: raw or DER, base64url (RFC 8292)."""
    made: Any = Vapid
    return cast("Signer", made.from_string(key))


def public_key(key: str) -> str:
    """Return the public half of a private key, as browsers want it: base64url."""
    made: Any = Vapid
    octets: bytes = made.from_string(key).public_key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    return base64.urlsafe_b64encode(octets).decode().rstrip("=")


def payload(message: Message) -> bytes:
    """Return what the browser is given: a title, the words and whose copy it is."""
    shown = {
        "title": say("push_title", message.language),
        "body": without_reference(message.body, message.reference),
        "lang": message.language,
        "tag": message.reference,
    }
    return orjson.dumps(shown)


def _sealed(message: Message) -> tuple[str, bytes]:
    """Return the endpoint and the encrypted payload; raises SendFailed."""
    try:
        subscription: dict[str, Any] = orjson.loads(message.to)
        endpoint = str(subscription["endpoint"])
        pusher = cast("Encoder", WebPusher(subscription))
        sealed = pusher.encode(payload(message))["body"]
    except (
        WebPushException,
        binascii.Error,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise SendFailed(BAD_ADDRESS, retry=False) from error
    return endpoint, sealed


def _topic(message: Message) -> str:
    """Return at most 32 signs that name this message alone (RFC 8030, 5.4)."""
    return base64.urlsafe_b64encode(message.message_id.bytes).decode().rstrip("=")


def _refused(status: int) -> SendFailed:
    if status in DEAD:
        return SendFailed(GONE, retry=False)
    if status in LATER:
        return SendFailed(f"push {status}", retry=True)
    return SendFailed(f"push {status}", retry=None if status >= 500 else False)


CHANNEL = PushChannel
