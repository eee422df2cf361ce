"""GHS segments: messages cut to fit notifications, and put together again.

First octet of each segment: b0 first, b1 last, b2-7 a counter that runs on from message
to message within a connection.
"""

from collections.abc import Sequence

from device_bridge.errors import MalformedRecord

FIRST, LAST = 0x01, 0x02
COUNTER_MODULUS = 64
HEADER = 1
LARGEST_MESSAGE = 0xFFFF + 7


class SegmentAssembler:
    """Puts the segments of one characteristic of one connection together."""

    def __init__(self) -> None:
        self._expected: int | None = None
        self._parts: list[bytes] | None = None
        self.lost = 0

    def feed(self, segment: bytes) -> bytes | None:
        """Return a message when `segment` completes one.

        A break in the counter, a start that was never seen and an end that never came
        drop the message and add to `lost`: whoever reads asks for the record again.
        Raises MalformedRecord for a segment without a header.
        """
        if not segment:
            raise MalformedRecord("GHS segment", b"", "no header")
        header = segment[0]
        counter = header >> 2
        if self._expected is not None and counter != self._expected:
            self.lost += 1
            self._parts = None
        self._expected = (counter + 1) % COUNTER_MODULUS
        if header & FIRST:
            self.lost += self._parts is not None
            self._parts = []
        if self._parts is None:
            self.lost += 1
            return None
        self._parts.append(bytes(segment[HEADER:]))
        return self._finish() if header & LAST else self._bounded()

    def _finish(self) -> bytes:
        message = b"".join(self._parts or [])
        self._parts = None
        return message

    def _bounded(self) -> None:
        # A device that never sends a last segment must not fill our memory.
        if sum(map(len, self._parts or [])) > LARGEST_MESSAGE:
            self._parts = None
            self.lost += 1

    @property
    def open(self) -> bool:
        """Return whether a message has begun and not ended."""
        return self._parts is not None


class SegmentCutter:
    """Cuts messages into segments of at most `size` octets with a running counter."""

    def __init__(self) -> None:
        self._counter = 0

    def cut(self, message: bytes, size: int) -> list[bytes]:
        """Return the segments, header octet included in each."""
        room = max(1, size - HEADER)
        parts = [message[at : at + room] for at in range(0, len(message), room)]
        segments: list[bytes] = []
        for index, part in enumerate(parts or [b""]):
            last = LAST if index >= len(parts) - 1 else 0
            header = (FIRST if index == 0 else 0) | last | self._counter << 2
            self._counter = (self._counter + 1) % COUNTER_MODULUS
            segments.append(bytes([header]) + part)
        return segments


def join(segments: Sequence[bytes]) -> bytes:
    """Return the one message that the segments are, in order and complete."""
    assembler = SegmentAssembler()
    messages = [assembler.feed(segment) for segment in segments]
    whole = messages[-1] if messages else None
    if whole is None or any(m is not None for m in messages[:-1]) or assembler.lost:
        raise MalformedRecord("GHS segments", b"".join(segments), "not one message")
    return whole
