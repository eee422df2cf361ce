"""Dispensing data as arrays: events in order of patient and date, and their windows."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analytics.adherence.lengths import Days, Length

Index = NDArray[np.int64]
Codes = NDArray[np.integer[Any]]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Dispensings:
    """Supplies of all patients, by patient and then by day, in the order recorded.

    `first` holds the place of each patient's first event, and the number of events at
    its end. `supply` is in days and positive. `medication` is a code a class, needed
    where classes matter; `daily_dose` is positive, needed where doses matter.
    """

    first: Index
    day: Days
    supply: Days
    medication: Codes | None = None
    daily_dose: NDArray[np.float64] | None = None

    @classmethod
    def of(
        cls,
        patient: Index,
        day: Days,
        supply: Days,
        *,
        medication: Codes | None = None,
        daily_dose: NDArray[np.float64] | None = None,
    ) -> "Dispensings":
        """Return rows in any order as dispensings; patients go by their number.

        Rows of one patient and day keep their order. Raises ValueError unless every
        supply and dose is positive and finite. O(n log n).
        """
        for name, values in (("supply", supply), ("daily dose", daily_dose)):
            if values is not None and not np.all((values > 0) & np.isfinite(values)):
                raise ValueError(f"every {name} must be a positive number")
        order = np.lexsort((day, patient))
        ordered = patient[order]
        changed = np.flatnonzero(np.diff(ordered)) + 1
        first = np.concatenate(([0], changed, [len(ordered)])) if len(order) else [0]
        return cls(
            np.asarray(first, dtype=np.int64),
            day[order],
            supply[order],
            None if medication is None else medication[order],
            None if daily_dose is None else daily_dose[order],
        )

    @property
    def patients(self) -> int:
        return len(self.first) - 1

    @cached_property
    def surplus(self) -> Days:
        """Days by which each supply outlasts the time until the next row's event."""
        surplus = np.diff(self.day)
        return np.subtract(self.supply[:-1], surplus, out=surplus)

    def of_patients(self, begin: int, end: int) -> "Dispensings":
        """Return the dispensings of patients begin..end-1, without a copy."""
        rows = slice(self.first[begin], self.first[end])
        return Dispensings(
            self.first[begin : end + 1] - self.first[begin],
            self.day[rows],
            self.supply[rows],
            None if self.medication is None else self.medication[rows],
            None if self.daily_dose is None else self.daily_dose[rows],
        )

    def of_chosen(self, patients: Index) -> "Dispensings":
        """Return the dispensings of those patients, without a copy if it is all."""
        if len(patients) == self.patients:
            return self
        rows, number = expand(self.first[patients], self.first[patients + 1])
        return self.taken(rows, np.searchsorted(number, np.arange(len(patients) + 1)))

    def taken(self, rows: Index, first: Index) -> "Dispensings":
        """Return those rows, grouped anew by `first`."""
        return Dispensings(
            first,
            self.day[rows],
            self.supply[rows],
            None if self.medication is None else self.medication[rows],
            None if self.daily_dose is None else self.daily_dose[rows],
        )


@dataclass(frozen=True, slots=True)
class CarryOver:
    """What is left of a supply when the next one comes, and how it goes on.

    By default it is used up first, whatever comes next. `same_medication_only` drops
    it when the class changes; `consider_dosage` converts it to days at the new dose.
    """

    same_medication_only: bool = False
    consider_dosage: bool = False

    def factor(self, events: Dispensings) -> Days | None:
        """Return the share of days carried from each event to the next, or None: all.

        Raises ValueError when the classes or doses it depends on are not given.
        """
        if not (self.same_medication_only or self.consider_dosage):
            return None
        factor = np.ones(max(0, len(events.day) - 1))
        if self.consider_dosage:
            if events.daily_dose is None:
                raise ValueError("to consider dosage, daily doses are needed")
            factor = events.daily_dose[:-1] / events.daily_dose[1:]
        if self.same_medication_only:
            factor = np.where(changed(events), 0.0, factor)
        return factor


def changed(events: Dispensings) -> Flags:
    """Return whether the class of each event differs from that of the next row."""
    if events.medication is None:
        raise ValueError("to compare medications, their classes are needed")
    return events.medication[:-1] != events.medication[1:]


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the follow-up and observation windows of every patient lie.

    The follow-up begins so long after a patient's first event, the observation so long
    after the follow-up. All windows include both their ends.
    """

    followup_start: Length = field(default_factory=lambda: Length(0))
    followup_duration: Length = field(default_factory=lambda: Length(730))
    observation_start: Length = field(default_factory=lambda: Length(0))
    observation_duration: Length = field(default_factory=lambda: Length(730))

    def __post_init__(self) -> None:
        starts = self.followup_start, self.observation_start
        durations = self.followup_duration, self.observation_duration
        for each in (*starts, *durations):
            each.days()  # raises ValueError for a percent
        for name, each in zip(("follow-up", "observation"), durations, strict=True):
            if each.amount <= 0:
                raise ValueError(f"the {name} must be longer than 0 days")

    def windows(self, events: Dispensings) -> "Windows":
        """Return the windows of every patient.

        Raises OutsideFollowUp where an observation is not inside its follow-up.
        """
        start = self.followup_start.after(events.day[events.first[:-1]])
        begin = self.observation_start.after(start)
        return Windows(
            start,
            self.followup_duration.after(start),
            begin,
            self.observation_duration.after(begin),
        )


BLOCK = 8192  # patients at a time: what belongs to them fits a processor's cache


class OutsideFollowUp(ValueError):
    """An observation is not inside its follow-up; `place` is that of the first such."""

    def __init__(self, place: int) -> None:
        super().__init__("an observation window is not inside its follow-up window")
        self.place = place


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """One follow-up window and one observation window a patient, both ends included."""

    followup_start: Days
    followup_end: Days
    start: Days
    end: Days

    def __post_init__(self) -> None:
        outside = (self.start < self.followup_start) | (self.end > self.followup_end)
        if np.any(outside):
            raise OutsideFollowUp(int(np.argmax(outside)))

    def of_patients(self, begin: int, end: int) -> "Windows":
        """Return the windows of patients begin..end-1."""
        rows = slice(begin, end)
        return Windows(
            self.followup_start[rows],
            self.followup_end[rows],
            self.start[rows],
            self.end[rows],
        )

    def of_chosen(self, patients: Index) -> "Windows":
        """Return the windows of those patients."""
        return Windows(
            self.followup_start[patients],
            self.followup_end[patients],
            self.start[patients],
            self.end[patients],
        )

    def followed(self, events: Dispensings) -> tuple[Index, Index]:
        """Return where events of the follow-up begin and stop."""
        begun, ended = events.first[:-1], events.first[1:]
        low = place_after(events, begun, ended, self.followup_start)
        return low, place_after(events, low, ended, self.followup_end, or_on=True)

    def observed(
        self, events: Dispensings, low: Index, high: Index
    ) -> tuple[Index, Index]:
        """Return where, among events low..high-1, those observed begin and stop."""
        begin = place_after(events, low, high, self.start)
        return begin, place_after(events, begin, high, self.end, or_on=True)


def blocks(
    events: Dispensings, windows: Windows, *, of: int = BLOCK
) -> Iterator[tuple[int, Dispensings, Windows]]:
    """Yield some patients at a time, with the number of the first."""
    for begin in range(0, events.patients, of):
        end = min(begin + of, events.patients)
        yield begin, events.of_patients(begin, end), windows.of_patients(begin, end)


def expand(first: Index, stop: Index) -> tuple[Index, Index]:
    """Return every place of the ranges first..stop-1, and the number of its range."""
    count = np.maximum(0, stop - first)
    number = np.repeat(np.arange(len(count)), count)
    begun = np.cumsum(count) - count
    return np.arange(int(count.sum())) + np.repeat(first - begun, count), number


def covered(first: Index, stop: Index, size: int) -> Flags:
    """Return which of `size` places lie in ranges first..stop-1, apart, none empty."""
    turns = np.zeros(size + 1, np.bool_)
    turns[first] = True
    turns[stop] ^= True
    return np.logical_xor.accumulate(turns[:-1])


def place_after(
    events: Dispensings, low: Index, high: Index, day: Days, *, or_on: bool = False
) -> Index:
    """Return the place after the events before (or on) a day, in ranges low..high-1.

    Every range is of one patient. Days before its first event or after its last one
    are settled by a look; the others are bisected, all at once.
    """
    if not len(events.day):
        return low
    first = events.day.take(low, mode="clip")
    before = (first > day if or_on else first >= day) | (low >= high)
    if before.all():
        return low
    last = events.day.take(high - 1)
    inside = np.flatnonzero(~(before | (last <= day if or_on else last < day)))
    place = np.where(before, low, high)
    place[inside] = _bisected(
        events.day, low[inside], high[inside], day[inside], or_on=or_on
    )
    return place


def _bisected(days: Days, low: Index, high: Index, day: Days, *, or_on: bool) -> Index:
    for _ in range(int((high - low).max(initial=0)).bit_length()):
        middle = (low + high) >> 1
        found = days[middle]
        earlier = found <= day if or_on else found < day
        earlier &= low < high
        np.copyto(high, middle, where=~earlier)
        np.copyto(low, middle + 1, where=earlier)
    return low


class Ranks:
    """First events of all chains first..stop-1, then second ones, and so on.

    What goes from event to event is so computed for all chains at once, in as many
    steps as the longest chain has. Chains are ordered by their length, longest first.
    """

    def __init__(self, first: Index, stop: Index) -> None:
        count = np.maximum(stop - first, 0)
        self.longest = int(count.max(initial=0))
        few = count.astype(np.uint16 if self.longest < 2**16 else np.int64)
        ascending = np.argsort(few, kind="stable")  # by radix where values are few
        self.order = ascending[::-1]
        self.first = first[self.order]
        self.counts = few[ascending]

    def __iter__(self) -> Iterator[Index]:
        """Yield the places of the events of each rank that have a next in the chain.

        It is the same array, changed, each time.
        """
        shorter = np.searchsorted(
            self.counts, np.arange(1, self.longest), side="right"
        ).tolist()
        places = self.first.copy()
        for left_out in shorter:
            yield places[: len(places) - left_out]
            places += 1

    def back(self, values: Days) -> Days:
        """Return values by rank in the order in which the chains were given."""
        given = np.empty_like(values)
        given[self.order] = values
        return given
