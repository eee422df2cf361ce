"""Treatment episodes: runs of supply without a gap longer than is permissible.

Definitions of Dima and Dediu 2017, doi:10.1371/journal.pone.0174426, except that a
change of dosage starts an episode where that is asked for; docs/adherence.md says more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analytics.adherence.cma import (
    WITHOUT_CARRY_OVER,
    Availability,
    Cma,
    FollowUp,
    Observed,
)
from analytics.adherence.dispensing import (
    CarryOver,
    Dispensings,
    Flags,
    Index,
    Windows,
    blocks,
    changed,
    covered,
)
from analytics.adherence.gaps import Chains, chains
from analytics.adherence.lengths import Days, Length, Unit


@dataclass(frozen=True, slots=True)
class EpisodeRule:
    """When an episode ends: after a gap longer than `permissible_gap`, or a change.

    A gap in percent is one of the supply before it; one in months or years has 30 or
    365 days. With `append_gap` an episode lasts through the gap after it, at most the
    permissible one. `carry_over` None carries nothing.
    """

    permissible_gap: Length
    medication_change: bool = False
    dosage_change: bool = False
    append_gap: bool = False
    carry_over: CarryOver | None = field(default_factory=CarryOver)

    def __post_init__(self) -> None:
        if self.permissible_gap.amount < 0:
            raise ValueError("the permissible gap cannot be negative")

    def permissible(self, events: Dispensings) -> Days:
        """Return the longest gap in days that may follow each event."""
        if self.permissible_gap.unit is Unit.PERCENT:
            return events.supply * self.permissible_gap.amount / 100
        return np.broadcast_to(self.permissible_gap.days(), len(events.day))

    def starts(self, events: Dispensings, gap: Days, permissible: Days) -> Flags:
        """Return whether the event after each starts an episode."""
        new = gap > permissible
        if self.medication_change:
            new[:-1] |= changed(events)
        if self.dosage_change:
            if events.daily_dose is None:
                raise ValueError("to compare dosages, daily doses are needed")
            new[:-1] |= events.daily_dose[:-1] != events.daily_dose[1:]
        return new


@dataclass(frozen=True, slots=True, eq=False)
class Episodes:
    """Episodes by patient and start, numbered from 1, events at first..stop-1.

    `gap` are the days without supply after the last event. An episode ends where its
    supply does, before the gap, except a last one whose gap is permissible: it goes on
    until the follow-up ends.
    """

    rule: EpisodeRule
    windows: Windows
    patient: Index
    number: Index
    first: Index
    stop: Index
    start: Days
    duration: Days
    gap: Days

    @property
    def end(self) -> Days:
        return self.start + self.duration

    def moved(self, patients: int, events: int, windows: Windows) -> "Episodes":
        """Return them as of a table that has so many patients and events before."""
        return replace(
            self,
            windows=windows,
            patient=self.patient + patients,
            first=self.first + events,
            stop=self.stop + events,
        )

    @classmethod
    def joined(
        cls, rule: EpisodeRule, windows: Windows, parts: Sequence["Episodes"]
    ) -> "Episodes":
        """Return the episodes of some patients, and of others, as one."""
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return cls(
            rule,
            windows,
            np.concatenate([none, *(part.patient for part in parts)]),
            np.concatenate([none, *(part.number for part in parts)]),
            np.concatenate([none, *(part.first for part in parts)]),
            np.concatenate([none, *(part.stop for part in parts)]),
            np.concatenate([nothing, *(part.start for part in parts)]),
            np.concatenate([nothing, *(part.duration for part in parts)]),
            np.concatenate([nothing, *(part.gap for part in parts)]),
        )

    def taken(self, rows: Index) -> "Episodes":
        """Return those episodes."""
        return replace(
            self,
            patient=self.patient.take(rows),
            number=self.number.take(rows),
            first=self.first.take(rows),
            stop=self.stop.take(rows),
            start=self.start.take(rows),
            duration=self.duration.take(rows),
            gap=self.gap.take(rows),
        )


def episodes(events: Dispensings, windows: Windows, rule: EpisodeRule) -> Episodes:
    """Return the treatment episodes within the follow-up window of every patient.

    Raises ValueError where the rule needs classes or doses that the events lack.
    """
    parts = [
        _episodes(some, theirs, rule)[0].moved(begin, int(events.first[begin]), windows)
        for begin, some, theirs in blocks(events, windows)
    ]
    return Episodes.joined(rule, windows, parts)


def _episodes(
    events: Dispensings, windows: Windows, rule: EpisodeRule
) -> tuple[Episodes, Chains]:
    """Return the episodes, and how supply was carried to find them."""
    low, high = windows.followed(events)
    carried = chains(events, low, high, windows.followup_end, rule.carry_over)
    gap, permissible = carried.gaps(), rule.permissible(events)
    some = np.flatnonzero(low < high)
    low, high = low[some], high[some]
    closing = np.zeros(len(gap), np.bool_)  # whether an event is a patient's last one
    closing[high - 1] = True
    ends = rule.starts(events, gap, permissible) | closing
    ends &= covered(low, high, len(ends))
    last = np.flatnonzero(ends)
    stop = last + 1
    final = np.flatnonzero(closing.take(last))  # each patient's last episode
    begun = np.append(0, final + 1)[:-1]
    count = final - begun + 1
    first = np.append(0, stop)[:-1]
    first[begun] = low
    gap, permissible = gap.take(last), permissible[last]
    cut = np.maximum(gap - permissible, 0.0) if rule.append_gap else gap.copy()
    cut[final[gap[final] <= permissible[final]]] = 0.0
    start = events.day.take(first)
    duration = carried.following.take(last) - cut - start
    whose = np.repeat(some, count)
    number = np.arange(1, len(last) + 1) - np.repeat(begun, count)
    found = Episodes(rule, windows, whose, number, first, stop, start, duration, gap)
    return found, carried


@dataclass(frozen=True, slots=True, eq=False)
class PerEpisode:
    """One measure over the part of every episode that is observed.

    `start` and `end` are those of the part, `episodes` those that have one.
    """

    episodes: Episodes
    start: Days
    end: Days
    availability: Availability


def per_episode(
    events: Dispensings, windows: Windows, rule: EpisodeRule, measure: Cma
) -> Iterator[PerEpisode]:
    """Yield the measure over every episode that meets the observation window.

    Each episode is a follow-up window of its own, of its duration in whole days, and
    its part of the observation window is what is observed; so no supply is carried
    into an episode. Its events are those from its start until before its end, and for a
    patient's last one that goes on to the end of the follow-up on that day. For CMA1 to
    CMA4, which know no carry-over, episodes are found without it too. Results come some
    patients at a time, in their order.
    """
    if measure in WITHOUT_CARRY_OVER:
        rule = replace(rule, carry_over=None)
    for begin, some, theirs in blocks(events, windows):
        found, own = _observed(some, theirs, rule)
        available = own.availability(measure)
        found = found.moved(begin, int(events.first[begin]), windows)
        end = np.minimum(found.end, windows.end.take(found.patient))
        yield PerEpisode(found, own.start, end, available)


def _observed(
    events: Dispensings, windows: Windows, rule: EpisodeRule
) -> tuple[Episodes, Observed]:
    """Return the episodes that are observed, and what is observed of each."""
    found, carried = _episodes(events, windows, rule)
    start = np.maximum(found.start, windows.start.take(found.patient))
    end = np.minimum(found.end, windows.end.take(found.patient))
    open_end = found.end == windows.followup_end.take(found.patient)
    open_end[:-1] &= found.patient[1:] != found.patient[:-1]  # a patient's last one
    kept = np.flatnonzero(start < end)
    found, start, end = found.taken(kept), start.take(kept), end.take(kept)
    followup_end = found.start + np.rint(found.duration)
    own_end = np.minimum(start + np.rint(end - start), followup_end)
    own = Windows(found.start, followup_end, start, own_end)
    first, stop = _by_date(events, found, open_end[kept])
    rule_of_own = rule.carry_over or CarryOver()
    followup = FollowUp(events, own, rule_of_own, (first, stop))
    if rule.carry_over:
        carried.restart(first, stop, followup_end)
        followup.chains = carried
    return found, Observed.of(followup, own)


def _by_date(
    events: Dispensings, found: Episodes, open_end: Flags
) -> tuple[Index, Index]:
    """Return the places of the events from each episode's start until before its end.

    Where the end is open, events on its day are of the episode, too. So are, of events
    of the first day, those before its own first one.
    """
    begin, stop = found.first.copy(), found.stop.copy()
    low, end = events.first.take(found.patient), found.end
    while True:
        more = (begin > low) & (events.day.take(begin - 1) == found.start)
        if not more.any():
            break
        begin -= more
    while True:
        more = (events.day.take(stop - 1) >= end) & ~open_end
        if not more.any():
            break
        stop -= more
    return begin, stop
