"""Time zones by name, from the pinned database, and what their clocks do to a day."""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

import tzdata

from backend.regimens.timing import BadTiming

TZDB_VERSION = tzdata.IANA_VERSION
DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def zone_named(name: str) -> ZoneInfo:
    """Return the zone with exactly this IANA name; raises BadTiming without one."""
    if name not in _names():
        raise BadTiming(
            f"no time zone is called {name!r}; want a name like Europe/Paris"
        )
    return ZoneInfo(name)


def wall(at: datetime, zone: ZoneInfo) -> datetime:
    """Return what clocks on the wall of `zone` show at an instant, naive."""
    return at.astimezone(zone).replace(tzinfo=None)


def first_instant(local: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant at which clocks in `zone` show `local` or later, UTC.

    So a time in the gap of spring becomes the first valid instant after it, and a
    time in the repeated hour of autumn its first pass.
    """
    before = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if wall(before, zone) == local:
        return before
    # In a gap fold=0 reads `local` by the offset before it and so lands after it,
    # fold=1 the other way round: the change of offset lies between the two.
    low, high = local.replace(tzinfo=zone, fold=1).astimezone(UTC), before
    while high - low > SECOND:
        middle = low + (high - low) // SECOND // 2 * SECOND
        low, high = (low, middle) if wall(middle, zone) >= local else (middle, high)
    return high


def start_of(day: date, zone: ZoneInfo) -> datetime:
    """Return the first instant of a local day; the next day's if it does not exist."""
    return first_instant(datetime.combine(day, time()), zone)


def exists(day: date, zone: ZoneInfo) -> bool:
    """Tell whether clocks in `zone` ever showed this date (Apia never 2011-12-30)."""
    return wall(start_of(day, zone), zone).date() == day
