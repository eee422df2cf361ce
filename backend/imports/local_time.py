"""Clock times without an offset, as a file writes them, to instants.

A time that spring skips is the first valid instant after it; one that autumn repeats is
its first pass. In both cases the true instant may lie an hour off, and that is said.
"""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from backend.regimens.zones import first_instant, wall

HOUR_TEXT = 13  # characters of 2026-03-02T08
SEPARATORS = ("--T:", "-- :")  # its fifth, eighth, eleventh and fourteenth character
HOUR = timedelta(hours=1)
MICROSECOND = timedelta(microseconds=1)
EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 (local by contract)
EPOCH_UTC = EPOCH.replace(tzinfo=UTC)
FIRST_YEAR, LAST_YEAR = 1970, 2099  # years beyond are mistakes
MOST_HOURS = 200_000  # kept: more than twenty years


class Moment(NamedTuple):
    """A local time and its instant, both in microseconds from their 1970.

    `uncertain` when clocks changed in that hour.
    """

    local: int
    instant: int
    uncertain: bool


class LocalTimes:
    """Reads the times of one zone; what an hour's offset is, is looked up once."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._offsets: dict[str, int | None] = {}

    def read(self, text: str) -> Moment:
        """Return the moment that ISO text names; raises ValueError.

        Local without an offset; with one, the instant it names.
        """
        at = datetime.fromisoformat(text)
        if text[4:14:3] not in SEPARATORS:
            raise ValueError("want a date and a time")
        if not FIRST_YEAR <= at.year <= LAST_YEAR:
            raise ValueError("that year is out of range")
        if at.tzinfo is not None:
            return self._aware(at)
        local = (at - EPOCH) // MICROSECOND
        hour = text[:HOUR_TEXT]
        if hour in self._offsets:
            offset = self._offsets[hour]
        else:
            offset = self._look_up(hour, at)
        if offset is not None:
            return Moment(local, local - offset, uncertain=False)
        instant = first_instant(at, self._zone)
        ambiguous = (
            at.replace(tzinfo=self._zone).utcoffset()
            != at.replace(tzinfo=self._zone, fold=1).utcoffset()
        )
        return Moment(local, (instant - EPOCH_UTC) // MICROSECOND, ambiguous)

    def _aware(self, at: datetime) -> Moment:
        local = wall(at, self._zone)
        return Moment(
            (local - EPOCH) // MICROSECOND,
            (at - EPOCH_UTC) // MICROSECOND,
            uncertain=False,
        )

    def _look_up(self, hour: str, at: datetime) -> int | None:
        """Return the hour's offset from UTC, None when it changes near that hour."""
        starts = at.replace(minute=0, second=0, microsecond=0)
        seen = {
            edge.replace(tzinfo=self._zone, fold=fold).utcoffset()
            for edge in (starts, starts + HOUR)
            for fold in (0, 1)
        }
        offset = seen.pop() if len(seen) == 1 else None
        if len(self._offsets) >= MOST_HOURS:
            self._offsets.clear()
        self._offsets[hour] = None if offset is None else offset // MICROSECOND
        return self._offsets[hour]
