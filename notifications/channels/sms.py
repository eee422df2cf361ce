"""Text messages through Twilio.

Twilio knows no idempotency key, so a message carries its reference in its words and
its id in the address of the status callback: by these it is found again.
"""

import re
from collections.abc import Sequence
from typing import Any, Self

from twilio.rest import Client
from twilio.rest.api.v2010.account.message import MessageInstance

from notifications.message import ChannelSettings, Message, Receipt
from notifications.twilio_client import ERRORS, failure, open_client, status_address

SHORT_CODE = re.compile(r"\d{4,6}")
TOLL_FREE = re.compile(r"\+18(00|33|44|55|66|77|88)\d{7}")
SHORTEST, LONGEST = 1, 36_000  # seconds a message may wait at Twilio
NEWEST = 200  # messages to one number that a look-up reads

STATUS = {
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}


class SmsChannel:
    """Sends from a number in E.164 or from a messaging service (`MG...`)."""

    # Twilio takes a tenth of a second for a text; so many keep 100 a second going.
    at_once = 16

    def __init__(
        self,
        client: Client,
        sender: str,
        *,
        public: str | None = None,
        per_second: float | None = None,
    ) -> None:
        self.per_second = per_second
        self._client = client
        self._from: dict[str, Any] = (
            {"messaging_service_sid": sender}
            if sender.startswith("MG")
            else {"from_": sender}
        )
        self._public = public

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        client, sender = open_client(settings), settings.twilio_sender
        if client is None or not sender:
            return None
        rate = settings.twilio_texts_per_second or usual_rate(sender)
        return cls(client, sender, public=settings.public_url, per_second=rate)

    def send(self, message: Message) -> Receipt:
        """Hand one message to Twilio. Accepted is not delivered: see the callback."""
        seconds = int(message.dies_in.total_seconds())
        options: dict[str, Any] = {
            **self._from,
            "validity_period": min(max(seconds, SHORTEST), LONGEST),
        }
        if self._public:
            options["status_callback"] = status_address(self._public, message)
        try:
            sent = self._client.messages.create(
                to=message.to, body=message.body, **options
            )
        except ERRORS as error:
            raise failure(error) from error
        return _receipt(sent)

    def look_up(self, message: Message) -> Sequence[Receipt]:
        """Return what Twilio took for this recipient with this reference.

        Not filtered by DateSent: a message that Twilio still queues has none.
        """
        try:
            found = self._client.messages.list(to=message.to, limit=NEWEST)
        except ERRORS as error:
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


def _receipt(sent: MessageInstance) -> Receipt:
    code = str(sent.error_code) if sent.error_code else None
    return Receipt(str(sent.sid), STATUS.get(str(sent.status), "sent"), code)


CHANNEL = SmsChannel
