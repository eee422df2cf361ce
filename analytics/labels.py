"""The words of matching: what an event and a dose turn out to be, and what is said."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Generic

from analytics.records import EventId

ON_TIME = timedelta(hours=1)
DEBOUNCE = timedelta(seconds=600)
SAME_DOSE = timedelta(hours=1)  # a person's word and a device's record of one dose
WINDOW_SHARE = 0.25
WINDOW_MOST = timedelta(hours=4)
ZERO = timedelta(0)


class EventLabel(StrEnum):
    """What a raw event turned out to be."""

    THERAPEUTIC = "therapeutic"  # matched to a scheduled dose
    PRIME = "prime"
    REFILL = "refill"  # said by a person, like curiosity
    CURIOSITY = "curiosity"
    POCKET = "pocket"  # said: taken out earlier, so a dose of which no lid knows
    NO_MEASUREMENT = "no_measurement"  # amount unknown, and no dose to match
    DUPLICATE = "duplicate"  # another record of a dose for which one counts
    EXTRA = "extra"  # inside a window whose dose was already taken
    UNMATCHED = "unmatched"  # outside every window


class DoseLabel(StrEnum):
    """What became of a scheduled dose, before silence is considered."""

    ON_TIME = "on_time"
    EARLY = "early"
    LATE = "late"
    UNTIMED_TAKEN = "untimed_taken"
    OPEN = "open"


class Verdict(StrEnum):
    """What may be said of a scheduled dose that no event matches."""

    PENDING = "pending"
    LATE = "late"
    MISSED = "missed"
    UNKNOWN = "unknown"


MAY_MATCH = frozenset(
    (EventLabel.THERAPEUTIC, EventLabel.POCKET, EventLabel.NO_MEASUREMENT)
)
IS_A_DOSE = frozenset((EventLabel.THERAPEUTIC, EventLabel.POCKET))


@dataclass(frozen=True, slots=True)
class PrimeRule:
    """A delivery of `at_most`, `within` that time before a larger one, is a prime."""

    at_most: Decimal
    within: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Override(Generic[EventId]):
    """What a clinician says a raw event was; an event of its own, never an edit.

    `label` None takes back what was said before. The newest of one event holds.
    """

    event: EventId
    label: EventLabel | None
    recorded_at: datetime
    by: str = ""
    reason: str = ""


def in_force(
    overrides: Iterable[Override[EventId]],
) -> dict[EventId, EventLabel | None]:
    """Return what holds of each event that somebody spoke of, in whatever order."""
    newest = sorted(overrides, key=lambda o: (o.recorded_at, str(o.label), o.by))
    return {override.event: override.label for override in newest}
