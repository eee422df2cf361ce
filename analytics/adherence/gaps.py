"""Supply carried from one dispensing to the next, and the gaps it leaves.

For events in order with day d, supply u and carry-over c: the interval I is the time to
the next event, or to the end of the window for the last; what is missing is
g = I - u - c, the gap is max(0, g), and max(0, -g) is carried on.
"""

from dataclasses import dataclass

import numpy as np

from analytics.adherence.dispensing import (
    CarryOver,
    Dispensings,
    Flags,
    Index,
    Ranks,
    Windows,
    expand,
)
from analytics.adherence.lengths import Days


@dataclass(frozen=True, slots=True, eq=False)
class Chains:
    """Runs of events, of one patient each, along which supply is carried.

    For every event of them, `following` is the day of the next one or the end of the
    chain, `carried` days came with it, and `missed` are the gap days before it, by
    which it rises along its chain. For other rows they mean nothing.
    """

    events: Dispensings
    carry_over: CarryOver | None
    following: Days
    carried: Days
    missed: Days

    def lasts_until(self) -> Days:
        """Return the day until which each supply lasts with what came with it."""
        until = self.events.day + self.events.supply
        until += self.carried
        return until

    def gaps(self) -> Days:
        """Return the days without supply before what follows each event."""
        gap = self.lasts_until()
        np.subtract(self.following, gap, out=gap)
        return np.maximum(gap, 0.0, out=gap)

    def walk(self, first: Index, stop: Index) -> None:
        """Carry supply along chains first..stop-1, each begun without any."""
        surplus = self.events.surplus
        factor = self.carry_over.factor(self.events) if self.carry_over else None
        missed, carried = self.missed[1:], self.carried[1:]  # of the next event
        into, gone = np.zeros(len(first)), np.zeros(len(first))
        for at in Ranks(first, stop):
            carry, total = into[: len(at)], gone[: len(at)]
            left = surplus.take(at)
            left += carry
            total -= np.minimum(left, 0.0)
            missed[at] = total
            if self.carry_over:
                np.maximum(left, 0.0, out=carry)
                if factor is not None:
                    carry *= factor[at]
                carried[at] = carry

    def restart(self, first: Index, stop: Index, end: Days) -> None:
        """Begin the parts first..stop-1 of these chains, none empty, without supply.

        What is carried only changes where something was carried to the first event.
        """
        self.following[stop - 1] = end
        anew = np.flatnonzero(self.carried.take(first))
        first, stop = first[anew], stop[anew]
        self.carried[first] = 0.0
        self.missed[first] = 0.0
        self.walk(first, stop)


@dataclass(frozen=True, slots=True, eq=False)
class Totals:
    """What has come together at the last event of each chain, that event left out."""

    supply: Days
    missed: Days
    carried: Days


def chains(
    events: Dispensings,
    first: Index,
    stop: Index,
    end: Days,
    carry_over: CarryOver | None,
) -> Chains:
    """Return what is carried along chains that share no event; None carries nothing."""
    following = np.append(events.day[1:], np.nan)
    some = np.flatnonzero(first < stop)
    following[stop[some] - 1] = end[some]
    carried, missed = np.zeros(len(following)), np.zeros(len(following))
    found = Chains(events, carry_over, following, carried, missed)
    found.walk(first, stop)
    return found


def totals(
    events: Dispensings, first: Index, stop: Index, carry_over: CarryOver
) -> Totals:
    """Return the totals of chains that may share events, each begun with no supply."""
    surplus, factor = events.surplus, carry_over.factor(events)
    supply, missed, carried = np.zeros((3, len(first)))
    ranks = Ranks(first, stop)
    for at in ranks:
        carry = carried[: len(at)]
        left = surplus.take(at)
        left += carry
        supply[: len(at)] += events.supply.take(at)
        missed[: len(at)] -= np.minimum(left, 0.0)
        np.maximum(left, 0.0, out=carry)
        if factor is not None:
            carry *= factor[at]
    return Totals(ranks.back(supply), ranks.back(missed), ranks.back(carried))


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Every event of the follow-up windows, at `place`, with what follows it.

    `interval`, `gap` and `carried` are days, NaN where not known: an interval outside
    of the observation window, gap and carry-over of events that were left out.
    """

    windows: Windows
    carry_over: CarryOver | None
    place: Index
    patient: Index
    interval: Days
    gap: Days
    carried: Days


def gaps(
    events: Dispensings,
    windows: Windows,
    carry_over: CarryOver | None,
    *,
    from_followup_start: bool = False,
) -> Gaps:
    """Return intervals, gaps and carry-over of every event.

    The events of the observation window count, and with `from_followup_start` those of
    the follow-up before it, so that supply is carried into the window. With
    `carry_over` None nothing is carried.
    """
    low, high = windows.followed(events)
    begin, stop = windows.observed(events, low, high)
    first = low if from_followup_start else begin
    found = chains(events, first, stop, windows.end, carry_over)
    place, patient = expand(low, high)
    inside = _within(begin, stop, place, patient)
    known = _within(first, stop, place, patient)
    return Gaps(
        windows,
        carry_over,
        place,
        patient,
        np.where(inside, (found.following - events.day)[place], np.nan),
        np.where(known, found.gaps()[place], np.nan),
        np.where(known, found.carried[place], np.nan),
    )


def _within(first: Index, stop: Index, place: Index, number: Index) -> Flags:
    return (place >= first[number]) & (place < stop[number])
