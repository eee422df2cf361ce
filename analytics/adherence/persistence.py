"""Initiation and persistence: how long until the first dose, and from it to the last.

The phases of the ABC taxonomy (Vrijens et al. 2012,
doi:10.1111/j.1365-2125.2012.04167.x). A cohort is one row a person and one column a
dose-day since that person's first dose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from analytics.adherence.measure import LEVEL, Floats, Parameters

GAP = 30  # dose-free days after which somebody is held to have stopped

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Doses `taken` and `expected`, and whether the day is `known`: people by days.

    Day 0 is that of the first dose. A day is unknown where it was not monitored and
    after the follow-up of that person. Raises ValueError unless all have one shape and
    everybody took a dose on a known day 0.
    """

    taken: Ints
    expected: Ints
    known: Bools

    def __post_init__(self) -> None:
        shapes = {self.taken.shape, self.expected.shape, self.known.shape}
        if len(shapes) != 1 or self.taken.ndim != 2 or not self.taken.shape[1]:
            raise ValueError(f"want people by days in one shape, got {shapes}")
        if not ((self.taken > 0) & self.known)[:, 0].all():
            raise ValueError("day 0 is that of the first dose: everybody took one")

    @classmethod
    def daily(cls, taken: Bools, known: Bools) -> "Cohort":
        """Return a cohort of one dose a day."""
        return cls(taken.astype(np.int64), np.ones(taken.shape, dtype=np.int64), known)

    @property
    def implemented(self) -> Bools:
        """Whether at least the expected doses were taken, on known days with any."""
        return (self.taken >= self.expected) & self.counts

    @property
    def counts(self) -> Bools:
        return self.known & (self.expected > 0)


@dataclass(frozen=True, slots=True)
class Phases:
    """For each person: the last dose, how long persistence is known, how it ended.

    `duration` is days from the first dose until discontinuation, the day after the last
    dose, or until `gap` known days before the end, beyond which nobody can be seen to
    have stopped.
    """

    last_dose: Ints
    duration: Ints
    discontinued: Bools
    gap: int

    def engaged(self, days: int) -> Bools:
        """Return who is known to be engaged on each of so many days."""
        day = np.arange(days)
        last = np.where(self.discontinued, self.last_dose, self.duration)
        return day[None, :] <= last[:, None]


def phases(cohort: Cohort, *, gap: int = GAP) -> Phases:
    """Return each person's phases; who stays without a dose for `gap` known days up to
    the end has discontinued after the last dose.

    Raises ValueError for a gap below 1.
    """
    if gap < 1:
        raise ValueError(f"want a gap of 1 day or more, got {gap}")
    days = cohort.taken.shape[1]
    took = (cohort.taken > 0) & cohort.known
    last: Ints = (days - 1 - np.argmax(took[:, ::-1], axis=1)).astype(np.int64)
    left = np.cumsum(cohort.known[:, ::-1], axis=1)[:, ::-1]  # known days from here on
    ahead: Ints = (left >= gap).sum(axis=1).astype(np.int64)
    seen = np.maximum(ahead - 1, 0)  # the last day with a gap ahead
    stopped = last + 1 <= seen
    duration: Ints = np.where(stopped, last + 1, seen)
    return Phases(last, duration, stopped, gap)


@dataclass(frozen=True, slots=True)
class Curve:
    """A share by day with a pointwise band; NaN where nobody is left to tell.

    `people` is how many each day rests on.
    """

    name: str
    value: Floats
    low: Floats
    high: Floats
    people: Ints
    method: str
    level: float = LEVEL
    parameters: Parameters = field(default_factory=dict[str, float | str])

    def first_at_most(self, share: float) -> int | None:
        """Return the first day on which the curve is at most `share`, as its median."""
        reached = np.flatnonzero(self.value <= share)
        return int(reached[0]) if len(reached) else None


def kaplan_meier(
    duration: Ints,
    ended: Bools,
    days: int,
    *,
    name: str = "persistence",
    transform: str = "log-log",
    level: float = LEVEL,
    parameters: Parameters | None = None,
) -> Curve:
    """Return the share that has not `ended` by each day 0..`days` - 1.

    Greenwood's variance, on the log(-log) scale unless `transform` is plain
    (Kalbfleisch and Prentice 2002, 1.4). At risk at time u is whose duration is u or
    more.
    Raises ValueError for another transform.
    """
    if transform not in {"log-log", "plain"}:
        raise ValueError(f"want log-log or plain, got {transform}")
    at_risk, events = _at_risk(duration, ended, days)
    left = at_risk - events
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(at_risk > 0, left / at_risk, 1.0)
        steps = np.where(events > 0, events / (at_risk * left), 0.0)
    value: Floats = np.cumprod(factor, dtype=np.float64)
    value[(at_risk == 0) & (value > 0)] = np.nan
    spread = np.cumsum(steps)  # Greenwood: var S = S² · this
    z = NormalDist().inv_cdf((1 + level) / 2)
    band = _plain if transform == "plain" else _log_log
    with np.errstate(divide="ignore", invalid="ignore"):
        low, high = band(value, spread, z)
    told = {"variance": "Greenwood", "transform": transform, **(parameters or {})}
    people = at_risk.astype(np.int64)
    return Curve(name, value, low, high, people, "Greenwood", level, told)


def persistence(
    cohort: Cohort, *, gap: int = GAP, transform: str = "log-log", level: float = LEVEL
) -> Curve:
    """Return the share still engaged on each day since initiation, by Kaplan-Meier."""
    found = phases(cohort, gap=gap)
    return kaplan_meier(
        found.duration,
        found.discontinued,
        cohort.taken.shape[1],
        transform=transform,
        level=level,
        parameters={"gap_d": float(gap)},
    )


def initiation(
    days_to_first_dose: Sequence[int | None],
    followed_for: Sequence[int],
    *,
    level: float = LEVEL,
) -> Curve:
    """Return the share that has taken a first dose by each day since prescription.

    None: no dose within the days that person was `followed_for`. One less Kaplan-Meier.
    """
    pairs = list(zip(days_to_first_dose, followed_for, strict=True))
    started = np.array([first is not None for first, _ in pairs], dtype=bool)
    until = np.array([f if f is not None else n for f, n in pairs], dtype=np.int64)
    days = int(max(followed_for, default=0)) + 1
    not_yet = kaplan_meier(until, started, days, level=level, name="initiation")
    return Curve(
        "initiation",
        1 - not_yet.value,
        1 - not_yet.high,
        1 - not_yet.low,
        not_yet.people,
        not_yet.method,
        level,
        not_yet.parameters,
    )


def _at_risk(duration: Ints, ended: Bools, days: int) -> tuple[Floats, Floats]:
    """Return how many are at risk and how many end at each day."""
    inside = np.minimum(duration, days)
    leaving = np.bincount(inside, minlength=days + 1)[: days + 1]
    at_risk = len(duration) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    events = np.bincount(inside[ended], minlength=days + 1)
    return at_risk[:days].astype(float), events[:days].astype(float)


def _plain(value: Floats, spread: Floats, z: float) -> tuple[Floats, Floats]:
    half = np.where(value == 0, 0.0, z * value * np.sqrt(spread))
    return np.clip(value - half, 0, 1), np.clip(value + half, 0, 1)


def _log_log(value: Floats, spread: Floats, z: float) -> tuple[Floats, Floats]:
    """Return value^exp(±z·se of log(-log)); where nobody ended the value itself."""
    log = np.log(value)
    wide = np.exp(z * np.sqrt(spread) / np.abs(log))
    low, high = value**wide, value ** (1 / wide)
    sure = (value >= 1) | (value <= 0) | ~np.isfinite(wide)
    return np.where(sure, value, low), np.where(sure, value, high)


def standard_error(p: float, n: int) -> float:
    """Return the Monte-Carlo error of a share `p` found in `n` draws."""
    return sqrt(p * (1 - p) / n)
