"""Doses that follow the last taken one: which is next, and when nobody can say.

The next is due so long after the instant at which the last was taken. While the last is
open nothing follows it. When its window closed and it was not taken, or nobody knows,
nothing follows either: a person decides, by a new version of the regimen whose `first`
lies later, or by evidence that it was taken (ADR 0035).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from backend.people.zones import ZoneSpan, zone_at
from backend.regimens.expand import AFTER, Frame, Occurrence, following
from backend.regimens.timing import AfterTaken
from backend.regimens.zones import zone_named

LONGEST_WINDOW = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Link:
    """A dose of the chain that is past or decided; `taken_at` is empty where it is not.

    `number` counts the doses of the regimen; `day` is the local date it was due on.
    """

    number: int
    due_at: datetime
    day: date
    taken_at: datetime | None


def number_of(occurrence: str) -> int | None:
    """Return the number of a dose of a chain by its key, None for any other."""
    return int(occurrence[len(AFTER) :]) if occurrence.startswith(AFTER) else None


def next_dose(
    timing: AfterTaken,
    links: Sequence[Link],
    zones: Sequence[ZoneSpan],
    *,
    dose_day_start: time,
) -> Occurrence | None:
    """Return the one dose that is next, in the zone of its time; None when it waits."""
    number = max((link.number for link in links), default=0) + 1
    begun = [link for link in links if _since_first(timing, link)]
    last = max(begun, key=lambda link: link.number, default=None)
    if last is not None and last.taken_at is None:
        return None
    taken_at = None if last is None else last.taken_at

    def by_wall_of(zone: str) -> Occurrence:
        day = timing.first
        frame = Frame(zone_named(zone), day, day, dose_day_start)
        return following(timing, number, taken_at, frame)

    about = by_wall_of(zones[-1].zone if zones else "UTC")
    return by_wall_of(zone_at(zones, about.due_at)) if about.due_at else None


def window_of(timing: AfterTaken) -> timedelta:
    """Return how far a dose may lie from its due instant: a quarter, 3 days at most.

    Nothing lies near it that it could be taken for, so that the four hours of doses by
    the day would only call a visit on the next morning an extra dose.
    """
    return min(timing.every / 4, LONGEST_WINDOW)


def _since_first(timing: AfterTaken, link: Link) -> bool:
    """Whether a dose belongs to the chain that begins with this `first`."""
    if isinstance(timing.first, datetime):
        return link.due_at >= timing.first
    return link.day >= timing.first
