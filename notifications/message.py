"""What is sent, what a provider answers, and what a channel is."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple, Protocol, Self
from uuid import UUID


class NotificationError(Exception):
    """Base of all errors this package raises."""


class SendFailed(NotificationError):
    """A provider did not say yes.

    `retry` is True when the message was surely not accepted and may go later, False
    when it never will, None when nobody knows: it may be on its way, and only a
    look-up at the provider may decide to send again. `code` is the provider's.
    """

    def __init__(self, code: str, *, retry: bool | None) -> None:
        super().__init__(f"not sent: {code}")
        self.code = code
        self.retry = retry


# Tuples, not dataclasses: at eight in the morning a hundred thousand of each are made.
class Message(NamedTuple):
    """One message to one address.

    The `body` of a text holds `reference`, by which it is found. `language` (BCP 47) is
    that of the body, for what a channel adds to it; so is that it is `to_caregiver`.
    """

    message_id: UUID
    to: str
    body: str
    reference: str
    dies_in: timedelta
    language: str = "en"
    to_caregiver: bool = False


class Receipt(NamedTuple):
    """The provider's word: `status` is `sent`, `delivered` or `failed`."""

    provider_id: str
    status: str = "sent"
    code: str | None = None


class Secret(Protocol):
    def get_secret_value(self) -> str: ...


class ChannelSettings(Protocol):
    """What channels read of the settings."""

    @property
    def public_url(self) -> str | None: ...
    @property
    def twilio_account(self) -> str | None: ...
    @property
    def twilio_token(self) -> Secret | None: ...
    @property
    def twilio_sender(self) -> str | None: ...
    @property
    def twilio_texts_per_second(self) -> float | None: ...
    @property
    def twilio_caller(self) -> str | None: ...
    @property
    def smtp_host(self) -> str | None: ...
    @property
    def smtp_port(self) -> int: ...
    @property
    def smtp_security(self) -> str: ...
    @property
    def smtp_user(self) -> str | None: ...
    @property
    def smtp_password(self) -> Secret | None: ...
    @property
    def mail_sender(self) -> str | None: ...
    @property
    def push_key(self) -> Secret | None: ...
    @property
    def push_contact(self) -> str | None: ...
    @property
    def webhook_secret(self) -> Secret | None: ...


class Channel(Protocol):
    @property
    def per_second(self) -> float | None:
        """How many messages its sender may hand over a second; None: any number."""
        ...

    @property
    def at_once(self) -> int:
        """How many messages may be handed over at the same time, by as many threads."""
        ...

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:
        """Return the channel, None when the operator has not set it up."""
        ...

    def send(self, message: Message) -> Receipt:
        """Hand over one message, at most once; raises SendFailed."""
        ...

    def look_up(self, message: Message) -> Sequence[Receipt] | None:
        """Return what the provider accepted under the message's reference.

        None where the provider can never tell: the channel sends at most once, and a
        message of which nobody knows whether it went has failed. Raises SendFailed
        when the provider cannot be asked now.
        """
        ...
