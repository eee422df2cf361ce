"""The definitions of dispensing measures as they are written, one patient at a time.

Slow and obvious, in fractions, to hold the vectorised code against. It follows the
formulas of docs/adherence.md and shares no code with what it tests.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

Day = Fraction | int
Value = Fraction | None
Definition = Callable[[Sequence["Event"], "Span", "Carry"], Value]


@dataclass(frozen=True)
class Event:
    day: int  # since 1970-01-01
    supply: Fraction
    medication: int = 0
    dose: int = 1


@dataclass(frozen=True)
class Carry:
    within: bool = True
    same_only: bool = False
    dosage: bool = False


@dataclass(frozen=True)
class Span:
    """Follow-up from `fs` to `fe`, observation from `os` to `oe`."""

    fs: Day
    fe: Day
    os: Day
    oe: Day


@dataclass(frozen=True)
class Followed:
    """An event with its interval, its gap and what was carried into it."""

    event: Event
    interval: Day
    gap: Day
    carried: Day

    @property
    def end(self) -> Day:
        return self.event.day + self.event.supply + self.carried


def after(day: int, amount: float, unit: str) -> int:
    """Return a day so much later, counting months by their names."""
    if unit in ("days", "weeks"):
        return day + round(amount * (7 if unit == "weeks" else 1))
    at = date(1970, 1, 1) + timedelta(days=day)
    months = at.year * 12 + at.month - 1
    months += round(amount) * (12 if unit == "years" else 1)
    for wanted in range(at.day, 27, -1):
        try:
            found = date(months // 12, months % 12 + 1, wanted)
        except ValueError:
            continue
        break
    else:
        found = date(months // 12, months % 12 + 1, at.day)
    late = found.day < at.day  # no such date: the first of the next month
    return (found - date(1970, 1, 1)).days + late


def follow(events: Sequence[Event], end: Day, carry: Carry) -> list[Followed]:
    """Return events with what follows; the last one's interval ends at `end`."""
    found: list[Followed] = []
    carried: Day = 0
    for n, event in enumerate(events):
        then = events[n + 1] if n + 1 < len(events) else None
        interval = (then.day if then else end) - event.day
        missing = interval - event.supply - carried
        found.append(Followed(event, interval, max(0, missing), carried))
        carried = max(0, -missing) if carry.within else 0
        if then and carry.same_only and then.medication != event.medication:
            carried = 0
        elif then and carry.dosage:
            carried = carried * Fraction(event.dose, then.dose)
    return found


def selected(events: Sequence[Event], span: Span, *, into: bool) -> list[Event]:
    begin = span.fs if into else max(span.fs, span.os)
    return [e for e in events if begin <= e.day <= min(span.fe, span.oe)]


def cma1(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    seen = selected(events, span, into=False)
    if len(seen) < 2 or seen[0].day == seen[-1].day:
        return None
    supply = sum((e.supply for e in seen[:-1]), Fraction())
    return supply / (seen[-1].day - seen[0].day)


def cma2(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    seen = selected(events, span, into=False)
    if not seen or seen[0].day == span.oe:
        return None
    return sum((e.supply for e in seen), Fraction()) / (span.oe - seen[0].day)


def capped(measure: Definition) -> Definition:
    def cap(events: Sequence[Event], span: Span, carry: Carry) -> Value:
        value = measure(events, span, carry)
        return None if value is None else min(Fraction(1), value)

    return cap


def cma5(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    seen = follow(selected(events, span, into=False), span.oe, carry)
    if len(seen) < 2 or seen[0].event.day == seen[-1].event.day:
        return None
    days = seen[-1].event.day - seen[0].event.day
    return 1 - Fraction(sum(one.gap for one in seen[:-1])) / days


def cma6(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    seen = follow(selected(events, span, into=False), span.oe, carry)
    if not seen or seen[0].event.day == span.oe:
        return None
    gaps = Fraction(sum(one.gap for one in seen))
    return 1 - gaps / (span.oe - seen[0].event.day)


def cma7(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    seen = follow(selected(events, span, into=True), span.oe, carry)
    before = [one for one in seen if one.event.day < span.os]
    inside = [one for one in seen if one.event.day >= span.os]
    days = Fraction(span.oe - span.os)
    if days <= 0:
        return None
    if not inside:
        if not before:
            return None
        return 1 - before[-1].gap / days if before[-1].gap <= days else Fraction(0)
    until_first = inside[0].event.day - span.os
    first_gap = min(before[-1].gap, until_first) if before else until_first
    return 1 - (sum(one.gap for one in inside) + first_gap) / days


def cma8(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    seen = follow(selected(events, span, into=True), span.oe, carry)
    ends = [one.end for one in seen if one.event.day < span.os]
    start = max([span.os, *ends])
    if start >= span.oe:
        return None  # oversupplied
    return cma7(events, Span(span.fs, span.fe, start, span.oe), carry)


def cma9(events: Sequence[Event], span: Span, carry: Carry) -> Value:
    whole = Span(span.fs, span.fe, span.fs, span.fe)
    seen = follow(selected(events, whole, into=True), span.fe, carry)
    if not any(one.event.day <= span.oe for one in seen) or span.oe <= span.os:
        return None
    total = Fraction()
    for one in seen:
        if one.interval > 0:
            begin = max(one.event.day, span.os)
            end = min(one.event.day + one.interval, span.oe)
            ratio = 1 - Fraction(one.gap) / one.interval
            total += ratio * max(0, end - begin)
    return total / (span.oe - span.os)


MEASURES: dict[str, Definition] = {
    "CMA1": cma1,
    "CMA2": cma2,
    "CMA3": capped(cma1),
    "CMA4": capped(cma2),
    "CMA5": cma5,
    "CMA6": cma6,
    "CMA7": cma7,
    "CMA8": cma8,
    "CMA9": cma9,
}


@dataclass(frozen=True)
class Episode:
    start: int
    gap: Day
    end: Day


@dataclass(frozen=True)
class EndsBy:
    """What ends an episode: `days` of gap or a share of the supply before, a change."""

    days: Fraction | None
    share: Fraction | None
    medication: bool
    dosage: bool
    append: bool

    def permits(self, event: Event) -> Fraction:
        if self.share is not None:
            return self.share * event.supply
        assert self.days is not None
        return self.days


def episodes(
    events: Sequence[Event], span: Span, ends: EndsBy, carry: Carry
) -> list[Episode]:
    whole = Span(span.fs, span.fe, span.fs, span.fe)
    seen = follow(selected(events, whole, into=True), span.fe, carry)
    found: list[Episode] = []
    start: int | None = None
    for one, then in pairwise([*seen, None]):
        assert one is not None
        start = one.event.day if start is None else start
        permitted = ends.permits(one.event)
        until = one.event.day + one.interval
        if then is None:
            end = until if one.gap <= permitted else until - one.gap
        elif (
            one.gap > permitted
            or (ends.medication and one.event.medication != then.event.medication)
            or (ends.dosage and one.event.dose != then.event.dose)
        ):
            end = until - one.gap
        else:
            continue
        if ends.append:
            end = until - max(0, one.gap - permitted)
        found.append(Episode(start, one.gap, end))
        start = None
    return found


def per_episode(
    events: Sequence[Event], span: Span, ends: EndsBy, carry: Carry, measure: str
) -> list[tuple[int, Day, Day, Value]]:
    """Return number, start, end and value of every episode that is observed."""
    if measure in ("CMA1", "CMA2", "CMA3", "CMA4"):
        carry_of_episodes = Carry(within=False)
    else:
        carry_of_episodes = carry
    found: list[tuple[int, Day, Day, Value]] = []
    all_of_them = episodes(events, span, ends, carry_of_episodes)
    for n, one in enumerate(all_of_them, 1):
        begin, end = max(one.start, span.os), min(one.end, span.oe)
        if begin >= end:
            continue
        own = [
            e
            for e in events
            if one.start <= e.day < one.end
            or (n == len(all_of_them) and e.day == one.end == span.fe)
        ]
        fe = one.start + round(one.end - one.start)
        oe = min(fe, begin + round(end - begin))
        value = MEASURES[measure](own, Span(one.start, fe, begin, oe), carry)
        found.append((n, begin, end, value))
    return found


def sliding(
    events: Sequence[Event],
    span: Span,
    window: int,
    step: Fraction,
    carry: Carry,
    measure: str,
) -> list[tuple[Day, Day, Value]]:
    """Return start, end and value of every window that fits."""
    found: list[tuple[Day, Day, Value]] = []
    n = 0
    while n * step + window <= span.oe - span.os:
        begin = span.os + round(n * step)
        end = begin + window
        value = MEASURES[measure](events, Span(span.fs, span.fe, begin, end), carry)
        found.append((begin, end, value))
        n += 1
    return found
