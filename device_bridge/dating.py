"""When a device recorded something: its stamps beside readings of its clock. Pure.

An anchor says how far the clock was ahead at one instant. Away from it nobody knows
more than that a sound clock goes wrong by no more than TOLERANCE: the span of what the
offset may be widens with the distance. A record that was made between two anchors has
an offset between theirs, also where the clock only gained, or only lost, however much:
so drift is interpolated, and what is stated holds whatever made the anchors differ.

Where they differ by more than any clock that runs can explain, it was moved at an
instant that nobody saw. A record was then made before that or after it: it is dated if
only one of the two is possible, by its own times or by the order of the records; else
it has no time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby, pairwise
from typing import NamedTuple

from device_bridge.clock import CLOCK_STEP_S, FASTEST, TOLERANCE

# How much an offset may change while the device counts one second.
GROWTH = TOLERANCE / (1 - TOLERANCE)
FASTEST_GROWTH = FASTEST / (1 - FASTEST)
REPEATED = 3  # records with one stamp; by a clock that runs, two may fall together

Span = tuple[float, float]  # lowest and highest offset, seconds


class Anchor(NamedTuple):
    """How far a clock was ahead of true time at an instant of that (epoch seconds)."""

    at: float
    offset_s: float
    uncertainty_s: float

    @property
    def face(self) -> float:
        """Return what the clock showed."""
        return self.at + self.offset_s

    def span(self, away_s: float = 0.0, growth: float = GROWTH) -> Span:
        """Return within what the offset lies so many of its seconds away."""
        wide = self.uncertainty_s + growth * (away_s + self.uncertainty_s)
        return self.offset_s - wide, self.offset_s + wide


class Stamp(NamedTuple):
    """What a clock showed when a record was made, and when that was here at the latest.

    `face` and `heard_at` are epoch seconds, by the device's clock and by true time.
    """

    number: int
    face: float
    heard_at: float


class Run(StrEnum):
    """How a clock went from one anchor to the next."""

    STEADY = "steady"
    DRIFTING = "drifting"
    MOVED = "moved"


class Undated(StrEnum):
    """Why a record has no time."""

    UNKNOWN = "nothing is known of its timeline"
    MOVED = "the clock was moved before it or after it"
    FUTURE = "stamped later than its device's clock shows"


@dataclass(frozen=True, slots=True)
class Break:
    """The clock was disturbed, as `why` tells: moved, backwards or stopped.

    It ran from the anchor before through record `old_through`, and to the one after
    from record `new_from` on; None if through none, from none.
    """

    why: str
    old_through: int | None
    new_from: int | None


def rate_between(earlier: Anchor, later: Anchor) -> tuple[float, float]:
    """Return how much a clock gained a second, and how exactly that is known."""
    elapsed = max(later.at - earlier.at, 1e-6)
    error = earlier.uncertainty_s + later.uncertainty_s
    return (later.offset_s - earlier.offset_s) / elapsed, error / elapsed


def how_it_ran(earlier: Anchor, later: Anchor) -> Run:
    """Return whether one clock explains both anchors, and what kind of clock.

    A clock may be set by up to two seconds without a word.
    """
    elapsed = abs(later.at - earlier.at)
    known = earlier.uncertainty_s + later.uncertainty_s
    apart = abs(later.offset_s - earlier.offset_s) - known
    if apart > FASTEST * elapsed + CLOCK_STEP_S:
        return Run.MOVED
    return Run.DRIFTING if apart > TOLERANCE * elapsed else Run.STEADY


def offset_of(
    stamp: Stamp, before: Anchor | None, after: Anchor | None, broken: Break | None
) -> tuple[float, float] | Undated:
    """Return the offset of the clock at a record, and how exactly, or why not.

    `before` is of a time when the record was not yet made. The truth is within the
    bounds for a clock that runs within TOLERANCE, that only gains or only loses between
    the anchors, or that was moved once.
    """
    if broken is not None:
        is_old = broken.old_through is not None and stamp.number <= broken.old_through
        is_new = broken.new_from is not None and stamp.number >= broken.new_from
        if not is_old and not is_new:
            return Undated.MOVED
        anchors = [before if is_old else after]
    else:
        anchors = [before, after]
    found = _span(stamp.face, [anchor for anchor in anchors if anchor is not None])
    if found is None:
        return Undated.UNKNOWN
    if stamp.face - found[1] > stamp.heard_at + CLOCK_STEP_S:
        return Undated.FUTURE
    if before is not None and stamp.face - found[0] < before.at - CLOCK_STEP_S:
        return Undated.MOVED
    return (found[0] + found[1]) / 2, (found[1] - found[0]) / 2


def _span(face: float, anchors: Sequence[Anchor]) -> Span | None:
    if not anchors:
        return None
    if len(anchors) == 1:
        return anchors[0].span(abs(face - anchors[0].face))
    ends = sorted(anchors, key=lambda anchor: anchor.face)
    nearest = min(ends, key=lambda anchor: abs(face - anchor.face))
    away = [abs(face - anchor.face) for anchor in ends]
    ran = how_it_ran(ends[0], ends[1])
    if not ends[0].face <= face <= ends[1].face:
        growth = GROWTH if ran is Run.STEADY else FASTEST_GROWTH
        return nearest.span(min(away), growth)
    if ran is Run.STEADY:
        away = [min(away)] * 2
    spans = [anchor.span(far) for anchor, far in zip(ends, away, strict=True)]
    return min(low for low, _ in spans), max(high for _, high in spans)


def find_break(
    stamps: Sequence[Stamp], before: Anchor | None, after: Anchor | None
) -> Break | None:
    """Return where the clock was disturbed among records, None if nothing says so.

    `stamps` are those of one timeline by their numbers; all were made after `before`.
    """
    ran = how_it_ran(before, after) if before and after else None
    backwards = [
        at
        for at, (one, other) in enumerate(pairwise(stamps), 1)
        if other.face < one.face - CLOCK_STEP_S
    ]
    if ran is Run.MOVED and before and after:
        return _moved(stamps, before, after, backwards)
    stopped = [] if ran is Run.STEADY else _repeated(stamps)
    disturbed = max([*backwards, *stopped], default=0)
    if not disturbed:
        return None
    numbers = [stamp.number for stamp in stamps]
    last = numbers[disturbed] if disturbed < len(numbers) else numbers[-1] + 1
    why = "backwards" if disturbed in backwards else "stopped"
    return Break(why, None, last)


def _repeated(stamps: Sequence[Stamp]) -> list[int]:
    """Return where runs of equal stamps end: a clock that ran would show others."""
    ends: list[int] = []
    at = 0
    for _, alike in groupby(stamps, key=lambda stamp: stamp.face):
        count = len(list(alike))
        at += count
        if count >= REPEATED:
            ends.append(at)
    return ends


def _moved(
    stamps: Sequence[Stamp], before: Anchor, after: Anchor, backwards: Iterable[int]
) -> Break:
    """Part the records of a clock that was moved once: what was it before, what after.

    Whatever was made before a record of the old time is of that, whatever was made
    after one of the new time of this; records that contradict each other say nothing.
    """
    nothing = Break("moved", None, None)
    step = after.offset_s - before.offset_s
    slack = before.uncertainty_s + after.uncertainty_s + CLOCK_STEP_S
    last_old, first_new = -1, len(stamps)
    for at, stamp in enumerate(stamps):
        may_be_old = _possible(stamp, before, before)
        may_be_new = _possible(stamp, after, before)
        if may_be_old and not may_be_new:
            last_old = at
        elif may_be_new and not may_be_old:
            first_new = min(first_new, at)
    for at in backwards:
        if stamps[at].face - stamps[at - 1].face - step < -slack:
            return nothing  # that was another move
        last_old, first_new = max(last_old, at - 1), min(first_new, at)
    if last_old >= first_new:
        return nothing
    return Break(
        "moved",
        stamps[last_old].number if last_old >= 0 else None,
        stamps[first_new].number if first_new < len(stamps) else None,
    )


def _possible(stamp: Stamp, anchor: Anchor, begin: Anchor) -> bool:
    """Return whether a record may have been made by the clock that an anchor shows."""
    low, high = anchor.span(abs(stamp.face - anchor.face))
    earliest, latest = stamp.face - high, stamp.face - low
    return latest >= begin.at - CLOCK_STEP_S and (
        earliest <= stamp.heard_at + CLOCK_STEP_S
    )
