"""Doses of a patient who changes zone.

A new zone applies from its confirmed instant. Dates and times go on being those on the
wall, so a journey west may show the same time twice and one east jump over some. What
that does to doses is settled here (ADR 0032); nothing is left out without a word.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from backend.regimens.expand import (
    DOSE_DAY_STARTS,
    Frame,
    Occurrence,
    is_between,
    occurrences,
)
from backend.regimens.interval import shortest_interval
from backend.regimens.timing import BadTiming, Timing
from backend.regimens.zones import DAY, wall, zone_named

FARTHEST = timedelta(hours=27)  # more than any two zones lie apart
INSTANT = timedelta(microseconds=1)


class Change(StrEnum):
    """What a change of zone did to a dose."""

    AGAIN = "again"  # its wall time came a second time, long enough after the first
    MOVED = "moved"  # its wall time was jumped over, or came too soon: asked later
    LEFT_OUT = "left_out"  # there was no room for it


@dataclass(frozen=True, slots=True)
class Effect:
    """One dose that a change of zone touched, and what became of it."""

    change: Change
    dose: Occurrence


@dataclass(frozen=True, slots=True)
class Journey:
    """The doses due, ascending, and every one that a change of zone touched."""

    due: tuple[Occurrence, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Stay:
    """A span in one zone, its end not included."""

    since: datetime
    until: datetime
    zone: ZoneInfo


def occurrences_through(
    timing: Timing,
    *,
    zones: Sequence[tuple[datetime, ZoneInfo]],
    first: date | datetime,
    last: date | datetime,
    least_apart: timedelta | None = None,
    dose_day_start: time = DOSE_DAY_STARTS,
) -> Journey:
    """Return what is due from `first` to `last` for a patient with a zone history.

    `zones` are (from, zone), oldest first; the first also holds before. After a change
    a dose is asked no sooner than `least_apart` after the one before it; left out, it
    is half the shortest interval of the timing.

    - A wall time that comes again is asked again only after `least_apart`, its key then
      ending in @zone; otherwise it is left out: it was taken.
    - Of the wall times that the new zone had before the change and nobody was asked
      at, the last is asked at the change or as soon as `least_apart` allows, if
      `least_apart` also remains to the next dose.
    - A dose that would come too soon is moved the same way.
    - What does not fit is left out and named in `effects`.
    """
    apart = shortest_interval(timing) / 2 if least_apart is None else least_apart
    margin = 4 * DAY + 2 * apart
    log = _Log(apart)
    for stay in _stays(zones, _midnight(first) - margin, _midnight(last) + margin):
        found = [_Asked(one) for one in _in(timing, stay, dose_day_start)]
        log.stay(_jumped(timing, stay, log, dose_day_start) + found, stay)

    def asked_for(one: Occurrence) -> bool:
        frame = Frame(zone_named(one.zone), one.day, one.day, dose_day_start)
        return is_between(one, first, last, frame)

    return Journey(
        tuple(one for one in log.due if asked_for(one)),
        tuple(effect for effect in log.effects if asked_for(effect.dose)),
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A dose that a stay asks for; `jumped` when the clocks never showed its time."""

    dose: Occurrence
    jumped: bool = False


class _Log:
    """What was asked so far, and what the changes of zone did."""

    def __init__(self, least_apart: timedelta) -> None:
        self.due: list[Occurrence] = []
        self.effects: list[Effect] = []
        self.keys: set[str] = set()
        self._apart = least_apart
        self.free: datetime | None = None

    def stay(self, asked: Sequence[_Asked], stay: Stay) -> None:
        """Ask what one zone asks for, with care until a dose comes at its own time."""
        settled = self.free is None
        for number, one in enumerate(asked):
            if one.dose.due_at is None:
                self._untimed(one.dose)
            elif settled:
                self._ask(one.dose, one.dose.due_at)
            else:
                later = (each.dose.due_at for each in asked[number + 1 :])
                following = next((due for due in later if due), None)
                at = self._place(one, one.dose.due_at, following, stay)
                settled = at == one.dose.due_at and not one.jumped

    def wants(self, one: Occurrence) -> bool:
        """Tell whether a dose was not asked yet, or so long ago that it is again."""
        if one.key not in self.keys:
            return True
        return bool(one.due_at and self.free and one.due_at >= self.free)

    def _untimed(self, one: Occurrence) -> None:
        if one.key not in self.keys:
            self.keys.add(one.key)
            self.due.append(one)

    def _place(
        self, one: _Asked, due: datetime, following: datetime | None, stay: Stay
    ) -> datetime | None:
        """Ask a dose at its time, later or not at all; return when."""
        at = max(due, self.free or due)
        moved = one.jumped or at > due
        end = stay.until if following is None else following - self._apart
        taken = one.dose.key in self.keys and not one.jumped
        if moved and (taken or at > end):
            self.effects.append(Effect(Change.LEFT_OUT, one.dose))
            return None
        if moved:
            self.effects.append(Effect(Change.MOVED, replace(one.dose, due_at=at)))
        self._ask(one.dose, at)
        return at

    def _ask(self, one: Occurrence, at: datetime) -> None:
        key = one.key
        if key in self.keys:
            key = f"{key}@{one.zone}"
            self.effects.append(Effect(Change.AGAIN, replace(one, key=key)))
        self.keys |= {one.key, key}
        self.due.append(replace(one, key=key, due_at=at))
        self.free = at + self._apart


def _stays(
    zones: Sequence[tuple[datetime, ZoneInfo]], first: datetime, last: datetime
) -> list[Stay]:
    """Return the spans in one zone between two instants, in order."""
    if not zones:
        raise BadTiming("no zone is known to expand in")
    starts = [first, *(max(since, first) for since, _ in zones[1:])]
    ends = [*starts[1:], last]
    spans = zip(starts, ends, (zone for _, zone in zones), strict=True)
    return [
        Stay(since, min(until, last), zone)
        for since, until, zone in spans
        if since < min(until, last)
    ]


def _in(timing: Timing, stay: Stay, dose_day_start: time) -> Iterator[Occurrence]:
    """Yield what a stay asks for; an untimed dose when its day has a part in it."""
    return occurrences(
        timing,
        zone=stay.zone,
        first=stay.since,
        last=stay.until - INSTANT,
        dose_day_start=dose_day_start,
    )


def _jumped(
    timing: Timing, stay: Stay, log: _Log, dose_day_start: time
) -> list[_Asked]:
    """Return what the new zone asked for before the patient came, and nobody heard.

    Only the last timed one is worth asking still: the time between doses did not
    shrink, the clock did.
    """
    if not log.due:
        return []
    before = occurrences(
        timing,
        zone=stay.zone,
        first=stay.since - FARTHEST,
        last=stay.since - INSTANT,
        dose_day_start=dose_day_start,
    )
    today = Frame(stay.zone, date.min, date.max, dose_day_start).dose_day(
        wall(stay.since, stay.zone)
    )
    unheard = [
        replace(one, due_at=one.due_at and stay.since)
        for one in before
        if log.wants(one) and (one.due_at or one.dose_day < today)
    ]
    timed = [one for one in unheard if one.due_at]
    left_out = [one for one in unheard if one not in timed[-1:]]
    log.effects += [Effect(Change.LEFT_OUT, one) for one in left_out]
    return [_Asked(one, jumped=True) for one in timed[-1:]]


def _midnight(bound: date | datetime) -> datetime:
    if isinstance(bound, datetime):
        return bound.astimezone(UTC)
    return datetime.combine(bound, time(), UTC)
