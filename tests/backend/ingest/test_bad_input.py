"""Whatever a bridge sends spoils itself at most, never the batch or the bridge."""

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import Session

from backend.database.sets import fetch
from tests.backend.ingest.world import (
    World,
    a_world,
    count,
    doses_at_eight,
    eight,
    heard,
    opening,
    send,
    tell,
)

HOUR = timedelta(hours=1)
NOW = eight() + HOUR
ODD: tuple[dict[str, Any], ...] = (
    {"note": "a\0b"},
    {"evidence": "\0"},
    {"note": {"\0": [1]}},
    {"note": 10**30},
    {"occurred_at": "9999-12-31T23:59:59-14:00"},
    {"occurred_at": "0001-01-01T00:00:00+14:00"},
    {"amount": "NaN", "unit": "mg"},
    {"amount": "1e999", "unit": "mg"},
    {"uncertainty_s": float("nan")},
    {"compartment": 10**9},
    {"raw": "not base64 !"},
)


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


@pytest.mark.parametrize("changes", ODD, ids=lambda changes: json.dumps(changes)[:40])
def test_an_odd_item_is_kept_raw_and_its_neighbours_count(
    session: Session, world: World, changes: dict[str, Any]
) -> None:
    odd = opening(world, 1, eight()) | changes

    verdicts = send(session, world, [odd, opening(world, 2, eight())], now=NOW)

    assert [(v.verdict, v.reason) for v in verdicts] == [
        ("quarantined", "malformed"),
        ("new", None),
    ]
    assert count(session, "device_record") == 2


@pytest.mark.parametrize("value", [5, None, [], "zz", "00"])
def test_an_item_without_a_usable_hash_is_refused_alone(
    session: Session, world: World, value: object
) -> None:
    odd = opening(world, 1, eight(), payload_hash=value)

    verdicts = send(session, world, [odd, opening(world, 2, eight())], now=NOW)

    assert [verdict.verdict for verdict in verdicts] == ["rejected", "new"]


@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_the_ends_of_the_calendar_are_only_times_that_cannot_be(
    session: Session, world: World, at: str
) -> None:
    odd = opening(world, 1, None, occurred_at=at, uncertainty_s=9.0)

    assert send(session, world, [odd], now=NOW)[0].verdict == "quarantined"


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "a\0"},
        {"detail": {"percent": 10**30}},
        {"detail": {"text": "x" * 5000}},
        {"kind": "gap", "detail": {}},
        {"kind": "gap", "detail": {"from": 5, "to": 4}},
        {"kind": "gap", "detail": {"from": 1, "to": "x"}},
        {"kind": "heard"},
        {"kind": "heard", "heard_until": {"epoch": 0, "sequence": 0, "at": "now"}},
    ],
    ids=lambda changes: json.dumps(changes)[:40],
)
def test_an_odd_event_is_refused_alone(
    session: Session, world: World, changes: dict[str, Any]
) -> None:
    doses_at_eight(session, world)
    plain = {"device_id": str(world.device_id), "id": "1", "kind": "battery"}

    verdicts = tell(session, world, [plain | changes, heard(world, 0, NOW)], now=NOW)

    assert [verdict.verdict for verdict in verdicts] == ["rejected", "new"]


def test_a_battery_level_that_cannot_be_is_noted_and_not_shown(
    session: Session, world: World
) -> None:
    levels = [70, 4000, -1, True, "60"]
    events = [
        {
            "device_id": str(world.device_id),
            "id": str(n),
            "kind": "battery",
            "detail": {"percent": level},
        }
        for n, level in enumerate(levels)
    ]

    tell(session, world, events, now=NOW)

    assert count(session, "device_event") == len(levels)
    rows = fetch(session, "SELECT battery_percent FROM device_contact")
    assert [row["battery_percent"] for row in rows] == [70]


def test_an_event_that_cannot_be_read_is_kept_when_it_is_a_stored_record(
    session: Session, world: World
) -> None:
    """Or else the device could never be emptied behind it."""
    stored = opening(world, 1, None)
    record = {name: stored[name] for name in ("epoch", "sequence", "payload_hash")}
    event = {"device_id": str(world.device_id), "kind": "sang", "record": record}

    first = tell(session, world, [event], now=NOW)
    again = tell(session, world, [event], now=NOW)

    assert [(v.verdict, v.reason) for v in first] == [("quarantined", "malformed")]
    assert [v.verdict for v in again] == ["known"]
    assert count(session, "device_record") == 1


@pytest.mark.parametrize("at", [1772438591, "1772438591", "2026-03-02_08:03:11Z"])
def test_a_time_in_another_form_is_kept_as_one_that_the_database_reads(
    session: Session, world: World, at: object
) -> None:
    """Or whoever asks for the record beside a hole is answered with an error."""
    send(session, world, [opening(world, 1, None, occurred_at=at)], now=NOW)
    send(session, world, [opening(world, 2, None)], now=NOW)
    event = an_event(world, 3, kind="fault", occurred_at=at)
    tell(session, world, [event, heard(world, 2, NOW)], now=NOW)

    verdicts = send(session, world, [opening(world, 4, eight())], now=NOW)

    assert [verdict.verdict for verdict in verdicts] == ["new"]
    rows = fetch(
        session,
        "SELECT DISTINCT CAST(item ->> 'occurred_at' AS timestamptz) AS at "
        "FROM device_record WHERE sequence IN (1, 3)",
    )
    assert [row["at"].isoformat()[:16] for row in rows] == ["2026-03-02T08:03"]


def test_a_compartment_in_another_form_is_kept_as_its_number(
    session: Session, world: World
) -> None:
    """Or an erasure would not see whose lid it was."""
    send(session, world, [opening(world, 1, eight(), compartment="07")], now=NOW)

    rows = fetch(session, "SELECT item ->> 'compartment' AS lid FROM device_record")
    assert [row["lid"] for row in rows] == ["7"]


def an_event(world: World, sequence: int, **changes: object) -> dict[str, Any]:
    """A device event from a stored record."""
    stored = opening(world, sequence, None)
    record = {name: stored[name] for name in ("epoch", "sequence", "payload_hash")}
    return {"device_id": str(world.device_id), "record": record} | changes


@pytest.mark.parametrize("kind", ["gap", "quarantine"])
@pytest.mark.parametrize("detail", [{"from": 1, "to": "x"}, {"since": "never"}, {}])
def test_what_a_record_says_of_a_hole_breaks_no_later_batch(
    session: Session, world: World, kind: str, detail: dict[str, Any]
) -> None:
    doses_at_eight(session, world)
    odd = an_event(world, 1, kind=kind, detail=detail)

    tell(session, world, [odd], now=NOW)
    verdicts = tell(session, world, [heard(world, 1, NOW)], now=NOW)

    assert [verdict.verdict for verdict in verdicts] == ["new"]
