"""How samples are laid into rows: bounded, disjoint, the first sample at an instant.

Pure functions on milliseconds since 1970 UTC.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from backend.vitals.segment import Outcome, Segment

MOST = 3600  # samples in a row: an hour of seconds, two and a half days of minutes
SHORT = 60  # a row with fewer samples is a fragment, to be merged with others
DAY_MS = 86_400_000

Times: TypeAlias = NDArray[np.int64]
Values: TypeAlias = NDArray[np.float64]


class Piece(NamedTuple):
    """The samples of one row. `offsets_ms` is None where steps are even."""

    start_ms: int
    last_ms: int
    values: Sequence[float] | Values
    step_ms: int = 1
    offsets_ms: Sequence[int] | Times | None = None
    live: bool = False

    def times(self) -> Times:
        if self.offsets_ms is None:
            steps = np.arange(len(self.values), dtype=np.int64) * self.step_ms
        else:
            steps = np.asarray(self.offsets_ms, dtype=np.int64)
        return steps + self.start_ms


@dataclass(frozen=True, slots=True)
class Settled:
    """What must be written so that the arrivals of one series are stored.

    The rows that start at `replaced` are taken out and `pieces` put in. `added` counts
    the samples by which the series grows.
    """

    pieces: list[Piece]
    replaced: list[int]
    added: int


def cut(segment: Segment) -> list[Piece]:
    """Return the rows of one segment that overlaps nothing."""
    last = segment.last_ms
    whole = len(segment.values) <= MOST and segment.step_ms <= _LONGEST_STEP
    if whole and _month(segment.start_ms) == _month(last):
        return [
            Piece(
                segment.start_ms,
                last,
                segment.values,
                segment.step_ms if len(segment.values) > 1 else 1,
                segment.offsets_ms,
                segment.live,
            )
        ]
    values = np.asarray(segment.values, dtype=np.float64)
    return lay(_times(segment), values, live=segment.live)


def lay(times: Times, values: Values, *, live: bool) -> list[Piece]:
    """Return rows for samples in order of time: of one month, at most MOST long."""
    months = times.astype("datetime64[ms]").astype("datetime64[M]")
    turns = np.flatnonzero(months[1:] != months[:-1]) + 1
    pieces: list[Piece] = []
    for begin, end in _spans(turns.tolist(), len(times)):
        for first in range(begin, end, MOST):
            last = min(first + MOST, end)
            pieces.append(_piece(times[first:last], values[first:last], live=live))
    return pieces


@lru_cache(maxsize=4096)
def month_of_day(day: int) -> int:
    """Return the months since January 1970 of so many days since then."""
    return int(np.datetime64(day, "D").astype("datetime64[M]").astype(np.int64))


def disjoint(segments: Sequence[Segment]) -> bool:
    """Return whether no two segments, in order of start, overlap in time."""
    ends = (segment.last_ms for segment in segments)
    starts = (segment.start_ms for segment in segments[1:])
    return all(end < start for end, start in zip(ends, starts, strict=False))


def settle(
    arrivals: Sequence[tuple[Segment, Outcome]], stored: Sequence[Piece]
) -> Settled:
    """Return what to write for segments of one series that may overlap anything.

    The first sample at an instant wins: a stored one before an arriving one, an
    earlier segment of `arrivals` before a later one. Adds to the outcomes. `stored`
    are the rows within reach of the arrivals, disjoint, in order of start. A new
    sample inside the span of a stored row goes into that row, so that spans stay
    disjoint.
    """
    times, values, owners = _first_of_each_instant(arrivals)
    fresh = ~np.isin(times, np.concatenate([_NONE, *(row.times() for row in stored)]))
    times, values, owners = times[fresh], values[fresh], owners[fresh]
    _count(arrivals, times, values, owners)
    starts = np.array([row.start_ms for row in stored], dtype=np.int64)
    lasts = np.array([row.last_ms for row in stored], dtype=np.int64)
    before = np.searchsorted(starts, times, side="right") - 1
    inside = (before >= 0) & (times <= np.append(lasts, _NEVER)[before])
    live = np.array([segment.live for segment, _ in arrivals], dtype=np.bool_)[owners]
    pieces: list[Piece] = []
    replaced: list[int] = []
    for slot in _distinct(before[~inside]):
        here = ~inside & (before == slot)
        pieces += lay(times[here], values[here], live=bool(live[here].all()))
    for slot in _distinct(before[inside]):
        here = inside & (before == slot)
        row = stored[slot]
        replaced.append(row.start_ms)
        grown = Piece(
            0, 0, values[here], offsets_ms=times[here], live=bool(live[here].all())
        )
        pieces += merged([row, grown])
    pieces.sort(key=_start)
    return Settled(pieces, replaced, len(times))


def piece_of(
    start_ms: int,
    step_ms: int | None,
    offsets_ms: Times | None,
    values: Values,
    live: bool,  # noqa: FBT001
) -> Piece:
    """Return a stored row as the piece it was written from."""
    step = step_ms or 1
    span = step * (len(values) - 1) if offsets_ms is None else int(offsets_ms[-1])
    return Piece(start_ms, start_ms + span, values, step, offsets_ms, live)


def merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Return rows that hold the samples of all `pieces`, live only if all were."""
    times = np.concatenate([piece.times() for piece in pieces])
    values = np.concatenate(
        [np.asarray(piece.values, dtype=np.float64) for piece in pieces]
    )
    order = np.argsort(times, kind="stable")
    return lay(times[order], values[order], live=all(piece.live for piece in pieces))


_NONE = np.empty(0, dtype=np.int64)
_NEVER = np.iinfo(np.int64).min


def _first_of_each_instant(
    arrivals: Sequence[tuple[Segment, Outcome]],
) -> tuple[Times, Values, NDArray[np.intp]]:
    """Return instants in order, each once, with the value and the arrival it is of."""
    times = np.concatenate([_times(segment) for segment, _ in arrivals])
    values = np.concatenate(
        [np.asarray(segment.values, dtype=np.float64) for segment, _ in arrivals]
    )
    lengths = [len(segment.values) for segment, _ in arrivals]
    owners = np.repeat(np.arange(len(arrivals)), lengths)
    unique, first = np.unique(times, return_index=True)  # the first of equals
    return unique, values[first], owners[first]


def _count(
    arrivals: Sequence[tuple[Segment, Outcome]],
    times: Times,
    values: Values,
    owners: NDArray[np.intp],
) -> None:
    stored = np.bincount(owners, minlength=len(arrivals)).tolist()
    latest = {int(owner): place for place, owner in enumerate(owners.tolist())}
    for number, (segment, outcome) in enumerate(arrivals):
        outcome.stored = stored[number]
        outcome.known = len(segment.values) - stored[number]
        place = latest.get(number)
        outcome.latest = (
            None if place is None else (int(times[place]), float(values[place]))
        )


def _times(segment: Segment) -> Times:
    return Piece(
        segment.start_ms, 0, segment.values, segment.step_ms, segment.offsets_ms
    ).times()


def _piece(times: Times, values: Values, *, live: bool) -> Piece:
    start, last = int(times[0]), int(times[-1])
    if len(times) == 1:
        return Piece(start, last, values, live=live)
    steps = np.diff(times)
    if (steps == steps[0]).all() and steps[0] <= _LONGEST_STEP:
        return Piece(start, last, values, int(steps[0]), live=live)
    return Piece(start, last, values, 1, times - start, live)


_LONGEST_STEP = np.iinfo(np.int32).max  # the column is a four-octet integer


def _spans(turns: Iterable[int], length: int) -> Iterable[tuple[int, int]]:
    return pairwise([0, *turns, length])


def _month(at_ms: int) -> int:
    return month_of_day(at_ms // DAY_MS)


def _distinct(numbers: NDArray[np.intp]) -> list[int]:
    return [int(number) for number in np.unique(numbers)]


def _start(piece: Piece) -> int:
    return piece.start_ms
