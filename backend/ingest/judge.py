"""Whether a dose record can be used, or is kept raw and why.

A wrong clock or a strange value quarantines a record, never rejects it: a box must
always be emptiable.
"""

from datetime import UTC, datetime, timedelta

from backend.ingest.items import DoseItem

# A record may be a little ahead of us: clocks differ, and a demo's runs fast.
FUTURE = timedelta(minutes=10)
EARLIEST = datetime(2010, 1, 1, tzinfo=UTC)  # no device we read is older
MOST_UNCERTAIN_S = 4 * 3600.0  # the widest window a dose can have by default
UNITS = frozenset({"[iU]", "mL", "uL", "mg", "ug", "g", "1"})
LIVE_WITHIN = timedelta(minutes=15)


def objection(item: DoseItem, *, now: datetime) -> str | None:
    """Return why this record cannot be used, None when it can."""
    if item.evidence is None:
        return "undecodable"
    return _wrong_time(item, now) or _wrong_amount(item)


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
    if at - timedelta(seconds=item.uncertainty_s) > now + FUTURE:
        return "future_time"
    return "impossible_time" if at < EARLIEST else None


def _wrong_amount(item: DoseItem) -> str | None:
    if item.amount is None:
        return None
    if item.unit is None:
        return "no_unit"
    return None if item.unit in UNITS else "unknown_unit"
