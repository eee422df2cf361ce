"""The best order-preserving match of events to windows, in integers (ADR 0020).

As many matches as possible, then as many by a record as possible, then the least sum of
distances; of equals the one that gives each dose in turn its earliest event.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from analytics.records import DoseId, Scheduled, microseconds


@dataclass(frozen=True, slots=True)
class Slot:
    """A scheduled dose as indices into the events: low..high lie in its window."""

    due: int | None
    low: int
    high: int


def slot(dose: Scheduled[DoseId], times: Sequence[int]) -> Slot:
    """Return the dose's window among events at `times`, in microseconds, ascending."""
    low = bisect_left(times, microseconds(dose.window_from))
    high = bisect_left(times, microseconds(dose.window_until), low)
    return Slot(None if dose.due_at is None else microseconds(dose.due_at), low, high)


def best(
    times: Sequence[int], slots: Sequence[Slot], recorded: Sequence[bool]
) -> list[int | None]:
    """Return for each slot the index of its event, or None. Slots come in order.

    Slots that share no event, directly or through others, are matched apart, which
    changes nothing: the worth of a whole is the sum over its parts. O(n) then, O(n·k)
    for k events in the windows of a chain.
    """
    chosen: list[int | None] = [None] * len(slots)
    for places in components(slots):
        part = [slots[place] for place in places]
        found = (
            [_nearest(times, part[0], recorded)]
            if len(part) == 1
            else chain(times, part, recorded)
        )
        for place, at in zip(places, found, strict=True):
            chosen[place] = at
    return chosen


def components(slots: Sequence[Slot]) -> Iterator[list[int]]:
    """Yield the places of slots that hold events, cut wherever no event is shared."""
    filled = [place for place, each in enumerate(slots) if each.low < each.high]
    lows = list(accumulate((slots[place].low for place in reversed(filled)), min))[::-1]
    part: list[int] = []
    reach = 0
    for place, low in zip(filled, lows, strict=True):
        if part and reach <= low:
            yield part
            part = []
        part.append(place)
        reach = max(reach, slots[place].high)
    if part:
        yield part


def chain(
    times: Sequence[int], slots: Sequence[Slot], recorded: Sequence[bool]
) -> list[int | None]:
    """Return the optimum of slots that may share events, by dynamic programming.

    values[j][i - lows[j]] is the worth of slots j.. with events i..: more matches
    always win, then more matches `recorded` by a device, then the least distance. Only
    the band of events that slots j.. can still use, and slots ..j could have used, is
    kept.
    """
    lows = list(accumulate((s.low for s in reversed(slots)), min))[::-1]
    highs = list(accumulate((s.high for s in slots), max))
    worth = _worths(times, slots, recorded)
    values: list[list[int]] = [[0]] * (len(slots) + 1)
    lows.append(len(times))
    for j in range(len(slots) - 1, -1, -1):
        low, after, after_low = lows[j], values[j + 1], lows[j + 1]
        skip = [_at(after, i - after_low) for i in range(low, highs[j] + 1)]
        most = -1
        for i in range(slots[j].high - 1, low - 1, -1):
            if i >= slots[j].low:
                taken = worth[j][i - slots[j].low]
                most = max(most, taken + _at(after, i + 1 - after_low))
            skip[i - low] = max(skip[i - low], most)
        values[j] = skip
    return _walk(slots, lows, values, worth)


def covered(count: int, slots: Sequence[Slot]) -> list[bool]:
    """Return for each of so many events whether it lies in the window of any slot."""
    steps = [0] * (count + 1)
    for each in slots:
        steps[each.low] += 1
        steps[each.high] -= 1
    return [depth > 0 for depth in accumulate(steps[:count])]


def _nearest(times: Sequence[int], only: Slot, recorded: Sequence[bool]) -> int | None:
    if only.high - only.low == 1:
        return only.low
    due = only.due
    return min(
        range(only.low, only.high),
        key=lambda i: (not recorded[i], 0 if due is None else abs(times[i] - due)),
    )


def _worths(
    times: Sequence[int], slots: Sequence[Slot], recorded: Sequence[bool]
) -> list[list[int]]:
    """Return for each slot what a match with each event of its window is worth."""
    costs = [_costs(times, each) for each in slots]
    unit = 1 + sum(max(each, default=0) for each in costs)
    match_is = unit * (len(slots) + 1)
    return [
        [match_is + unit * recorded[each.low + i] - cost for i, cost in enumerate(row)]
        for each, row in zip(slots, costs, strict=True)
    ]


def _costs(times: Sequence[int], each: Slot) -> list[int]:
    due = each.due
    if due is None:
        return [0] * (each.high - each.low)
    return [abs(at - due) for at in times[each.low : each.high]]


def _at(values: Sequence[int], index: int) -> int:
    """Return the value there; events before the band change nothing."""
    return values[max(0, index)] if index < len(values) else 0


def _walk(
    slots: Sequence[Slot],
    lows: Sequence[int],
    values: Sequence[Sequence[int]],
    worth: Sequence[Sequence[int]],
) -> list[int | None]:
    """Return the optimum in which each slot in turn has its earliest event."""
    chosen: list[int | None] = []
    free = 0
    for j, each in enumerate(slots):
        want = _at(values[j], free - lows[j])
        found = None
        for i in range(max(free, each.low), each.high):
            rest = _at(values[j + 1], i + 1 - lows[j + 1])
            if worth[j][i - each.low] + rest == want:
                found, free = i, i + 1
                break
        chosen.append(found)
    return chosen
