"""When a device's battery will be empty, from the levels it told."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EMPTY_AT = 5.0  # percent: below it a radio does not start reliably
RENEWED_BY = 15.0  # points up at once: a new battery, or a charged one
FEWEST, SHORTEST, LEAST_FALL = 5, timedelta(days=7), 3.0
MOST = 200  # readings looked at, the last ones
FARTHEST = timedelta(days=3650)
Z_90 = 1.645  # two-sided 90 % band


@dataclass(frozen=True, slots=True)
class Reading:
    """A battery level in percent, and when it was told."""

    at: datetime
    percent: float


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the level reaches 5 %: expected, with a 90 % band; None: not in ten years.

    `per_day` is the expected fall in points a day. It was computed from `readings`
    levels told between `since` and `until`.
    """

    earliest: datetime
    expected: datetime
    latest: datetime | None
    per_day: float
    percent: float
    readings: int
    since: datetime
    until: datetime


def since_renewal(readings: Sequence[Reading]) -> list[Reading]:
    """Return, in order of time, the readings of the battery that is in use now."""
    ordered = sorted(readings, key=lambda reading: reading.at)
    start = 0
    for i in range(1, len(ordered)):
        if ordered[i].percent - ordered[i - 1].percent >= RENEWED_BY:
            start = i
    return ordered[start:]


def forecast(readings: Sequence[Reading]) -> Forecast | None:
    """Return when the battery in use will be empty, None where that cannot be said.

    A straight line through the present level with the Theil-Sen slope, which a few odd
    levels do not move, and its 90 % confidence limits; the level itself is the median
    of what the readings say of the last moment. Levels before the last rise by 15
    points or more are of another battery. Nothing is said from fewer than five, less
    than seven days or a fall of less than three points. At most the last 200 readings
    count; O(n^2) in them.
    Source: Sen 1968, doi:10.1080/01621459.1968.10480934, section 5.
    """
    used = since_renewal(readings)[-MOST:]
    if len(used) < FEWEST or used[-1].at - used[0].at < SHORTEST:
        return None
    end = used[-1].at
    days = np.array([(r.at - end) / timedelta(days=1) for r in used])
    levels = np.array([r.percent for r in used])
    slopes = _slopes(days, levels)
    slope = float(np.median(slopes))
    if -slope * -days[0] < LEAST_FALL:
        return None
    low, high = _band(slopes, len(used))
    level = float(np.median(levels - slope * days))
    earliest, expected = _empty(end, level, low), _empty(end, level, slope)
    if earliest is None or expected is None:
        return None
    return Forecast(
        earliest=earliest,
        expected=expected,
        latest=_empty(end, level, high),
        per_day=-slope,
        percent=level,
        readings=len(used),
        since=used[0].at,
        until=end,
    )


def _slopes(days: Floats, levels: Floats) -> Floats:
    """Return the slopes between all pairs of readings at different times, ascending."""
    first, second = np.triu_indices(len(days), 1)
    apart = days[second] - days[first]
    distinct = apart > 0
    rises = (levels[second] - levels[first])[distinct]
    return np.sort(rises / apart[distinct])


def _band(slopes: Floats, readings: int) -> tuple[float, float]:
    """Return the limits of the slope: its order statistics, by the variance of S."""
    spread = Z_90 * (readings * (readings - 1) * (2 * readings + 5) / 18) ** 0.5
    count = len(slopes)
    low = int(max(0, np.floor((count - spread) / 2)))
    high = int(min(count - 1, np.ceil((count + spread) / 2)))
    return float(slopes[low]), float(slopes[high])


def _empty(end: datetime, level: float, slope: float) -> datetime | None:
    """Return when a line from `level` at `end` reaches the empty level."""
    if level <= EMPTY_AT:
        return end
    if slope >= 0:
        return None
    days = (level - EMPTY_AT) / -slope
    return end + timedelta(days=days) if days <= FARTHEST.days else None
