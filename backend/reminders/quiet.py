"""Quiet hours: the part of every local day in which nothing rings."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backend.errors import Unprocessable
from backend.regimens.zones import first_instant, wall

DAY = timedelta(days=1)
LONGEST = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class Quiet:
    """From one local time to another, over midnight when the second is earlier."""

    since: time
    until: time
    zone: ZoneInfo

    def span_at(self, at: datetime) -> tuple[datetime, datetime] | None:
        """Return when the quiet that holds at an instant began and ends, or None."""
        today = wall(at, self.zone).date()
        for day in (today - DAY, today):
            start, end = self._span(day)
            if start <= at < end:
                return start, end
        return None

    def next_start(self, at: datetime) -> datetime:
        """Return when it becomes quiet after an instant."""
        today = wall(at, self.zone).date()
        starts = (self._span(today + days * DAY)[0] for days in (-1, 0, 1, 2))
        return next(start for start in starts if start > at)

    def _span(self, day: date) -> tuple[datetime, datetime]:
        """Return the quiet that begins on a local day, as instants.

        A time that the clocks jump over is the first instant after it; of one that they
        show twice, quiet begins at the first and ends at the first.
        """
        over = DAY if self.until <= self.since else timedelta(0)
        start = first_instant(datetime.combine(day, self.since), self.zone)
        end = first_instant(datetime.combine(day + over, self.until), self.zone)
        return start, end


def checked(since: time, until: time) -> None:
    """Raise Unprocessable unless these are quiet hours: some, and at most 14."""
    length = timedelta(
        hours=until.hour - since.hour, minutes=until.minute - since.minute
    )
    if not timedelta(0) < length % DAY <= LONGEST:
        raise Unprocessable("Quiet hours last up to 14 hours, such as 22:00 to 07:00.")
