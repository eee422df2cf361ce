"""Text messages through Twilio.

Twilio knows no idempotency key, so a message carries its reference in its words and
its id in the address of the status callback: by these it is found again.
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Self

from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from notifications.message import ChannelSettings, Message, Receipt, SendFailed
from notifications.single_shot import MaybeSent, NotSent, SingleShot

TIMEOUT = timedelta(seconds=10)
SHORT_CODE = re.compile(r"\d{4,6}")
TOLL_FREE = re.compile(r"\+18(00|33|44|55|66|77|88)\d{7}")
SHORTEST, LONGEST = 1, 36_000  # seconds a message may wait at Twilio
NEWEST = 200  # messages to one number that a look-up reads
CALLBACK = "/v1/twilio/status"

# Refusals that say nothing about the message: credentials, suspension, rate.
NOT_NOW = frozenset({401, 403, 429})
# Answers that leave open whether the message was taken.
OPEN = frozenset({408, 409, 425})
RATE_LIMITED = 20429

STATUS = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

# What codes mean for whoever decides what happens next.
MEANING = {
    "21211": "bad address",
    "21614": "bad address",
    "30005": "bad address",
    "30006": "bad address",
    "21610": "opted out",
    "30003": "unreachable for now",
    "30007": "filtered: stop and tell the operator",
    "20429": "rate limited",
}


class SmsChannel:
    """Sends from a number in E.164 or from a messaging service (`MG...`)."""

    def __init__(
        self,
        client: Client,
        sender: str,
        *,
        callback: str | None = None,
        per_second: float | None = None,
    ) -> None:
        self.per_second = per_second
        self._client = client
        self._from: dict[str, Any] = (
            {"messaging_service_sid": sender}
            if sender.startswith("MG")
            else {"from_": sender}
        )
        self._callback = callback

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        token, sender = settings.twilio_token, settings.twilio_sender
        if not (settings.twilio_account and token and sender):
            return None
        client = Client(
            settings.twilio_account,
            token.get_secret_value(),
            http_client=SingleShot(timeout=TIMEOUT),
        )
        public = settings.public_url
        callback = public.rstrip("/") + CALLBACK if public else None
        rate = settings.twilio_texts_per_second or usual_rate(sender)
        return cls(client, sender, callback=callback, per_second=rate)

    def send(self, message: Message) -> Receipt:
        """Hand one message to Twilio. Accepted is not delivered: see the callback."""
        seconds = int(message.dies_in.total_seconds())
        options: dict[str, Any] = {
            **self._from,
            "validity_period": min(max(seconds, SHORTEST), LONGEST),
        }
        if self._callback:
            options["status_callback"] = (
                f"{self._callback}?message={message.message_id}"
            )
        try:
            sent = self._client.messages.create(
                to=message.to, body=message.body, **options
            )
        except (TwilioException, NotSent, MaybeSent) as error:
            raise failure(error) from error
        return _receipt(sent)

    def look_up(self, message: Message) -> Sequence[Receipt]:
        """Return what Twilio took for this recipient with this reference.

        Not filtered by DateSent: a message that Twilio still queues has none.
        """
        try:
            found = self._client.messages.list(to=message.to, limit=NEWEST)
        except (TwilioException, NotSent, MaybeSent) as error:
            raise failure(error) from error
        return [
            _receipt(sent) for sent in found if message.reference in (sent.body or "")
        ]


def usual_rate(sender: str) -> float | None:
    """Return how many texts a second Twilio takes from a sender of this kind.

    A long code 1, a toll-free number 3, a short code 100. A messaging service has as
    many senders as the operator gave it: None, until the operator says.
    """
    if sender.startswith("MG"):
        return None
    if SHORT_CODE.fullmatch(sender):
        return 100.0
    return 3.0 if TOLL_FREE.match(sender) else 1.0


def failure(error: Exception) -> SendFailed:
    """Return what an error of the client says about the message."""
    match error:
        case TwilioRestException():
            code = str(error.code or error.status)
            return SendFailed(code, retry=_may_retry(int(error.status), error.code))
        case NotSent():
            return SendFailed("unreachable", retry=True)
        case _:  # MaybeSent, and an answer the client could not read
            return SendFailed("no answer", retry=None)


def _may_retry(status: int, code: int | None) -> bool | None:
    if status in NOT_NOW or code == RATE_LIMITED:
        return True
    if status >= 500 or status < 400 or status in OPEN:
        return None
    return False


def _receipt(sent: MessageInstance) -> Receipt:
    code = str(sent.error_code) if sent.error_code else None
    return Receipt(str(sent.sid), STATUS.get(str(sent.status), "sent"), code)


CHANNEL = SmsChannel
