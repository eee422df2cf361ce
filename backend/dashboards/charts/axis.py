"""What a timeline shows, and the local time axis on which it lies."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backend.dashboards.charts.chart import Spec
from backend.dashboards.charts.palette import DoseState

DAY = timedelta(days=1)


@dataclass(frozen=True)
class DoseMark:
    """A dose drawn where it was taken, or where it was due if it was not."""

    at: datetime
    state: DoseState


@dataclass(frozen=True)
class Window:
    """When a scheduled dose counts as on time."""

    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True)
class Span:
    """From when until when a device was not heard."""

    start: datetime
    until: datetime


@dataclass(frozen=True)
class HeartRateBin:
    """Beats a minute from `start` until `until`: median, 5th and 95th percentile."""

    start: datetime
    until: datetime
    low: float
    median: float
    high: float


@dataclass(frozen=True)
class TimeAxis:
    """Local wall time, written as if it were UTC, so that no process zone matters.

    On a day of 23 or 25 hours one hour is left out or drawn twice over.
    """

    first: datetime
    last: datetime
    zone: ZoneInfo
    day_starts: time

    def wall(self, at: datetime) -> datetime:
        return at.astimezone(self.zone).replace(tzinfo=UTC)

    def x(self, at: datetime) -> str:
        return self.wall(min(max(at, self.first), self.last)).isoformat()

    def dose_day(self, at: datetime) -> date:
        return (self.wall(at) - self._offset()).date()

    def hour(self, at: datetime) -> float:
        """Return hours since midnight of the dose-day: 25.5 is half past one."""
        wall = self.wall(at)
        midnight = datetime.combine(self.dose_day(at), time(), UTC)
        return round((wall - midnight) / timedelta(hours=1), 3)

    def encoding(self, *, labels: bool, ticks: int) -> Spec:
        span = self.last - self.first
        form = (
            "%H:%M" if span <= 2 * DAY else "%a %-d %b" if span <= 8 * DAY else "%-d %b"
        )
        axis: Spec = {
            "format": form,
            "tickCount": self._ticks(ticks),
            "title": None,
            "labels": labels,
            "ticks": labels,
            "labelOverlap": True,
        }
        domain = [self.x(self.first), self.x(self.last)]
        return {
            "field": "x",
            "type": "temporal",
            "scale": {"type": "utc", "domain": domain},
            "axis": axis,
        }

    def _ticks(self, most: int) -> Spec | int:
        """Return ticks at midnights where a label names a day, so that none doubles."""
        if not 2 * DAY < self.last - self.first <= 8 * DAY:
            return most
        return {"interval": "day", "step": 1 if most > 8 else 2}

    def _offset(self) -> timedelta:
        return timedelta(hours=self.day_starts.hour, minutes=self.day_starts.minute)
