"""What really happened in the box, and whether the backend was told that alone."""

from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from device_bridge.gatt.ghs import decode_observation
from device_bridge.virtual.memory import DeviceState, KeptRecord, Memory
from tests.device_bridge.fake_backend import FakeBackend

ROUNDING = timedelta(milliseconds=2)  # of stamps and of what is said about them


@dataclass
class Made:
    """A record as the box made it. `gone` says why nobody could read it any more."""

    generation: int
    number: int
    at: datetime
    message: bytes
    gone: str | None = None
    knowable: bool = True


@dataclass
class Truth:
    """All that was made, and every breach of a promise that was seen at once."""

    backend: FakeBackend
    serial: str
    in_queue: Callable[[], set[bytes]]
    made: list[Made] = field(default_factory=list[Made])
    breaches: list[str] = field(default_factory=list[str])
    resets: list[datetime] = field(default_factory=list[datetime])

    def stored(self) -> dict[bytes, list[dict[str, Any]]]:
        """Return what the backend has, by octets."""
        found: dict[bytes, list[dict[str, Any]]] = {}
        for item in self.backend.records.values():
            raw = b64decode((item.get("record") or item)["raw"])
            found.setdefault(raw, []).append(item)
        return found

    def reported(self, number: int) -> bool:
        """Return whether a gap was reported that has this number."""
        gaps = [e["detail"] for e in self.backend.events.values() if e["kind"] == "gap"]
        return any(gap["from"] <= number <= gap["to"] for gap in gaps)

    def wiped(self, why: str, of: Iterable[KeptRecord]) -> None:
        """Note what the box dropped before anybody had it on disk."""
        safe = self.stored().keys() | self.in_queue()
        messages = {record.message for record in of} - safe
        for record in self.made:
            if record.message in messages and record.gone is None:
                record.gone = why

    def deleted(self, records: Iterable[KeptRecord]) -> None:
        """See that what the bridge had deleted was stored, or reported lost."""
        stored = self.stored()
        self.breaches += [
            f"deleted before it was stored: {record.number}"
            for record in records
            if record.message not in stored and not self.reported(record.number)
        ]

    def nobody_knows_when(self) -> None:
        """Note that what has been made until now can no longer be dated by anybody."""
        for record in self.made:
            record.knowable = False

    def heard(self, told: dict[str, Any]) -> None:
        """See that a sign of life speaks for stored records only, and for all."""
        at, stored = datetime.fromisoformat(told["at"]), self.stored()
        generation = sum(reset <= at for reset in self.resets)
        for record in self.made:
            if record.generation != generation or record.gone or record.at >= at:
                continue
            if record.number > told["sequence"]:
                self.breaches.append(f"heard after {record.number}, unknown")
            elif record.message not in stored:
                self.breaches.append(f"heard beyond {record.number}, not stored")

    def judge(self, *, undated: bool) -> list[str]:
        """Return every breach; `undated`: a clock was lost, times may be too."""
        stored, wrong = self.stored(), list(self.breaches)
        known = {record.message for record in self.made}
        wrong += [f"invented: {raw.hex()}" for raw in stored if raw not in known]
        for record in self.made:
            wrong += self._judge(record, stored.get(record.message, []), undated)
        if self.backend.conflicts:
            wrong.append(f"conflicts: {self.backend.conflicts}")
        return wrong + list(self.backend.breaches)

    def _judge(
        self,
        record: Made,
        found: list[dict[str, Any]],
        undated: bool,  # noqa: FBT001
    ) -> list[str]:
        name = f"{record.number} of generation {record.generation}"
        if len(found) > 1:
            return [f"doubled: {name}"]
        if not found:
            return [] if self._may_be_missing(record) else [f"lost: {name}"]
        at, item = found[0]["occurred_at"], found[0]
        if at is None or not record.knowable:
            return [] if undated or at is not None else [f"undated: {name}"]
        off = abs(datetime.fromisoformat(at) - record.at)
        doubt = item.get("detail", {}).get("time_uncertainty_s", 1.0)
        bound = timedelta(seconds=item.get("uncertainty_s", doubt)) + ROUNDING
        return [f"wrong time: {name} by {off} ({bound})"] if off > bound else []

    def _may_be_missing(self, record: Made) -> bool:
        if record.gone == "overwritten" and record.generation == len(self.resets):
            return self.reported(record.number)
        return record.gone is not None


class WatchedMemory(Memory):
    """A box's memory that tells `truth` what happens to it."""

    def __init__(self, path: Path, capacity: int, truth: Truth) -> None:
        super().__init__(path, capacity)
        self._truth = truth
        self._capacity = capacity
        self._offsets: dict[tuple[int, int], float] = {}

    def state(self, serial: str, *, offset_s: float = 0.0) -> DeviceState:
        found = super().state(serial, offset_s=offset_s)
        self._offsets[0, found.epoch] = found.offset_s
        return found

    def append(
        self, serial: str, records: Iterable[KeptRecord], state: DeviceState
    ) -> None:
        kept, generation = list(records), len(self._truth.resets)
        now = (generation, state.epoch)
        before = self._offsets.get(now, state.offset_s)
        for record in kept:
            offset = self._offsets.setdefault((generation, record.epoch), before)
            stamp = decode_observation(record.message).time
            assert stamp is not None
            assert stamp.utc is not None
            at = stamp.utc - timedelta(seconds=offset)
            made = Made(generation, record.number, at, record.message)
            self._truth.made.append(made)
        self._offsets[now] = state.offset_s
        if kept:
            oldest = state.next_number - self._capacity
            self._truth.wiped("overwritten", self.records(serial, 0, oldest - 1))
        super().append(serial, kept, state)

    def moved(self, state: DeviceState) -> None:
        """Date by another offset what is made from here on; the box says nothing."""
        self._offsets[len(self._truth.resets), state.epoch] = state.offset_s

    def forget(self, serial: str, state: DeviceState) -> None:
        self._truth.wiped("reset", self.records(serial))
        self._truth.resets.append(state.played_until)
        super().forget(serial, state)

    def delete(self, serial: str, low: int, high: int) -> int:
        self._truth.deleted(self.records(serial, low, high))
        return super().delete(serial, low, high)
