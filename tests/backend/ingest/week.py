"""A patient's week with a dose at eight on each working day, and what became of it."""

from datetime import timedelta
from typing import Any

from sqlmodel import Session

from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    doses_at_eight,
    eight,
    labels,
)

HOUR = timedelta(hours=1)
DAYS = [MONDAY + n * DAY for n in range(5)]
NOW = eight(DAYS[-1]) + 10 * HOUR
ON_MONDAY, ON_FRIDAY = (eight(DAYS[0]), eight(DAYS[-1]))


def a_week(session: Session) -> World:
    made = a_world(session)
    doses_at_eight(session, made, days=5)
    return made


def a_gap(world: World, first: int, last: int) -> dict[str, Any]:
    return {
        "device_id": str(world.device_id),
        "id": f"gap:{first}",
        "kind": "gap",
        "occurred_at": NOW.isoformat(),
        "detail": {"from": first, "to": last},
    }


def words(session: Session, world: World) -> list[str]:
    found = labels(session, world)
    return [found[f"{day}T08:00"] for day in DAYS]
