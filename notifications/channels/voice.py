"""Calls through Twilio: the words are spoken, and a key answers them.

At most once. A call carries no text by which it could be found again, so that one of
which nobody knows whether it went is never made a second time; the next rung follows.
"""

from typing import Self
from uuid import UUID

from twilio.rest import Client

from notifications.message import ChannelSettings, Message, Receipt
from notifications.twilio_client import ERRORS, failure, open_client, status_address
from notifications.twiml import call_asking
from notifications.wording import without_reference

KEYS = "/v1/twilio/keys"
RINGS_S = 30  # then nobody is there, and before most mailboxes answer
LONGEST_CALL_S = 120


class VoiceChannel:
    """Calls from a number in E.164; `public` is our address as Twilio reaches it."""

    per_second: float | None = (
        1.0  # calls a second, what Twilio takes from an account at first
    )

    at_once = 4

    def __init__(self, client: Client, caller: str, *, public: str) -> None:
        self._client = client
        self._caller = caller
        self._public = public.rstrip("/")

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        client, public = open_client(settings), settings.public_url
        caller = settings.twilio_caller or settings.twilio_sender
        if client is None or not public or not (caller or "").startswith("+"):
            return None
        return cls(client, caller or "", public=public)

    def send(self, message: Message) -> Receipt:
        """Have Twilio call; that somebody answered is what the callback says."""
        asked = call_asking(
            without_reference(message.body, message.reference),
            message.language,
            keys_to=keys_address(self._public, message.message_id),
            to_caregiver=message.to_caregiver,
        )
        try:
            made = self._client.calls.create(
                to=message.to,
                from_=self._caller,
                twiml=asked,
                timeout=RINGS_S,
                time_limit=LONGEST_CALL_S,
                status_callback=status_address(self._public, message),
                status_callback_method="POST",
            )
        except ERRORS as error:
            raise failure(error) from error
        return Receipt(str(made.sid))

    def look_up(self, message: Message) -> None:
        """Return None: Twilio cannot tell which call was this message's."""


def keys_address(public: str, message_id: UUID) -> str:
    """Return where Twilio says which key was pressed in the call of a message."""
    return f"{public}{KEYS}?message={message_id}"


CHANNEL = VoiceChannel
