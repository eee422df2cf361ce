"""A heart rate a minute for somebody who does not exist.

Everything is drawn by local day and night from the seed, so that any two spans agree
where they overlap: a past delivered as an export and the days that follow are one life.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

import numpy as np
from numpy.typing import NDArray

from analytics.records import Series, microseconds

Floats = NDArray[np.float64]

DAY = timedelta(days=1)
MINUTES = 1440
PER_MINUTE = 60_000_000  # microseconds
MARGIN = 240  # minutes computed beyond each end, so that kernels do not see it
DRIFT = 0.8 ** np.arange(21)  # a day's level leans on the three weeks before
WOBBLE = 0.9 ** np.arange(60)  # a minute's on the hour before
RECOVERY = 8.0  # minutes in which two thirds of an effort are gone
LOWEST, HIGHEST = 35.0, 205.0


@dataclass(frozen=True, slots=True)
class HeartRate:
    """A heart's parameters in /min; `steps` shift everything from a moment on.

    `drift` is the SD of the day's level, which makes real baselines wander; `wear` the
    share of days on which the wearable is worn at all.
    """

    base: float = 66.0
    sleep: float = 56.0
    noise: float = 3.0
    steps: tuple[tuple[datetime, float], ...] = ()
    drift: float = 1.5
    wear: float = 0.95

    def as_plan(self) -> dict[str, object]:
        """Return what a virtual wearable needs to know, ready for JSON."""
        steps = [[at.isoformat(), delta] for at, delta in self.steps]
        level = {"base": self.base, "sleep": self.sleep, "noise": self.noise}
        return {**level, "steps": steps}


@dataclass(frozen=True, slots=True)
class _LocalDay:
    """One local day in UTC minutes since 1970."""

    midnight: int
    asleep: tuple[int, int]  # the night that ends on this day
    level: float
    bouts: tuple[tuple[int, int, float], ...]  # from, until, height
    off: tuple[tuple[int, int], ...]  # not worn


def heart_rate_minutes(
    first: datetime,
    last: datetime,
    *,
    heart: HeartRate,
    seed: int,
    zone: tzinfo = UTC,
) -> Series:
    """Return whole beats a minute at each full minute of first <= t < last when worn.

    Sleep, a slow circadian wave, bouts of activity, correlated noise, wandering days,
    charging and days without the wearable. 90 days take about 0.1 s.
    """
    low = -(-microseconds(first) // PER_MINUTE)
    high = -(-microseconds(last) // PER_MINUTE)
    if high <= low:
        return Series.of([])
    minutes = np.arange(low - MARGIN, high + MARGIN)
    since, count = first.astimezone(zone).date() - 2 * DAY, (last - first).days + 5
    days = [_local_day(since + n * DAY, heart, seed, zone) for n in range(count)]
    asleep = _smooth(_marked(minutes, [day.asleep for day in days]))
    awake = heart.base + 3.0 * _circadian(minutes, days)
    beats = awake + asleep * (heart.sleep - awake)
    beats += _levels(minutes, days) + heart.noise * _noise(minutes, seed)
    beats += _effort(minutes, [bout for day in days for bout in day.bouts])
    beats += _stepped(minutes, heart.steps)
    off = _marked(minutes, [gap for day in days for gap in day.off])
    kept = slice(MARGIN, len(minutes) - MARGIN)
    worn = off[kept] == 0
    values = np.rint(np.clip(beats[kept], LOWEST, HIGHEST))
    return Series(minutes[kept][worn] * PER_MINUTE, values[worn])


def _local_day(day: date, heart: HeartRate, seed: int, zone: tzinfo) -> _LocalDay:
    random = np.random.default_rng([seed, day.toordinal()])
    midnight = _utc_minute(day, zone)
    to_bed, up = random.normal([-45.0, 405.0], [35.0, 35.0])
    asleep = midnight + round(float(to_bed)), midnight + round(float(up))
    bouts: list[tuple[int, int, float]] = []
    for start, length, height in random.random((3, 3)).tolist():
        begin = midnight + 480 + round(780 * start)
        bouts.append((begin, begin + 8 + round(32 * length), 12 + 50 * height**2))
    worn, charged = random.random(2).tolist()
    charging = midnight + 1110 + round(120 * charged)
    off = [(charging, charging + 50)] if day.toordinal() % 2 else []
    if worn >= heart.wear:
        off.append((midnight - 240, midnight + MINUTES - 240))
    level = _level(day, heart, seed)
    return _LocalDay(midnight, asleep, level, tuple(bouts), tuple(off))


def _level(day: date, heart: HeartRate, seed: int) -> float:
    past = range(day.toordinal(), day.toordinal() - len(DRIFT), -1)
    draws = [np.random.default_rng([seed, d, 1]).standard_normal() for d in past]
    return heart.drift * float(DRIFT @ draws / np.sqrt((DRIFT**2).sum()))


def _utc_minute(day: date, zone: tzinfo) -> int:
    midnight = datetime.combine(day, time(), tzinfo=zone)
    return microseconds(midnight) // PER_MINUTE


def _marked(
    minutes: NDArray[np.int64], spans: Sequence[tuple[int, int]]
) -> NDArray[np.float64]:
    """Return 1.0 for each minute that lies in any span, else 0.0."""
    marks = np.zeros(len(minutes))
    for start, until in spans:
        marks[max(0, start - minutes[0]) : max(0, until - minutes[0])] = 1.0
    return marks


def _smooth(marks: Floats) -> Floats:
    return np.convolve(marks, np.full(31, 1 / 31), mode="same")


def _circadian(minutes: NDArray[np.int64], days: Sequence[_LocalDay]) -> Floats:
    """Return a wave of -1 to 1 that peaks at 16:00 local."""
    midnights = np.array([day.midnight for day in days])
    place = np.searchsorted(midnights, minutes, side="right") - 1
    local = minutes - midnights[np.maximum(place, 0)]
    return np.cos((local - 960) * (2 * np.pi / MINUTES))


def _levels(minutes: NDArray[np.int64], days: Sequence[_LocalDay]) -> Floats:
    """Return each minute's day level; it changes in the evening, before sleep."""
    begins = np.array([day.asleep[0] - 120 for day in days])
    place = np.searchsorted(begins, minutes, side="right") - 1
    return np.array([day.level for day in days])[np.maximum(place, 0)]


def _noise(minutes: NDArray[np.int64], seed: int) -> Floats:
    """Return correlated noise of SD 1, the same for a minute in whatever span."""
    first, last = (minutes[0] - len(WOBBLE)) // MINUTES, minutes[-1] // MINUTES
    blocks = [
        np.random.default_rng([seed, int(block), 2]).standard_normal(MINUTES)
        for block in range(first, last + 1)
    ]
    wobble: Floats = WOBBLE / np.sqrt((WOBBLE**2).sum())
    series: Floats = np.convolve(np.concatenate(blocks), wobble).astype(np.float64)
    at = int(minutes[0] - first * MINUTES)
    return series[at : at + len(minutes)]


def _effort(
    minutes: NDArray[np.int64], bouts: Sequence[tuple[int, int, float]]
) -> Floats:
    """Return the beats that activity adds, fading after each bout."""
    added = np.zeros(len(minutes))
    for start, until, height in bouts:
        low = max(0, start - int(minutes[0]))
        part = minutes[low : max(0, until + 40 - int(minutes[0]))]
        rise = 1 - np.exp(-(np.minimum(part, until) - start + 1) / 3.0)
        fall = np.exp(-np.maximum(part - until, 0) / RECOVERY)
        added[low : low + len(part)] += height * rise * fall
    return added


def _stepped(
    minutes: NDArray[np.int64], steps: Sequence[tuple[datetime, float]]
) -> Floats:
    added = np.zeros(len(minutes))
    for at, delta in steps:
        added[minutes >= microseconds(at) // PER_MINUTE] += delta
    return added
