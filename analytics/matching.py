"""Dose events to scheduled doses: on time, early, late, missed, extra, unknown.

Raw events are never changed or dropped; they get a label. The match is the
order-preserving optimum: as many matches as possible, then the least sum of |dt|;
of equals the one that gives the earlier dose the earlier event (ADR 0020). Of what a
device recorded and a person said of one dose, the device's record counts (ADR 0024).
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import accumulate, pairwise
from typing import Generic

from analytics.records import (
    Dose,
    DoseId,
    EventId,
    Evidence,
    Period,
    Scheduled,
    microseconds,
)

ON_TIME = timedelta(hours=1)
DEBOUNCE = timedelta(seconds=600)
SAME_DOSE = timedelta(hours=1)  # a person's word and a device's record of one dose
WINDOW_SHARE = 0.25
WINDOW_MOST = timedelta(hours=4)
ZERO = timedelta(0)


class EventLabel(StrEnum):
    """What a raw event turned out to be."""

    THERAPEUTIC = "therapeutic"  # matched to a scheduled dose
    PRIME = "prime"
    REFILL = "refill"  # said by a person, like curiosity
    CURIOSITY = "curiosity"
    NO_MEASUREMENT = "no_measurement"  # amount unknown, and no dose to match
    DUPLICATE = "duplicate"  # another record of a dose for which one counts
    EXTRA = "extra"  # inside a window whose dose was already taken
    UNMATCHED = "unmatched"  # outside every window


class DoseLabel(StrEnum):
    """What became of a scheduled dose, before silence is considered."""

    ON_TIME = "on_time"
    EARLY = "early"
    LATE = "late"
    UNTIMED_TAKEN = "untimed_taken"
    OPEN = "open"


class Verdict(StrEnum):
    """What may be said of a scheduled dose that no event matches."""

    PENDING = "pending"
    LATE = "late"
    MISSED = "missed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrimeRule:
    """A delivery of `at_most`, `within` that time before a larger one, is a prime."""

    at_most: Decimal
    within: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Pair(Generic[EventId, DoseId]):
    """An event and its dose; `dt` is event minus due, None for an untimed dose."""

    event: EventId
    dose: DoseId
    dt: timedelta | None


@dataclass(frozen=True, slots=True)
class Matching(Generic[EventId, DoseId]):
    """Pairs in order of the doses, and one label for every event and every dose."""

    pairs: tuple[Pair[EventId, DoseId], ...]
    events: Mapping[EventId, EventLabel]
    doses: Mapping[DoseId, DoseLabel]


@dataclass(frozen=True, slots=True)
class _Slot:
    """A scheduled dose as indices into the events: low..high lie in its window."""

    due: int | None
    low: int
    high: int


def match(
    events: Iterable[Dose[EventId]],
    scheduled: Iterable[Scheduled[DoseId]],
    *,
    on_time: timedelta = ON_TIME,
    debounce: timedelta = DEBOUNCE,
    prime: PrimeRule | None = None,
) -> Matching[EventId, DoseId]:
    """Return the best match of one patient's events to one regimen's doses.

    The order in which events and doses are given has no influence. `debounce` counts
    from the last event that was kept. `prime` adds to what the device itself calls a
    prime. A self-report is a duplicate where a device recorded that dose: within the
    debounce of its record, within SAME_DOSE of it in one window, or anywhere in the
    window of a dose it matches when no other dose is left. What a device could not
    measure was still released and may match: to call that dose missed could have it
    taken twice. A duplicate is not another dose, but what it delivered has left the
    pen: stock counts amounts, not labels.
    O(n log n + n·k) for k events a window. Raises ValueError on a label unknown here.
    """
    ordered = sorted(events, key=lambda event: (event.at, str(event.id)))
    doses = sorted(scheduled, key=_dose_order)
    labels = _excluded(ordered, doses, debounce, prime)
    kept = [event for event in ordered if event.id not in labels]
    times = [microseconds(event.at) for event in kept]
    slots = [_slot(dose, times) for dose in doses]
    chosen = _best(times, slots, [not _is_word(event) for event in kept])
    pairs = tuple(
        Pair(kept[at].id, dose.id, _dt(kept[at].at, dose.due_at))
        for dose, at in zip(doses, chosen, strict=True)
        if at is not None
    )
    covered = _covered(len(kept), slots)
    recorded = _covered(
        len(kept),
        [
            slot
            for slot, at in zip(slots, chosen, strict=True)
            if at is not None and not _is_word(kept[at])
        ],
    )
    for at, event in enumerate(kept):
        labels[event.id] = _leftover(event, covered=covered[at], recorded=recorded[at])
    dose_labels = dict.fromkeys((dose.id for dose in doses), DoseLabel.OPEN)
    for pair in pairs:
        labels[pair.event] = EventLabel.THERAPEUTIC
        dose_labels[pair.dose] = _timing(pair.dt, on_time)
    return Matching(pairs, labels, dose_labels)


def verdict(
    dose: Scheduled[DoseId],
    *,
    heard_until: datetime | None,
    delay: timedelta,
    now: datetime,
    non_monitored: Sequence[Period] = (),
    patience: timedelta = ZERO,
) -> Verdict:
    """Return what may be said of a dose that no event matches.

    `heard_until` is the moment up to which its devices reported everything (the least
    of several devices, None: never heard). *Late*: heard at or after due + `delay`.
    *Missed*: heard at or after the window's close. Otherwise *unknown*: from due +
    `delay` + `patience` on, and always after the window closed. A non-monitored
    period that touches the window makes it unknown. An untimed dose stays pending until
    its window closes. `patience` keeps a device that reports every few minutes from
    being called unknown in between.
    """
    closed = now >= dose.window_until
    late_at = dose.window_until if dose.due_at is None else dose.due_at + delay
    if not closed and now < late_at:
        return Verdict.PENDING
    if any(p.overlaps(dose.window_from, dose.window_until) for p in non_monitored):
        return Verdict.UNKNOWN
    if closed:
        heard = heard_until is not None and heard_until >= dose.window_until
        return Verdict.MISSED if heard else Verdict.UNKNOWN
    if heard_until is not None and heard_until >= late_at:
        return Verdict.LATE
    return Verdict.PENDING if now < late_at + patience else Verdict.UNKNOWN


def default_windows(
    due: Sequence[datetime],
    *,
    share: float = WINDOW_SHARE,
    at_most: timedelta = WINDOW_MOST,
) -> list[tuple[datetime, datetime]]:
    """Return a window for each due instant, in the order given.

    It reaches `share` of the interval to the neighbouring dose on either side, at most
    `at_most`. The first and last dose use the interval they have, a single dose
    `at_most`; so give the neighbours of a stretch along with it.
    """
    moments = sorted(set(due))
    reach = [min(at_most, (b - a) * share) for a, b in pairwise(moments)]
    edge = [at_most] if len(moments) == 1 else []
    before = dict(zip(moments, reach[:1] + reach + edge, strict=True))
    after = dict(zip(moments, reach + reach[-1:] + edge, strict=True))
    return [(at - before[at], at + after[at]) for at in due]


def _excluded(
    ordered: Sequence[Dose[EventId]],
    doses: Sequence[Scheduled[DoseId]],
    debounce: timedelta,
    prime: PrimeRule | None,
) -> dict[EventId, EventLabel]:
    """Return the label of each event that cannot be a dose of its own."""
    said = ((e.id, EventLabel(e.label)) for e in ordered if e.label is not None)
    labels = {key: word for key, word in said if word != EventLabel.NO_MEASUREMENT}
    if prime is not None:
        labels |= dict.fromkeys(_primes(ordered, prime), EventLabel.PRIME)
    able = [event for event in ordered if event.id not in labels]
    devices = _debounced([e for e in able if not _is_word(e)], debounce)
    words = [
        word
        for word in able
        if _is_word(word)
        and not any(_same_dose(word, e, doses, debounce) for e in _near(word, devices))
    ]
    kept = {event.id for event in (*devices, *_debounced(words, debounce))}
    spare = (event.id for event in able if event.id not in kept)
    return labels | dict.fromkeys(spare, EventLabel.DUPLICATE)


def _is_word(event: Dose[EventId]) -> bool:
    return event.evidence == Evidence.SELF_REPORTED


def _debounced(
    ordered: Sequence[Dose[EventId]], debounce: timedelta
) -> list[Dose[EventId]]:
    """Return the events that are no echo of the last one that was kept."""
    kept: list[Dose[EventId]] = []
    for event in ordered:
        if not kept or event.at - kept[-1].at >= debounce:
            kept.append(event)
    return kept


def _near(
    word: Dose[EventId], devices: Sequence[Dose[EventId]]
) -> Sequence[Dose[EventId]]:
    """Return the records before and after it that are next to a person's word."""
    place = bisect_left(devices, word.at, key=lambda event: event.at)
    return devices[max(0, place - 1) : place + 1]


def _same_dose(
    word: Dose[EventId],
    record: Dose[EventId],
    doses: Sequence[Scheduled[DoseId]],
    debounce: timedelta,
) -> bool:
    """Return whether a word and a device's record beside it are of one dose."""
    apart = abs(word.at - record.at)
    first, last = sorted((word.at, record.at))
    return apart < debounce or (
        apart <= SAME_DOSE
        and any(
            dose.window_from <= first and last < dose.window_until for dose in doses
        )
    )


def _primes(ordered: Sequence[Dose[EventId]], rule: PrimeRule) -> list[EventId]:
    measured = [(e, e.amount) for e in ordered if e.amount is not None]
    return [
        event.id
        for at, (event, amount) in enumerate(measured)
        if amount <= rule.at_most
        and any(
            later.at - event.at <= rule.within and more > amount
            for later, more in measured[at + 1 : at + 4]
            if later.unit == event.unit
        )
    ]


def _dose_order(dose: Scheduled[DoseId]) -> tuple[datetime, datetime, str]:
    return dose.due_at or dose.window_from, dose.window_until, str(dose.id)


def _slot(dose: Scheduled[DoseId], times: Sequence[int]) -> _Slot:
    low = bisect_left(times, microseconds(dose.window_from))
    high = bisect_left(times, microseconds(dose.window_until), low)
    return _Slot(dose.due_at and microseconds(dose.due_at), low, high)


def _best(
    times: Sequence[int], slots: Sequence[_Slot], recorded: Sequence[bool]
) -> list[int | None]:
    """Return for each dose the index of its event, or None.

    values[j][i - lows[j]] is the worth of doses j.. with events i..: more matches
    always win, then more matches `recorded` by a device, then the least |dt|. Only the
    band of events that doses j.. can still use, and doses ..j could have used, is kept.
    """
    lows = list(accumulate((s.low for s in reversed(slots)), min))[::-1]
    highs = list(accumulate((s.high for s in slots), max))
    worth = _worths(times, slots, recorded)
    values: list[list[int]] = [[0]] * (len(slots) + 1)
    lows.append(len(times))
    for j in range(len(slots) - 1, -1, -1):
        low, after, after_low = lows[j], values[j + 1], lows[j + 1]
        skip = [_at(after, i - after_low) for i in range(low, highs[j] + 1)]
        best = -1
        for i in range(slots[j].high - 1, low - 1, -1):
            if i >= slots[j].low:
                taken = worth[j][i - slots[j].low]
                best = max(best, taken + _at(after, i + 1 - after_low))
            skip[i - low] = max(skip[i - low], best)
        values[j] = skip
    return _walk(slots, lows, values, worth)


def _worths(
    times: Sequence[int], slots: Sequence[_Slot], recorded: Sequence[bool]
) -> list[list[int]]:
    """Return for each dose what a match with each event of its window is worth."""
    costs = [_costs(times, slot) for slot in slots]
    unit = 1 + sum(max(each, default=0) for each in costs)
    match_is = unit * (len(slots) + 1)
    worth = [match_is + unit * by_device for by_device in recorded]
    return [
        [worth[slot.low + i] - cost for i, cost in enumerate(each)]
        for slot, each in zip(slots, costs, strict=True)
    ]


def _costs(times: Sequence[int], slot: _Slot) -> list[int]:
    due = slot.due
    if due is None:
        return [0] * (slot.high - slot.low)
    return [abs(at - due) for at in times[slot.low : slot.high]]


def _at(values: Sequence[int], index: int) -> int:
    """Return the value there; events before the band change nothing."""
    return values[max(0, index)] if index < len(values) else 0


def _walk(
    slots: Sequence[_Slot],
    lows: Sequence[int],
    values: Sequence[Sequence[int]],
    worth: Sequence[Sequence[int]],
) -> list[int | None]:
    """Return the optimum in which each dose in turn has its earliest event."""
    chosen: list[int | None] = []
    free = 0
    for j, slot in enumerate(slots):
        want = _at(values[j], free - lows[j])
        found = None
        for i in range(max(free, slot.low), slot.high):
            rest = _at(values[j + 1], i + 1 - lows[j + 1])
            if worth[j][i - slot.low] + rest == want:
                found, free = i, i + 1
                break
        chosen.append(found)
    return chosen


def _covered(count: int, slots: Sequence[_Slot]) -> list[bool]:
    """Return for each event whether it lies in the window of any dose."""
    steps = [0] * (count + 1)
    for slot in slots:
        steps[slot.low] += 1
        steps[slot.high] -= 1
    return [depth > 0 for depth in accumulate(steps[:count])]


def _leftover(event: Dose[EventId], *, covered: bool, recorded: bool) -> EventLabel:
    if event.label == EventLabel.NO_MEASUREMENT:
        return EventLabel.NO_MEASUREMENT
    if recorded and _is_word(event):
        return EventLabel.DUPLICATE
    return EventLabel.EXTRA if covered else EventLabel.UNMATCHED


def _dt(at: datetime, due_at: datetime | None) -> timedelta | None:
    return None if due_at is None else at - due_at


def _timing(dt: timedelta | None, on_time: timedelta) -> DoseLabel:
    if dt is None:
        return DoseLabel.UNTIMED_TAKEN
    if abs(dt) <= on_time:
        return DoseLabel.ON_TIME
    return DoseLabel.EARLY if dt < ZERO else DoseLabel.LATE
