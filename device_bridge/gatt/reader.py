"""A cursor over the octets of one value."""

from device_bridge.errors import MalformedRecord


class Reader:
    """Takes little-endian fields in order; running short raises MalformedRecord."""

    def __init__(self, what: str, payload: bytes) -> None:
        self.what = what
        self.payload = bytes(payload)
        self.at = 0

    @property
    def left(self) -> int:
        return len(self.payload) - self.at

    def octets(self, count: int) -> bytes:
        """Return the next `count` octets."""
        if count > self.left:
            raise self.malformed(f"want {count} octets at {self.at}, have {self.left}")
        self.at += count
        return self.payload[self.at - count : self.at]

    def unsigned(self, count: int) -> int:
        """Return the next `count` octets as an unsigned number."""
        return int.from_bytes(self.octets(count), "little")

    def signed(self, count: int) -> int:
        """Return the next `count` octets as a two's complement number."""
        return int.from_bytes(self.octets(count), "little", signed=True)

    def end(self) -> None:
        """Raise MalformedRecord if octets are left over."""
        if self.left:
            raise self.malformed(f"{self.left} octets too many")

    def malformed(self, why: str) -> MalformedRecord:
        """Return the error to raise for this value."""
        return MalformedRecord(self.what, self.payload, why)
