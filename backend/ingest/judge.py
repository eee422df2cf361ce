"""Whether a dose record can be used, or is kept raw and why.

A wrong clock quarantines a record, never rejects it: a box must always be emptiable.
"""

from datetime import UTC, datetime, timedelta

from backend.ingest.items import DoseItem

# A record may be a little ahead of us: clocks differ, and a demo's runs fast.
FUTURE = timedelta(minutes=10)
EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)  # no device we read is older
MOST_UNCERTAIN_S = 4 * 3600.0  # the widest window a dose can have by default
LIVE_WITHIN = timedelta(minutes=15)


def objection(item: DoseItem, *, now: datetime) -> str | None:
    """Return why this record cannot be used, None when it can.

    A strange amount is no reason: the dose was taken, and stock says what it cannot
    count.
    """
    if item.evidence is None:
        return "undecodable"
    return _wrong_time(item, now)


def believable(at: datetime | None, *, now: datetime) -> datetime | None:
    """Return the instant, or None where no device of ours can have recorded then."""
    return at if at is not None and EARLIEST <= at <= now + FUTURE else None


def is_live(item: DoseItem, *, now: datetime) -> bool:
    """Return whether this is happening now: claimed so, and received in time."""
    at = item.occurred_at
    return item.claimed_live and at is not None and abs(now - at) <= LIVE_WITHIN


def _wrong_time(item: DoseItem, now: datetime) -> str | None:
    at = item.occurred_at
    if at is None:
        return "no_time"
    if item.uncertainty_s > MOST_UNCERTAIN_S:
        return "time_uncertain"
    if at > now + FUTURE + timedelta(seconds=item.uncertainty_s):
        return "future_time"
    return "impossible_time" if at < EARLIEST else None
