"""Doses as needed held to their limits: real time, whatever clocks do.

A dose counts in the 24 hours that begin with it: at most `most_in_24_hours` of them lie
in any span (t - 24 h, t], and each comes `least_interval` or more after the one before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fractions import Fraction

from backend.regimens.timing import AsNeeded

ROLLING = timedelta(hours=24)  # of real time: a day of 23 hours is none


class Limit(StrEnum):
    """Which limit a dose went beyond."""

    TOO_SOON = "too_soon"
    TOO_MANY = "too_many"


@dataclass(frozen=True, slots=True)
class Taken:
    """A dose that was taken; `doses` is how many prescribed ones it amounts to."""

    at: datetime
    doses: Fraction = Fraction(1)


def beyond(guard: AsNeeded, taken: Sequence[Taken], at: datetime) -> tuple[Limit, ...]:
    """Return the limits that the last dose at or before `at` went beyond.

    `taken` is ascending and holds the doses of the 24 hours, or of the least interval
    where that is longer, before it.
    """
    past = [one for one in taken if one.at <= at]
    if not past:
        return ()
    *before, last = past
    found: list[Limit] = []
    apart = guard.least_interval
    if apart and before and last.at - before[-1].at < apart:
        found.append(Limit.TOO_SOON)
    if guard.most_in_24_hours and in_24_hours(past, last.at) > guard.most_in_24_hours:
        found.append(Limit.TOO_MANY)
    return tuple(found)


def in_24_hours(taken: Sequence[Taken], at: datetime) -> Fraction:
    """Return how many doses lie in the 24 hours that end at an instant."""
    start = Fraction(0)
    return sum((one.doses for one in taken if at - ROLLING < one.at <= at), start)


def free_at(guard: AsNeeded, taken: Sequence[Taken], at: datetime) -> datetime:
    """Return the first instant from `at` on at which one more dose is within limits."""
    past = [one for one in taken if one.at <= at]
    earliest = at
    if guard.least_interval and past:
        earliest = max(at, past[-1].at + guard.least_interval)
    if guard.most_in_24_hours is None:
        return earliest
    # The count falls only where a dose leaves the span.
    moments = [earliest, *(one.at + ROLLING for one in past)]
    return next(
        moment
        for moment in sorted(moments)
        if moment >= earliest
        and in_24_hours(past, moment) + 1 <= guard.most_in_24_hours
    )
