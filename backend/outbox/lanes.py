"""One thread a channel, so that a slow provider holds up nobody else's messages."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

MOST = 16  # channels that send at once; the others wait for one to end


class Lanes:
    """Runs `send(channel)` for each channel that is due, once at a time."""

    def __init__(self, send: Callable[[str], None]) -> None:
        self._send = send
        self._threads = ThreadPoolExecutor(MOST, thread_name_prefix="send")
        self._sending: dict[str, Future[None]] = {}

    def start(self, due: Iterable[str]) -> None:
        """Begin to send by these channels; one that is sending already goes on."""
        for channel in due:
            sending = self._sending.get(channel)
            if sending is None or sending.done():
                self._sending[channel] = self._threads.submit(self._send, channel)

    def close(self) -> None:
        """Wait until every channel has ended its turn."""
        self._threads.shutdown(wait=True)
