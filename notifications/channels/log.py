"""The channel of a demo: says in the log that a message went, and to nobody what."""

import logging
from collections.abc import Sequence
from typing import Self

from notifications.message import ChannelSettings, Message, Receipt

log = logging.getLogger(__name__)


class LogChannel:
    per_second: float | None = None
    at_once = 1

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self:  # noqa: ARG003
        return cls()

    def send(self, message: Message) -> Receipt:
        """Accept everything. Neither the address nor the words reach the log."""
        log.info("message sent", extra={"message_id": str(message.message_id)})
        return Receipt(f"log-{message.message_id}")

    def look_up(self, message: Message) -> Sequence[Receipt]:  # noqa: ARG002
        """Return nothing: a log cannot be asked, and a second line harms nobody."""
        return ()


CHANNEL = LogChannel
