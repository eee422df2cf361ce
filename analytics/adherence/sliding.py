"""Measures over windows that slide along the observation window."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor
from typing import Literal

import numpy as np

from analytics.adherence.cma import (
    Availability,
    Cma,
    FollowUp,
    Observed,
)
from analytics.adherence.dispensing import (
    CarryOver,
    Dispensings,
    Index,
    Windows,
    blocks,
)
from analytics.adherence.lengths import Days, Length

ROWS = 16384  # windows at a time
EXACT = 1e-7  # what a number of steps may lack to be whole


@dataclass(frozen=True, slots=True)
class Slide:
    """Windows of one length, each begun a step after the one before.

    Either `step` is given, or `steps`: so many windows, spread over the observation
    window, begun at least a day and at most a window's length apart. Months have 30
    days here, and years 365.
    """

    window: Length
    step: Length | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        if self.days < 1:
            raise ValueError("a sliding window must be at least a day long")
        if (self.step is None) == (self.steps is None):
            raise ValueError("give either a step or a number of steps")
        if self.step is not None and self.step.days() < 1:
            raise ValueError("the step must be at least a day")
        if self.steps is not None and self.steps < 1:
            raise ValueError("there must be at least one step")

    @property
    def days(self) -> int:
        return round(self.window.days())

    def starts(self, length: float) -> Days:
        """Return when windows start, in days after an observation so long starts."""
        span = length - self.days
        if span < 0:
            return np.empty(0)
        if self.step is not None:
            step = self.step.days()
        elif self.steps == 1:
            return np.zeros(1)
        else:
            step = max(1.0, min(self.days, span / ((self.steps or 1) - 1)))
        return np.rint(np.arange(floor(span / step + EXACT) + 1) * step)


@dataclass(frozen=True, slots=True, eq=False)
class Windowed:
    """A measure over the windows of some patients: `number` counts them from 1."""

    slide: Slide
    patient: Index
    number: Index
    availability: Availability


def sliding(
    events: Dispensings,
    windows: Windows,
    slide: Slide,
    measure: Cma,
    carry_over: CarryOver | None = None,
) -> Iterator[Windowed]:
    """Yield the measure over all windows that end within each observation window.

    The follow-up stays that of the patient, so supply is carried into every window.
    Results come some patients at a time: nearly in their order, those of a month's
    length together. O(events + windows), and for CMA5 and CMA6 the events of all
    windows.
    """
    rule = carry_over or CarryOver()
    for begin, some, theirs in blocks(events, windows):
        length = theirs.end - theirs.start
        for each in np.unique(length).tolist():  # of months there are a few
            alike = np.flatnonzero(length == each)
            own = theirs.of_chosen(alike)
            followup = FollowUp(some.of_chosen(alike), own, rule)
            for found in _slid(followup, own, slide, slide.starts(each), measure):
                yield replace(found, patient=alike[found.patient] + begin)


def _slid(
    followup: FollowUp, windows: Windows, slide: Slide, starts: Days, measure: Cma
) -> Iterator[Windowed]:
    """Yield the measure for patients whose observations are of one length."""
    patients = followup.events.patients
    size = max(1, ROWS // max(1, len(starts)))
    for begin in range(0, patients, size):
        whose = np.arange(begin, min(begin + size, patients))
        start = windows.start[whose, None] + starts
        observed = Observed(
            followup,
            np.repeat(whose, len(starts)),
            start.ravel(),
            (start + slide.days).ravel(),
            *_places(followup.events, windows.start, whose, starts, slide.days),
        )
        number = np.tile(np.arange(1, len(starts) + 1), len(whose))
        available = observed.availability(measure)
        yield Windowed(slide, observed.patient, number, available)


def _places(
    events: Dispensings, begun: Days, whose: Index, starts: Days, days: int
) -> tuple[Index, Index]:
    """Return the places of the events in windows that start so long after `begun`.

    `whose` are patients in a row. Every event is counted into the first window that is
    after it, and then all windows' counts are summed.
    """
    first = events.first[whose[0] : whose[-1] + 2]
    row = np.repeat(np.arange(len(whose)), np.diff(first))
    since = events.day[first[0] : first[-1]] - begun[whose][row]
    bins = len(starts) + 1
    longest = starts.max(initial=0.0) + days + 1
    at = np.clip(since, -1.0, longest).astype(np.int64) + 1
    row *= bins

    def places(limits: Days, side: Literal["left", "right"]) -> Index:
        elapsed = np.arange(-1.0, longest + 1)
        later = np.asarray(np.searchsorted(limits, elapsed, side=side), dtype=np.int64)
        seen = np.bincount(later[at] + row, minlength=len(whose) * bins)
        seen[0] += first[0]
        return seen.cumsum().reshape(len(whose), bins)[:, :-1].ravel()

    return places(starts, "right"), places(starts + days, "left")
