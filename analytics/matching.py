"""Dose events to scheduled doses: on time, early, late, missed, extra, unknown.

Raw events are never changed or dropped; they get a label. The match is the
order-preserving optimum: as many matches as possible, then the least sum of |dt|;
of equals the one that gives the earlier dose the earlier event (ADR 0020). Of what a
device recorded and a person said of one dose, the device's record counts (ADR 0024).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Generic

from analytics.exclusion import excluded, is_word
from analytics.labels import (
    DEBOUNCE,
    ON_TIME,
    WINDOW_MOST,
    WINDOW_SHARE,
    DoseLabel,
    EventLabel,
    Override,
    PrimeRule,
    Verdict,
    in_force,
)
from analytics.optimum import best, covered, slot
from analytics.records import (
    Dose,
    DoseId,
    EventId,
    Period,
    Scheduled,
    microseconds,
)

ZERO = timedelta(0)


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


def match(
    events: Iterable[Dose[EventId]],
    scheduled: Iterable[Scheduled[DoseId]],
    *,
    on_time: timedelta = ON_TIME,
    debounce: timedelta = DEBOUNCE,
    prime: PrimeRule | None = None,
    overrides: Iterable[Override[EventId]] = (),
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
    `overrides` say over device and rule what an event was; what is said to be a dose,
    or taken from a pocket, is no duplicate and matches if a window holds it.
    O(n log n + n·k) for k events a window. Raises ValueError on a label unknown here.
    """
    ordered = in_order(events, overrides)
    doses = sorted(scheduled, key=_dose_order)
    labels = excluded(ordered, doses, debounce, prime)
    kept = [event for event in ordered if event.id not in labels]
    times = [microseconds(event.at) for event in kept]
    slots = [slot(dose, times) for dose in doses]
    by_device = [not is_word(event) for event in kept]
    chosen = best(times, slots, by_device)
    pairs = tuple(
        Pair(kept[at].id, dose.id, _dt(kept[at].at, dose.due_at))
        for dose, at in zip(doses, chosen, strict=True)
        if at is not None
    )
    inside = covered(len(kept), slots)
    matched = [
        each
        for each, at in zip(slots, chosen, strict=True)
        if at is not None and by_device[at]
    ]
    recorded = covered(len(kept), matched)
    for at, event in enumerate(kept):
        labels[event.id] = _leftover(event, covered=inside[at], recorded=recorded[at])
    for at in chosen:
        if at is not None and kept[at].label != EventLabel.POCKET:
            labels[kept[at].id] = EventLabel.THERAPEUTIC
    dose_labels = dict.fromkeys((dose.id for dose in doses), DoseLabel.OPEN)
    for pair in pairs:
        dose_labels[pair.dose] = _timing(pair.dt, on_time)
    return Matching(pairs, labels, dose_labels)


def in_order(
    events: Iterable[Dose[EventId]], overrides: Iterable[Override[EventId]] = ()
) -> list[Dose[EventId]]:
    """Return the events by time, each with the label that is said of it at last."""
    said = in_force(overrides)
    ordered = sorted(
        (
            replace(event, label=said[event.id] or event.label)
            if event.id in said
            else event
            for event in events
        )
        if said
        else events,
        key=lambda event: event.at,
    )
    if any(one.at == other.at for one, other in pairwise(ordered)):
        ordered.sort(key=lambda event: (event.at, str(event.id)))
    return ordered


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


def _dose_order(dose: Scheduled[DoseId]) -> tuple[datetime, datetime, str]:
    return dose.due_at or dose.window_from, dose.window_until, str(dose.id)


def _leftover(event: Dose[EventId], *, covered: bool, recorded: bool) -> EventLabel:
    if event.label in (EventLabel.NO_MEASUREMENT, EventLabel.POCKET):
        return EventLabel(event.label)
    if recorded and is_word(event):
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
