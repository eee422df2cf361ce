"""The match of `matching` over many patients at once, in arrays.

For what devices recorded: the same labels and pairs as `match` gives patient by
patient. Where a person's word competes with a record (ADR 0024), use `match`. Times are
microseconds since 1970 UTC.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from analytics.labels import DEBOUNCE, ON_TIME, DoseLabel, EventLabel
from analytics.matching_chains import match_chains
from analytics.records import MICROSECOND

Ints = NDArray[np.int64]
Codes = NDArray[np.int8]
Bools = NDArray[np.bool_]

UNTIMED = np.iinfo(np.int64).min
NONE = -1
EVENT_LABELS = tuple(EventLabel)  # what the codes of events stand for
DOSE_LABELS = tuple(DoseLabel)
_ROOM = 2**62  # microseconds on one line of time, for all patients of a chunk
_AT_ONCE = 2_000_000  # events, about: bounds the memory


@dataclass(frozen=True, slots=True)
class Events:
    """Dose events of many patients, in any order."""

    patient: Ints
    at: Ints

    def __len__(self) -> int:
        return len(self.at)


@dataclass(frozen=True, slots=True)
class Doses:
    """Scheduled doses of many patients; `due` is UNTIMED where there is no time."""

    patient: Ints
    due: Ints
    window_from: Ints
    window_until: Ints

    def __len__(self) -> int:
        return len(self.due)


@dataclass(frozen=True, slots=True)
class Matched:
    """One cell an event and a dose, in the order given; NONE is no partner.

    `event_label` indexes EVENT_LABELS, `dose_label` DOSE_LABELS.
    """

    event_label: Codes
    event_dose: Ints
    dose_label: Codes
    dose_event: Ints


def match_columns(
    events: Events,
    doses: Doses,
    *,
    on_time: timedelta = ON_TIME,
    debounce: timedelta = DEBOUNCE,
) -> Matched:
    """Return the best match of every patient's events to their doses.

    Equal times keep the order given. Doses that share no event are solved by one
    sorted search; those that do by dynamic programming over many chains at once.
    O(n log n + n·k) for k events in the windows of a chain.
    """
    event_label = np.full(len(events), _code(EventLabel.UNMATCHED), dtype=np.int8)
    event_dose = np.full(len(events), NONE, dtype=np.int64)
    dose_event = np.full(len(doses), NONE, dtype=np.int64)
    for chunk in _chunks(events, doses):
        spare, covered = chunk.solve(debounce // MICROSECOND, event_dose, dose_event)
        event_label[covered] = _code(EventLabel.EXTRA)
        event_label[spare] = _code(EventLabel.DUPLICATE)
    event_label[event_dose != NONE] = _code(EventLabel.THERAPEUTIC)
    labels = _timed(events, doses, dose_event, on_time // MICROSECOND)
    return Matched(event_label, event_dose, labels, dose_event)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """Patients laid behind one another on one line of time, so that all sorts once.

    `events` and `doses` are places in what was given, in order of that line.
    """

    events: Ints
    at: Ints
    starts: Bools  # of a patient's first event
    doses: Ints
    due: Ints
    window_from: Ints
    window_until: Ints

    def solve(
        self, debounce: int, event_dose: Ints, dose_event: Ints
    ) -> tuple[Ints, Ints]:
        """Write the pairs; return which events are duplicates and which covered."""
        kept = _kept(self.at, self.starts, debounce)
        at, places = self.at[kept], self.events[kept]
        low = np.searchsorted(at, self.window_from).astype(np.int64)
        high = np.searchsorted(at, self.window_until).astype(np.int64)
        np.maximum(high, low, out=high)
        chosen = _best(at, self.due, low, high)
        matched = chosen != NONE
        dose_event[self.doses[matched]] = places[chosen[matched]]
        event_dose[places[chosen[matched]]] = self.doses[matched]
        steps = np.bincount(low, minlength=len(at) + 1)
        steps -= np.bincount(high, minlength=len(at) + 1)
        return self.events[~kept], places[np.cumsum(steps[:-1]) > 0]


def _chunks(events: Events, doses: Doses) -> Iterator[_Chunk]:
    """Yield patients in lots whose line of time fits 62 bits."""
    if not len(doses) and not len(events):
        return
    people = np.unique(np.concatenate([events.patient, doses.patient]))
    moments = [part for part in (events.at, doses.window_from) if len(part)]
    first = min(int(part.min()) for part in moments)
    last = [part for part in (events.at, doses.window_until) if len(part)]
    span = max(int(part.max()) for part in last) - first + 1
    size = max(len(events), len(doses))
    lot = max(1, min(_ROOM // span, len(people) * _AT_ONCE // size))
    of_event = np.searchsorted(people, events.patient)
    of_dose = np.searchsorted(people, doses.patient)
    for start in range(0, len(people), lot):
        yield _chunk(
            events, doses, of_event, of_dose, (start, start + lot), first, span
        )


def _chunk(
    events: Events,
    doses: Doses,
    of_event: NDArray[np.intp],
    of_dose: NDArray[np.intp],
    lot: tuple[int, int],
    first: int,
    span: int,
) -> _Chunk:
    mine = np.flatnonzero((of_event >= lot[0]) & (of_event < lot[1]))
    theirs = np.flatnonzero((of_dose >= lot[0]) & (of_dose < lot[1]))
    who = of_event[mine]
    at = events.at[mine] + ((who - lot[0]) * span - first)
    order = _order(at)
    shift = (of_dose[theirs] - lot[0]) * span - first
    untimed = doses.due[theirs] == UNTIMED
    opens = doses.window_from[theirs] + shift
    closes = doses.window_until[theirs] + shift
    due = np.where(untimed, opens, doses.due[theirs] + np.where(untimed, 0, shift))
    by = _order(due) if len(due) < 2 else np.lexsort((closes, due))
    who = who[order]
    starts = np.concatenate([[True], who[1:] != who[:-1]])[: len(who)]
    return _Chunk(
        mine[order],
        at[order],
        starts,
        theirs[by],
        np.where(untimed, UNTIMED, due)[by],
        opens[by],
        closes[by],
    )


def _order(keys: Ints) -> NDArray[np.intp]:
    if len(keys) < 2 or bool((keys[1:] >= keys[:-1]).all()):
        return np.arange(len(keys))
    return np.argsort(keys, kind="stable")


def _kept(at: Ints, starts: Bools, debounce: int) -> Bools:
    """Return which events are no echo of the last one that was kept.

    All bursts advance together, one event a round, so that a round costs what still
    has an event left.
    """
    kept = np.ones(len(at), dtype=bool)
    if debounce <= 0 or len(at) < 2:
        return kept
    near = np.concatenate([[False], (at[1:] - at[:-1]) < debounce]) & ~starts
    place = np.flatnonzero(near & ~np.concatenate([[False], near[:-1]]))
    since = at[place - 1]
    while len(place):
        echo = at[place] - since < debounce
        kept[place[echo]] = False
        since = np.where(echo, since, at[place])
        place += 1
        on = place < len(at)
        on[on] = near[place[on]]
        place, since = place[on], since[on]
    return kept


def _best(at: Ints, due: Ints, low: Ints, high: Ints) -> Ints:
    """Return the event of each dose, in chains where windows share events."""
    chosen = np.full(len(due), NONE, dtype=np.int64)
    filled = np.flatnonzero(high > low)
    if not len(filled):
        return chosen
    low, high, due = low[filled], high[filled], due[filled]
    least = np.minimum.accumulate(low[::-1])[::-1]
    most = np.maximum.accumulate(high)
    begins = np.concatenate([[True], most[:-1] <= least[1:]])
    first = np.flatnonzero(begins)
    size = np.diff(np.append(first, len(low)))
    single = first[size == 1]
    chosen[filled[single]] = _nearest(at, due[single], low[single], high[single])
    many = size > 1
    if many.any():
        parts = match_chains(at, due, low, high, first[many], size[many], UNTIMED)
        for doses, events in parts:
            chosen[filled[doses]] = events
    return chosen


def _nearest(at: Ints, due: Ints, low: Ints, high: Ints) -> Ints:
    """Return the nearest event of each window, the earlier of equals."""
    chosen = low.copy()
    several = np.flatnonzero(high - low > 1)
    if not len(several):
        return chosen
    low, count = low[several], (high - low)[several]
    ends = np.cumsum(count)
    starts = ends - count
    flat = np.arange(int(ends[-1]), dtype=np.int64) + np.repeat(low - starts, count)
    of = np.repeat(due[several], count)
    cost = np.where(of == UNTIMED, 0, np.abs(at[flat] - np.where(of == UNTIMED, 0, of)))
    least = np.minimum.reduceat(cost, starts)
    hit = np.flatnonzero(cost == np.repeat(least, count))
    window = np.repeat(np.arange(len(several)), count)[hit]
    chosen[several[window[::-1]]] = flat[hit][::-1]  # the first of equals is last
    return chosen


def _timed(events: Events, doses: Doses, dose_event: Ints, on_time: int) -> Codes:
    labels = np.full(len(doses), _dose_code(DoseLabel.OPEN), dtype=np.int8)
    taken = dose_event != NONE
    timed = doses.due != UNTIMED
    labels[taken & ~timed] = _dose_code(DoseLabel.UNTIMED_TAKEN)
    both = np.flatnonzero(taken & timed)
    dt = events.at[dose_event[both]] - doses.due[both]
    labels[both] = np.select(
        [np.abs(dt) <= on_time, dt < 0],
        [_dose_code(DoseLabel.ON_TIME), _dose_code(DoseLabel.EARLY)],
        _dose_code(DoseLabel.LATE),
    )
    return labels


def _code(label: EventLabel) -> int:
    return EVENT_LABELS.index(label)


def _dose_code(label: DoseLabel) -> int:
    return DOSE_LABELS.index(label)
