"""Dynamic programming over many chains of doses at once: `optimum.chain` in arrays."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from analytics.optimum import Slot, chain

Ints = NDArray[np.int64]

WIDEST = 32  # doses or events of a chain that is solved beside others
AT_ONCE = 2_000_000  # cells of a table
NONE = -1
_NEVER = -(2**60)


def match_chains(
    at: Ints,
    due: Ints,
    low: Ints,
    high: Ints,
    first: Ints,
    size: Ints,
    untimed: int,
) -> Iterator[tuple[Ints, Ints]]:
    """Yield (doses, events) that match, for chains of `size` doses from `first` on.

    Chains of like size are solved together, padded to one shape; long ones alone.
    """
    ends = first + size
    bounds = np.column_stack([first, ends]).ravel()
    bounds = bounds[bounds < len(low)]
    start = np.minimum.reduceat(low, bounds)[::2]
    stop = np.maximum.reduceat(high, bounds)[::2]
    count = stop - start
    shape = _rounded(size) * 64 + _rounded(count)
    small = (size <= WIDEST) & (count <= WIDEST)
    for key in np.unique(shape[small]).tolist():
        of = np.flatnonzero(small & (shape == key))
        width, events = key // 64, key % 64
        lot = max(1, AT_ONCE // ((width + 1) * (events + 1)))
        for begin in range(0, len(of), lot):
            some = of[begin : begin + lot]
            yield _together(
                at,
                due,
                low,
                high,
                first[some],
                size[some],
                start[some],
                (width, events),
                untimed,
            )
    for which in np.flatnonzero(~small).tolist():
        doses = np.arange(int(first[which]), int(ends[which]), dtype=np.int64)
        yield _alone(at, due, low, high, doses, untimed)


def _rounded(sizes: Ints) -> Ints:
    """Return sizes up to the next of 2, 3, 4, 6, 8, 12, ... so that shapes are few."""
    steps = np.array([1, 2, 3, 4, 6, 8, 12, 16, 24, 32])
    place = np.minimum(np.searchsorted(steps, sizes), len(steps) - 1)
    return np.maximum(steps[place], np.minimum(sizes, WIDEST))


def _together(
    at: Ints,
    due: Ints,
    low: Ints,
    high: Ints,
    first: Ints,
    size: Ints,
    start: Ints,
    shape: tuple[int, int],
    untimed: int,
) -> tuple[Ints, Ints]:
    """Return the matches of chains of one shape: values[j][i] as in `optimum.chain`."""
    width, events = shape
    chains = len(first)
    real = np.arange(width)[None, :] < size[:, None]
    doses = np.where(real, first[:, None] + np.arange(width), first[:, None])
    lows = np.where(real, low[doses] - start[:, None], 0)
    highs = np.where(real, high[doses] - start[:, None], 0)
    slots = np.minimum(start[:, None] + np.arange(events), len(at) - 1)
    moments = at[slots]
    worth = np.empty((width, events, chains), dtype=np.int64)
    dearest = np.zeros(chains, dtype=np.int64)
    for j in range(width):
        dues = due[doses[:, j]]
        timed = dues != untimed
        for i in range(events):
            cost = np.abs(moments[:, i] - np.where(timed, dues, moments[:, i]))
            inside = (lows[:, j] <= i) & (i < highs[:, j])
            worth[j, i] = np.where(inside, -cost, _NEVER)
            dearest = np.maximum(dearest, np.where(inside, cost, 0))
    match_is = (dearest + 1) * (width + 1)
    worth = np.where(worth == _NEVER, _NEVER, worth + match_is)
    values = np.zeros((width + 1, events + 1, chains), dtype=np.int64)
    for j in range(width - 1, -1, -1):
        most = np.full(chains, -1, dtype=np.int64)
        for i in range(events - 1, -1, -1):
            most = np.maximum(most, worth[j, i] + values[j + 1, i + 1])
            values[j, i] = np.maximum(values[j + 1, i], most)
    return _walked(values, worth, doses, start, real)


def _walked(
    values: Ints, worth: Ints, doses: Ints, start: Ints, real: NDArray[np.bool_]
) -> tuple[Ints, Ints]:
    """Return the optimum in which each dose in turn has its earliest event."""
    width, events, chains = worth.shape
    free = np.zeros(chains, dtype=np.int64)
    every = np.arange(chains, dtype=np.int64)
    chosen = np.full((chains, width), NONE, dtype=np.int64)
    for j in range(width):
        want = values[j, free, every]
        for i in range(events):
            fits = (
                (chosen[:, j] == NONE)
                & (i >= free)
                & (worth[j, i] + values[j + 1, i + 1] == want)
            )
            chosen[fits, j] = i
        found = chosen[:, j] != NONE
        free = np.where(found, chosen[:, j] + 1, free)
    matched = (chosen != NONE) & real
    return doses[matched], (chosen + start[:, None])[matched]


def _alone(
    at: Ints, due: Ints, low: Ints, high: Ints, doses: Ints, untimed: int
) -> tuple[Ints, Ints]:
    start = int(low[doses].min())
    stop = int(high[doses].max())
    times = at[start:stop].tolist()
    slots = [
        Slot(None if d == untimed else d, a - start, b - start)
        for d, a, b in zip(
            due[doses].tolist(), low[doses].tolist(), high[doses].tolist(), strict=True
        )
    ]
    found = chain(times, slots, [True] * len(times))
    pairs = [(n, i + start) for n, i in enumerate(found) if i is not None]
    places = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    return doses[places[:, 0]], places[:, 1]
