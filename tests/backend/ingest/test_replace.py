"""A battery that ends before the refill: proposed in time, bounded, undone, alarmed."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import RowMapping

from backend.database import transaction
from backend.database.sets import fetch
from backend.ingest.replace import NothingProposed, answer, propose_replacements
from backend.people.readers import Reader
from tests.backend.ingest.world import DAY, World, a_world, tell

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
NOW = START + 20 * DAY


@pytest.fixture
def world(db: object) -> World:
    with transaction() as session:
        return a_world(session)


def told(world: World, levels: Mapping[int, float]) -> None:
    """Let the box tell these levels, by day, as a bridge passes them on."""
    with transaction() as session:
        items: list[dict[str, object]] = [
            {
                "device_id": str(world.device_id),
                "id": f"battery-{day}",
                "kind": "battery",
                "occurred_at": (START + day * DAY).isoformat(),
                "record": None,
                "heard_until": None,
                "detail": {"percent": round(percent)},
                "claimed_live": False,
            }
            for day, percent in levels.items()
        ]
        verdicts = tell(session, world, items, now=START + max(levels) * DAY)
    assert {verdict.verdict for verdict in verdicts} == {"new"}


def falling(start: float, per_day: float, days: int = 21) -> dict[int, float]:
    return {day: start - per_day * day for day in range(days)}


def rows(statement: str) -> Sequence[RowMapping]:
    with transaction() as session:
        return fetch(session, statement)


def proposals() -> list[str]:
    found = rows("SELECT state FROM device_replacement ORDER BY changed_at, state")
    return [row["state"] for row in found]


def alerts() -> list[tuple[str, str | None]]:
    found = rows("SELECT rule, state, outcome FROM alert ORDER BY triggered_at")
    assert all(row["rule"].startswith("device-battery:") for row in found)
    return [(row["state"], row["outcome"]) for row in found]


def a_technician(world: World, clinic_id: UUID | None = None) -> Reader:
    at = clinic_id or world.clinic.clinic_id
    return Reader(UUID(int=5), "technician", UUID(int=6), at)


def test_a_battery_that_ends_before_the_refill_is_proposed_once(world: World) -> None:
    told(world, falling(70, 1.5))

    assert propose_replacements(NOW) == 1
    assert propose_replacements(NOW) == 0

    [row] = rows("SELECT * FROM device_replacement")
    assert (row["state"], row["device_id"]) == ("proposed", world.device_id)
    assert NOW + 20 * DAY < row["empty_early"] <= row["empty_expected"] < NOW + 28 * DAY
    assert row["act_by"] == row["empty_early"] - 7 * DAY
    assert alerts() == []


def test_the_decision_holds_all_that_decided(world: World) -> None:
    told(world, falling(70, 1.5))
    propose_replacements(NOW)

    [row] = rows("SELECT * FROM decision")
    assert (row["rule"], row["version"]) == ("device-replacement", 1)
    assert row["inputs"]["readings"] == 21
    assert row["inputs"]["percent_per_day"] == pytest.approx(1.5, abs=0.05)
    assert row["inputs"]["refill_at"] == (NOW + 30 * DAY).isoformat()
    assert row["undone_at"] is None


@pytest.mark.parametrize(
    "levels",
    [falling(95, 0.5), falling(60, 1.0, days=4), {0: 40, 20: 38}],
    ids=["lasts beyond the refill", "told too little", "hardly falls"],
)
def test_nothing_is_proposed_without_need_or_evidence(
    world: World, levels: dict[int, float]
) -> None:
    told(world, levels)

    assert propose_replacements(START + max(levels) * DAY) == 0
    assert proposals() == []


def test_what_a_technician_declines_is_undone_and_stays_so(world: World) -> None:
    told(world, falling(70, 1.5))
    propose_replacements(NOW)
    by = a_technician(world)
    with transaction() as session:
        answer(session, by, world.device_id, "declined", now=NOW + DAY)
    with transaction() as session, pytest.raises(NothingProposed):
        answer(session, by, world.device_id, "done", now=NOW + DAY)

    assert propose_replacements(NOW + DAY) == 0
    assert proposals() == ["declined"]
    [row] = rows("SELECT undone_at, undone_by, undo_reason FROM decision")
    assert tuple(row.values()) == (NOW + DAY, by.account_id, "declined")


def test_nobody_of_another_clinic_answers(world: World) -> None:
    told(world, falling(70, 1.5))
    propose_replacements(NOW)
    by = a_technician(world, UUID(int=9))
    with transaction() as session, pytest.raises(NothingProposed):
        answer(session, by, world.device_id, "done", now=NOW)

    assert proposals() == ["proposed"]


def test_a_new_battery_lets_the_proposal_lapse_and_may_be_proposed_again(
    world: World,
) -> None:
    told(world, falling(70, 1.5))
    propose_replacements(NOW)
    told(world, {day: 98 - 2.5 * (day - 25) for day in range(25, 45)})
    later = START + 45 * DAY

    assert propose_replacements(later) == 0
    assert proposals() == ["lapsed"]
    assert propose_replacements(later) == 1
    assert sorted(proposals()) == ["lapsed", "proposed"]


def test_a_battery_near_its_end_raises_one_alert_until_it_is_renewed(
    world: World,
) -> None:
    told(world, falling(40, 1.5))
    propose_replacements(NOW)
    propose_replacements(NOW)

    assert alerts() == [("triggered", None)]
    told(world, {day: 98 - (day - 21) for day in range(21, 30)})
    propose_replacements(START + 30 * DAY)
    assert alerts() == [("closed", "retracted")]


def test_a_device_that_told_nothing_lately_is_not_judged(world: World) -> None:
    told(world, falling(70, 1.5))

    assert propose_replacements(NOW + timedelta(days=3)) == 0
