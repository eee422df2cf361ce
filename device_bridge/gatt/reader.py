"""A cursor over the octets of one value."""

from struct import Struct
from typing import Any, Literal

from device_bridge.errors import MalformedRecord


class Reader:
    """Takes fields in order; running short raises MalformedRecord.

    Bluetooth's own values are little-endian, those of IEEE 11073-20601 and of some
    makers big-endian.
    """

    def __init__(
        self, what: str, payload: bytes, order: Literal["little", "big"] = "little"
    ) -> None:
        self.what = what
        self.payload = bytes(payload)
        self.at = 0
        self._end = len(self.payload)
        self._order: Literal["little", "big"] = order

    @property
    def left(self) -> int:
        return self._end - self.at

    def octets(self, count: int) -> bytes:
        """Return the next `count` octets."""
        begin = self.at
        end = begin + count
        if end > self._end:
            raise self.malformed(f"want {count} octets at {begin}, have {self.left}")
        self.at = end
        return self.payload[begin:end]

    def unsigned(self, count: int) -> int:
        """Return the next `count` octets as an unsigned number."""
        return int.from_bytes(self.octets(count), self._order)

    def fields(self, layout: Struct) -> tuple[Any, ...]:
        """Return several fields at once, as `layout` says, whatever the order."""
        return layout.unpack(self.octets(layout.size))

    def signed(self, count: int) -> int:
        """Return the next `count` octets as a two's complement number."""
        return int.from_bytes(self.octets(count), self._order, signed=True)

    def text(self, count: int) -> str:
        """Return the next `count` octets as UTF-8 text."""
        try:
            return self.octets(count).decode()
        except UnicodeDecodeError:
            raise self.malformed("text is not UTF-8") from None

    def terminated_text(self) -> str:
        """Return the text up to the next zero octet, which is taken too."""
        length = self.payload.find(b"\0", self.at) - self.at
        if length < 0:
            raise self.malformed("text without its final zero")
        text = self.text(length)
        self.at += 1
        return text

    def part(self, count: int) -> "Reader":
        """Return a reader of the next `count` octets, which are taken."""
        return Reader(self.what, self.octets(count), self._order)

    def end(self) -> None:
        """Raise MalformedRecord if octets are left over."""
        if self.left:
            raise self.malformed(f"{self.left} octets too many")

    def malformed(self, why: str) -> MalformedRecord:
        """Return the error to raise for this value."""
        return MalformedRecord(self.what, self.payload, why)
