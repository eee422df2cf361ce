"""Continuous medication availability, CMA1 to CMA9, of many patients at once.

CMA1 to CMA8: Vollmer et al. 2012, doi:10.1186/1472-6963-12-155; CMA9 and the windows:
Dima and Dediu 2017, doi:10.1371/journal.pone.0174426. A value is an availability of
supply, an upper bound of what was taken; docs/adherence.md has the formulas.

Two running totals of a patient's supply do most of the work. `missed` are the days
without supply from the first event of the follow-up until a day: CMA7 of a window is
one minus its rise over the window. `supplied` spreads each supply evenly over the time
to the next event: CMA9 is its rise. So each window more costs a look-up more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from functools import cached_property
from math import nan, sqrt

import numpy as np
from numpy.typing import NDArray

from analytics.adherence.dispensing import (
    CarryOver,
    Dispensings,
    Index,
    Ranks,
    Windows,
    blocks,
    place_after,
)
from analytics.adherence.gaps import Chains, Totals, chains, totals
from analytics.adherence.lengths import Days

Reasons = NDArray[np.uint8]


class Cma(StrEnum):
    """The nine measures of continuous medication availability."""

    CMA1 = "CMA1"
    CMA2 = "CMA2"
    CMA3 = "CMA3"
    CMA4 = "CMA4"
    CMA5 = "CMA5"
    CMA6 = "CMA6"
    CMA7 = "CMA7"
    CMA8 = "CMA8"
    CMA9 = "CMA9"


WITHOUT_CARRY_OVER = Cma.CMA1, Cma.CMA2, Cma.CMA3, Cma.CMA4


class Reason(IntEnum):
    """Why a value is undefined."""

    DEFINED = 0
    NO_INTERVAL = 1  # no time between the days that the measure divides by
    NO_EVENT = 2  # none in the window, or before it where those count
    OVERSUPPLIED = 3  # supply from before the window lasts to its end


@dataclass(frozen=True, slots=True)
class Mean:
    """The mean of a cohort with its 95 % confidence interval, by the normal law."""

    value: float
    low: float
    high: float
    patients: int
    undefined: int


@dataclass(frozen=True, slots=True, eq=False)
class Availability:
    """One measure over windows, with what it was computed from.

    Of each observation window start..end, `value` is `supplied` / `observed` days (for
    CMA3 and CMA4 at most 1), NaN where `reason` is not DEFINED; `events` are those in
    the window. Measures of the same windows share the arrays of start, end and events.
    """

    measure: Cma
    carry_over: CarryOver
    start: Days
    end: Days
    supplied: Days
    observed: Days
    reason: Reasons
    events: Index

    @property
    def value(self) -> NDArray[np.float64]:
        with np.errstate(divide="ignore", invalid="ignore"):
            value = self.supplied / self.observed
        if self.reason.any():
            value[self.reason != Reason.DEFINED] = nan
        if self.measure in (Cma.CMA3, Cma.CMA4):
            np.minimum(value, 1.0, out=value)
        return value

    def mean(self) -> Mean:
        """Return the mean over the patients for whom the measure is defined."""
        known = self.value[self.reason == Reason.DEFINED]
        count, undefined = len(known), len(self.reason) - len(known)
        if not count:
            return Mean(nan, nan, nan, 0, undefined)
        value = float(known.mean())
        error = float(known.std(ddof=1)) / sqrt(count) if count > 1 else nan
        return Mean(value, value - 1.96 * error, value + 1.96 * error, count, undefined)


def cma(
    events: Dispensings,
    windows: Windows,
    measures: Sequence[Cma],
    carry_over: CarryOver | None = None,
) -> dict[Cma, Availability]:
    """Return those measures, one window a patient. O(events), whatever their number.

    CMA1 to CMA4 know no carry-over; 5 and 6 carry within the window, 7 to 9 from the
    start of the follow-up, as `carry_over` says. Raises ValueError where it needs
    classes or doses that the events lack.
    """
    rule = carry_over or CarryOver()
    patients = events.patients
    counted = np.empty(patients, np.int64)
    shares: dict[Callable[[Observed], Shares], Shares] = {
        MEASURES[measure]: (
            np.empty(patients),
            np.empty(patients),
            np.empty(patients, np.uint8),
        )
        for measure in measures
    }
    for begin, some, theirs in blocks(events, windows):
        rows = slice(begin, begin + some.patients)
        observed = Observed.of(FollowUp(some, theirs, rule), theirs)
        counted[rows] = observed.stop - observed.begin
        for computed, whole in shares.items():
            for part, column in zip(computed(observed), whole, strict=True):
                column[rows] = part
    return {
        measure: Availability(
            measure,
            rule,
            windows.start,
            windows.end,
            *shares[MEASURES[measure]],
            counted,
        )
        for measure in measures
    }


class FollowUp:
    """Running totals of each patient's supply over the follow-up window."""

    def __init__(
        self,
        events: Dispensings,
        windows: Windows,
        carry_over: CarryOver,
        places: tuple[Index, Index] | None = None,
    ) -> None:
        """Take the events that are in the windows, or those in certain `places`."""
        self.events = events
        self.carry_over = carry_over
        self.end = windows.followup_end
        self.low, self.high = places or windows.followed(events)
        self.begin, self.stop = windows.observed(events, self.low, self.high)

    @cached_property
    def chains(self) -> Chains:
        return chains(self.events, self.low, self.high, self.end, self.carry_over)

    @cached_property
    def lasts_until(self) -> Days:
        return self.chains.lasts_until()

    def missed(self, day: Days, last: Index, low: Index) -> Days:
        """Return a count of days without supply which rises by those until `day`.

        `last` is the place of the last event up to then, `low` that of the first; the
        days before the first event are without supply.
        """
        since = self.lasts_until.take(last, mode="clip")
        np.subtract(day, since, out=since)
        np.maximum(since, 0.0, out=since)
        since += self.chains.missed.take(last, mode="clip")
        early = np.flatnonzero(last < low)
        if len(early):
            first = low[early]
            to_go = self.events.day.take(first, mode="clip") - day[early]
            since[early] = self.chains.missed.take(first, mode="clip") - to_go
        return since

    def supplied(self, day: Days, last: Index, low: Index) -> Days:
        """Return the supplied days until `day`, each supply spread until the next."""
        days = self.events.day
        low = np.minimum(low, len(days) - 1)
        if np.all(last < low):
            return -self.chains.missed.take(low)  # nothing before the first event
        at = np.maximum(last, low)
        begun = days.take(at)
        since = day - begun
        np.maximum(since, 0.0, out=since)
        since *= self.rate.take(at)
        begun -= days.take(low)
        begun -= self.chains.missed.take(at)
        since += begun
        return since

    @cached_property
    def rate(self) -> Days:
        """The share of the time to the next event for which each supply lasts."""
        day, following = self.events.day, self.chains.following
        interval = following - day
        rate = np.minimum(following, self.lasts_until)
        rate -= day
        interval[interval == 0] = 1.0  # two events of a day: no time to spread it over
        rate /= interval
        return rate

    @cached_property
    def reach(self) -> Days:
        """The latest day until which any supply up to an event lasts."""
        until = self.lasts_until
        if self.carry_over == CarryOver():
            return until  # what is carried over never shortens a supply
        reach = until.copy()
        for at in Ranks(self.low, self.high):
            reach[at + 1] = np.maximum(reach[at + 1], reach[at])
        return reach


@dataclass
class Observed:
    """Windows to look at: their patients, days, and places of events begin..stop-1."""

    followup: FollowUp
    patient: Index
    start: Days
    end: Days
    begin: Index
    stop: Index

    @classmethod
    def of(cls, followup: FollowUp, windows: Windows) -> "Observed":
        """Return everybody's observation window."""
        everybody = np.arange(len(followup.low))
        return cls(
            followup,
            everybody,
            windows.start,
            windows.end,
            followup.begin,
            followup.stop,
        )

    def availability(self, measure: Cma) -> Availability:
        """Return a measure over these windows."""
        return Availability(
            measure,
            self.followup.carry_over,
            self.start,
            self.end,
            *MEASURES[measure](self),
            self.stop - self.begin,
        )

    @cached_property
    def low(self) -> Index:
        return self.followup.low.take(self.patient)

    @cached_property
    def first_day(self) -> Days:
        day = self.followup.events.day
        return day[np.minimum(self.begin, len(day) - 1)]

    @cached_property
    def last_day(self) -> Days:
        return self.followup.events.day[self.stop - 1]

    @cached_property
    def last_supply(self) -> Days:
        return self.followup.events.supply[self.stop - 1]

    @cached_property
    def totals(self) -> Totals:
        """Totals of the window's own events, begun without supply."""
        followup = self.followup
        return totals(followup.events, self.begin, self.stop, followup.carry_over)

    def reason(self, observed: Days, *, look_back: bool = False) -> Reasons:
        """Return why the measure is undefined; with `look_back` earlier events do."""
        reason = (observed <= 0).view(np.uint8)  # DEFINED or NO_INTERVAL
        none = self.stop <= (self.low if look_back else self.begin)
        if none.any():
            reason[none] = Reason.NO_EVENT
        return reason


Shares = tuple[Days, Days, Reasons]  # supplied days, observed days, why not defined


def _first_to_last(window: Observed) -> Shares:
    """CMA1, CMA3: supplies but the last, over the time from first to last event."""
    observed = window.last_day - window.first_day
    return window.totals.supply, observed, window.reason(observed)


def _first_to_end(window: Observed) -> Shares:
    """CMA2, CMA4: all supplies, over the time from the first event to the end."""
    observed = window.end - window.first_day
    return (
        window.totals.supply + window.last_supply,
        observed,
        window.reason(observed),
    )


def _first_to_last_carried(window: Observed) -> Shares:
    """CMA5: CMA1's time without its gaps."""
    observed = window.last_day - window.first_day
    return observed - window.totals.missed, observed, window.reason(observed)


def _first_to_end_carried(window: Observed) -> Shares:
    """CMA6: CMA2's time without its gaps."""
    observed = window.end - window.first_day
    last = window.end - window.last_day - window.last_supply - window.totals.carried
    gaps = window.totals.missed + np.maximum(last, 0.0)
    return observed - gaps, observed, window.reason(observed)


def _window(window: Observed) -> Shares:
    """CMA7: the window without its gaps, supply carried in from before it."""
    missed, low = window.followup.missed, window.low
    observed = window.end - window.start
    gaps = missed(window.end, window.stop - 1, low)
    gaps -= missed(window.start, window.begin - 1, low)
    return observed - gaps, observed, window.reason(observed, look_back=True)


def _shortened_window(window: Observed) -> Shares:
    """CMA8: CMA7 of the window from when all supply from before it is used up."""
    followup, low = window.followup, window.low
    before = np.maximum(window.begin - 1, 0)
    lasts = np.where(window.begin > low, followup.reach[before], window.start)
    start = np.maximum(window.start, lasts)
    observed = window.end - start
    high = followup.high[window.patient]
    begin = place_after(followup.events, window.begin, high, start, or_on=True)
    gaps = followup.missed(window.end, window.stop - 1, low)
    gaps -= followup.missed(start, begin - 1, low)
    reason = window.reason(observed, look_back=True)
    reason[(start >= window.end) & (reason == Reason.NO_INTERVAL)] = Reason.OVERSUPPLIED
    return observed - gaps, observed, reason


def _spread(window: Observed) -> Shares:
    """CMA9: the window's days, each weighed by the supply of the interval it is in."""
    supplied, low = window.followup.supplied, window.low
    observed = window.end - window.start
    days = supplied(window.end, window.stop - 1, low)
    days -= supplied(window.start, window.begin - 1, low)
    return days, observed, window.reason(observed, look_back=True)


MEASURES: dict[Cma, Callable[[Observed], Shares]] = {
    Cma.CMA1: _first_to_last,
    Cma.CMA2: _first_to_end,
    Cma.CMA3: _first_to_last,
    Cma.CMA4: _first_to_end,
    Cma.CMA5: _first_to_last_carried,
    Cma.CMA6: _first_to_end_carried,
    Cma.CMA7: _window,
    Cma.CMA8: _shortened_window,
    Cma.CMA9: _spread,
}
