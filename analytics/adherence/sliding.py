"""Measures over windows that slide along the observation window."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from math import floor

import numpy as np

from analytics.adherence.cma import (
    MEASURES,
    Availability,
    FollowUp,
    Measure,
    Observed,
)
from analytics.adherence.dispensing import CarryOver, Dispensings, Index, Windows
from analytics.adherence.gaps import expand
from analytics.adherence.lengths import Days, Length

BLOCK = 8192  # patients at a time: their windows fit a processor's cache
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
    measure: Measure,
    carry_over: CarryOver | None = None,
) -> Iterator[Windowed]:
    """Yield the measure over all windows that end within each observation window.

    The follow-up stays that of the patient, so supply is carried into every window.
    Results come a block of patients at a time, in their order. O(events + windows),
    and for CMA5 and CMA6 the events of all windows.
    """
    for begin in range(0, events.patients, BLOCK):
        end = min(begin + BLOCK, events.patients)
        block = events.of_patients(begin, end), windows.of_patients(begin, end)
        found = _slid(*block, slide, measure, carry_over or CarryOver())
        yield replace(found, patient=found.patient + begin)


def _slid(
    events: Dispensings,
    windows: Windows,
    slide: Slide,
    measure: Measure,
    carry_over: CarryOver,
) -> Windowed:
    followup = FollowUp(events, windows, carry_over)
    length = windows.end - windows.start
    parts = [
        _placed(events, windows, slide.starts(float(each)), slide.days, whose)
        for each in np.unique(length)
        for whose in [np.flatnonzero(length == each)]
    ]
    patient, number, start, begin, stop = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    if len(parts) > 1:
        order = np.lexsort((number, patient))
        patient, number, start, begin, stop = (
            column[order] for column in (patient, number, start, begin, stop)
        )
    end = start + slide.days
    observed = Observed(followup, patient, start, end, begin, stop)
    shares = MEASURES[measure](observed)
    available = Availability(
        measure, carry_over, start, end, *shares, observed.stop - observed.begin
    )
    return Windowed(slide, patient, number, available)


def _placed(
    events: Dispensings, windows: Windows, starts: Days, days: int, whose: Index
) -> tuple[Index, Index, Days, Index, Index]:
    """Return the windows of patients who have the same ones, and their events' places.

    In order of patient and start: patient, number, start, first and last event + 1.
    """
    place, row = expand(events.first[whose], events.first[whose + 1])
    since = events.day[place] - windows.start[whose][row]
    count = len(starts)

    def places(first: Index) -> Index:
        """Count a patient's events before each window from that number on."""
        times = np.bincount(
            row * (count + 1) + first, minlength=len(whose) * (count + 1)
        )
        before = times.reshape(len(whose), count + 1)[:, :count].cumsum(axis=1)
        return (before + events.first[whose, None]).ravel()

    return (
        np.repeat(whose, count),
        np.tile(np.arange(1, count + 1), len(whose)),
        (windows.start[whose, None] + starts).ravel(),
        places(np.searchsorted(starts, since, side="right")),
        places(np.searchsorted(starts + days, since, side="left")),
    )
