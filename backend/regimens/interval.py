"""How close together a timing asks for doses."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

from backend.regimens.expand import occurrences
from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    Cycle,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Simple,
    Taper,
    Timing,
    Together,
    Weekdays,
)
from backend.regimens.zones import DAY

ENOUGH = 64  # doses to look at
LONGEST = 800 * DAY  # days to look for them


@lru_cache(maxsize=1024)
def shortest_interval(timing: Timing) -> timedelta:
    """Return the least time between two doses, on days without a change of clocks.

    A day for what has no times or only one dose.
    """
    match timing:
        case Phase(inner):
            return shortest_interval(inner)
        case Taper(phases):
            return min(shortest_interval(phase) for phase in phases)
        case AsNeeded(_, least):
            return least or DAY
        case AfterTaken(every):
            return every
        case Together(parts):
            return _shortest(Together(tuple(Phase(part.timing) for part in parts)))
        case _:
            return _shortest(timing)


def _shortest(timing: Simple | Together) -> timedelta:
    start = _start(timing)
    found = occurrences(timing, zone=ZoneInfo("UTC"), first=start, last=start + LONGEST)
    due = (one.due_at for one in islice(found, ENOUGH) if one.due_at)
    return min((two - one for one, two in pairwise(due)), default=DAY)


def _start(timing: Simple | Together) -> datetime:
    match timing:
        case Together(parts):
            return max(_start(part.timing) for part in parts)
        case Monthly() | Cycle():
            return datetime.combine(timing.anchor, time(), UTC)
        case Weekdays(anchor=date() as anchor):
            return datetime.combine(anchor, time(), UTC)
        case EveryHours(anchor=anchor):
            return anchor
        case Instants(at):
            return at[0]
        case _:
            return datetime(2026, 1, 1, tzinfo=UTC)
