"""Whether a segment or a sample can be used, and the one form in which it is stored."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import isfinite
from typing import NamedTuple
from uuid import UUID

from backend.ingest.vital_items import SegmentItem
from backend.vitals.codes import VITALS, Vital, same_unit
from backend.vitals.segment import Segment, milliseconds

FUTURE = timedelta(minutes=5)  # clocks differ
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)  # there was nothing to wear before
LIVE_WITHIN = timedelta(minutes=15)


class Owner(NamedTuple):
    """Whose samples: the patient, and the source they come from."""

    patient_id: UUID
    source_id: int


@dataclass(frozen=True, slots=True)
class Window:
    """What instants are possible and which are live, in milliseconds since 1970."""

    first: int
    last: int
    live_from: int

    @classmethod
    def at(cls, now: datetime) -> "Window":
        return cls(
            milliseconds(EARLIEST),
            milliseconds(now + FUTURE),
            milliseconds(now - LIVE_WITHIN),
        )

    def objection(self, first: int, last: int) -> str | None:
        """Return why a run from `first` to `last` cannot have been, None if it can."""
        if last > self.last:
            return "future_time"
        return "impossible_time" if first < self.first else None


class Times(NamedTuple):
    """When the samples of a segment were: step or offsets, and in which order.

    `order` are the places of the sent values to take; None means as they came.
    """

    start_ms: int
    step_ms: int
    offsets_ms: Sequence[int] | None
    order: Sequence[int] | None = None

    def last_ms(self, count: int) -> int:
        """Return the instant of the last of `count` samples."""
        if self.offsets_ms is not None:
            return self.start_ms + self.offsets_ms[-1]
        return self.start_ms + self.step_ms * (count - 1)


def known_vital(code: str, unit: str) -> Vital | str:
    """Return the vital, or why it cannot be stored."""
    vital = VITALS.get(code)
    if vital is None:
        return "unknown_code"
    return vital if same_unit(unit, vital.unit) else "wrong_unit"


def segment_of(
    item: SegmentItem, times: Times, owner: Owner, window: Window
) -> Segment | str:
    """Return the segment as it is stored, or why it cannot be used."""
    vital = known_vital(item["code"], item["unit"])
    if isinstance(vital, str):
        return vital
    values = item["values"]
    if not possible(values, vital):
        return "impossible_value"
    if times.order is not None:
        values = [values[place] for place in times.order]
    last = times.last_ms(len(values))
    return Segment(
        owner.patient_id,
        owner.source_id,
        vital.code,
        vital.unit,
        times.start_ms,
        values,
        times.step_ms,
        times.offsets_ms,
        live=item.get("claimed_live", False) and last >= window.live_from,
        key=item["id"],
    )


def possible(values: Sequence[float], vital: Vital) -> bool:
    """Return whether every value is a number that this vital can have."""
    if not isfinite(sum(values)):  # a NaN is neither below nor above anything
        return False
    return min(values) >= vital.low and max(values) <= vital.high


def times_of(item: SegmentItem) -> Times | None:
    """Return when the samples were, None when that is not said, or said twice."""
    start, count = milliseconds(item["start"]), len(item["values"])
    step, offsets = item.get("step"), item.get("offsets")
    if offsets is not None:
        if step is not None or len(offsets) != count:
            return None
        return _uneven(start, [round(offset * 1000) for offset in offsets])
    if count == 1:
        return Times(start, 1, None)
    if step is None:
        return None
    step_ms = step * 1000
    if step_ms.is_integer():
        return Times(start, int(step_ms), None)
    return Times(start, 1, [round(place * step_ms) for place in range(count)])


def _uneven(start: int, offsets: list[int]) -> Times:
    """Put samples in order; of several at one instant the first sent is taken."""
    firsts: dict[int, int] = {}
    for place, offset in enumerate(offsets):
        firsts.setdefault(offset, place)
    ascending = sorted(firsts)
    first = ascending[0]
    return Times(
        start + first,
        1,
        [offset - first for offset in ascending],
        [firsts[offset] for offset in ascending],
    )
