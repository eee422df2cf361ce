"""A sender as one is written at first, for comparison: what got no answer goes again.

It is no mode of the product. The harness that kills workers shows what it doubles.
"""

from collections.abc import Sequence
from typing import Self

from notifications.message import (
    Channel,
    ChannelSettings,
    Message,
    Receipt,
    SendFailed,
)


class Naive:
    """A channel that takes no answer for a no and never asks the provider."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self.per_second = channel.per_second
        self.at_once = channel.at_once

    @classmethod
    def from_settings(cls, settings: ChannelSettings) -> Self | None:  # noqa: ARG003
        return None

    def send(self, message: Message) -> Receipt:
        try:
            return self._channel.send(message)
        except SendFailed as failed:
            raise SendFailed(failed.code, retry=failed.retry is not False) from failed

    def look_up(self, message: Message) -> Sequence[Receipt]:  # noqa: ARG002
        return ()
