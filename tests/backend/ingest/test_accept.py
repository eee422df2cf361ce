"""What happens to dose records when they arrive."""

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlmodel import Session

from backend.database.sets import fetch
from backend.people.readers import Sender
from backend.supply.use import dispense
from tests import builders
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    an_id,
    count,
    doses_at_eight,
    eight,
    heard,
    labels,
    opening,
    send,
    tell,
)

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
OCCURRENCE = f"{MONDAY}T08:00"


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def test_an_opening_near_its_time_is_that_dose(session: Session, world: World) -> None:
    doses_at_eight(session, world)
    at = eight() + 5 * MINUTE

    verdicts = send(session, world, [opening(world, 1, at)], now=at + MINUTE)

    assert [verdict.verdict for verdict in verdicts] == ["new"]
    assert labels(session, world) == {OCCURRENCE: "on_time"}


def test_what_is_sent_again_changes_nothing(session: Session, world: World) -> None:
    doses_at_eight(session, world)
    at = eight() + 5 * MINUTE
    batch = [opening(world, 1, at), opening(world, 2, at + HOUR)]
    send(session, world, batch, now=at + 2 * HOUR)
    tables = ("dose_event", "label_change", "device_record", "audit_row", "decision")
    before = {table: count(session, table) for table in tables}

    again = send(session, world, batch, now=at + 3 * HOUR)

    assert [verdict.verdict for verdict in again] == ["known", "known"]
    assert {table: count(session, table) for table in tables} == before


def test_the_same_record_twice_in_one_batch_counts_once(
    session: Session, world: World
) -> None:
    item = opening(world, 1, eight())

    verdicts = send(session, world, [item, item], now=eight() + MINUTE)

    assert [verdict.verdict for verdict in verdicts] == ["new", "known"]
    assert count(session, "dose_event") == 1


def test_one_identity_with_two_payloads_is_a_conflict_and_both_are_kept(
    session: Session, world: World
) -> None:
    at = eight()
    send(session, world, [opening(world, 1, at)], now=at + MINUTE)

    verdicts = send(session, world, [opening(world, 1, at + HOUR)], now=at + 2 * HOUR)

    assert (verdicts[0].verdict, verdicts[0].reason) == ("quarantined", "conflict")
    assert count(session, "dose_event") == 1
    assert count(session, "device_record") == 1
    assert count(session, "device_conflict") == 1
    kinds = [row["kind"] for row in fetch(session, "SELECT kind FROM device_event")]
    assert kinds == ["conflict"]


def test_a_record_read_again_in_the_next_epoch_is_the_same_record(
    session: Session, world: World
) -> None:
    item = opening(world, 7, eight())
    send(session, world, [item], now=eight() + MINUTE)

    verdicts = send(session, world, [{**item, "epoch": 2}], now=eight() + HOUR)

    assert verdicts[0].verdict == "known"
    assert count(session, "dose_event") == 1


def test_a_bad_item_spoils_only_itself(session: Session, world: World) -> None:
    at = eight()
    bad = [
        opening(world, 1, at, evidence="swallowed"),
        {**opening(world, 2, at), "sequence": -1},
        "not an object",
        opening(world, 3, None),
        opening(world, 4, at + 3 * DAY),
        opening(world, 5, at, evidence=None, raw="AAEC"),
        opening(world, 6, at, amount="1.5", unit=""),
    ]

    verdicts = send(session, world, [*bad, opening(world, 9, at)], now=at + MINUTE)

    assert [(verdict.verdict, verdict.reason) for verdict in verdicts] == [
        ("quarantined", "malformed"),
        ("rejected", "malformed"),
        ("rejected", "malformed"),
        ("quarantined", "no_time"),
        ("quarantined", "future_time"),
        ("quarantined", "undecodable"),
        ("quarantined", "malformed"),
        ("new", None),
    ]
    assert count(session, "dose_event") == 1
    assert count(session, "device_record") == 6


def test_a_device_of_another_clinic_is_refused_and_nothing_is_stored(
    session: Session, world: World
) -> None:
    other = builders.a_clinic(session, name="Elsewhere")
    bridge = builders.a_bridge(session, other)
    by = Sender(bridge.bridge_id, other.clinic_id, "gateway")

    items = [opening(world, 1, eight()), opening(world, 2, eight(), device_id=an_id())]
    verdicts = send(session, world, items, now=eight() + MINUTE, by=by)

    assert {(verdict.verdict, verdict.reason) for verdict in verdicts} == {
        ("rejected", "unknown_device")
    }
    assert count(session, "device_record") == 0


def test_a_record_outside_any_assignment_is_kept_for_an_operator(
    session: Session, world: World
) -> None:
    at = builders.LONG_AGO - DAY

    verdicts = send(session, world, [opening(world, 1, at)], now=eight())

    assert (verdicts[0].verdict, verdicts[0].reason) == ("new", "unassigned")
    assert count(session, "dose_event") == 0
    rows = fetch(session, "SELECT status FROM device_record")
    assert [row["status"] for row in rows] == ["unassigned"]


def test_a_box_given_to_somebody_else_splits_its_record_by_time(
    session: Session, world: World
) -> None:
    handed_over = eight() + DAY
    session.connection().exec_driver_sql(
        "UPDATE assignment SET until = %s", (handed_over,)
    )
    second = builders.a_patient(session, world.clinic, phone=None)
    device = builders.a_device(session, world.clinic)
    session.connection().exec_driver_sql(
        "INSERT INTO assignment (patient_id, assignment_id, device_id, compartment,"
        " since) VALUES (%s, gen_random_uuid(), %s, 0, %s)",
        (second.patient_id, world.device_id, handed_over),
    )

    send(
        session,
        world,
        [opening(world, 1, eight()), opening(world, 2, handed_over + HOUR)],
        now=handed_over + 2 * HOUR,
    )

    rows = fetch(session, "SELECT patient_id, sequence FROM dose_event")
    assert {row["sequence"]: row["patient_id"] for row in rows} == {
        1: world.patient_id,
        2: second.patient_id,
    }
    assert device.device_id != world.device_id


def test_silence_is_unknown_until_the_box_was_heard_then_missed(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    send(session, world, [opening(world, 1, eight() - DAY)], now=eight() + 6 * HOUR)
    assert labels(session, world)[OCCURRENCE] == "unknown"

    now = eight() + 7 * HOUR
    tell(session, world, [heard(world, 1, now)], now=now)

    assert labels(session, world)[OCCURRENCE] == "missed"


def test_a_box_heard_with_records_still_to_come_says_nothing(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    now = eight() + 7 * HOUR

    verdicts = tell(session, world, [heard(world, 5, now)], now=now)

    assert (verdicts[0].verdict, verdicts[0].reason) == (
        "quarantined",
        "records_missing",
    )
    assert labels(session, world)[OCCURRENCE] == "pending"


def test_what_a_clock_was_ahead_is_kept_as_it_was_read_last(
    session: Session, world: World
) -> None:
    for minute, clock in enumerate(({"offset_s": 2.5, "uncertainty_s": 0.1}, None)):
        claim = heard(world, 0, eight() + minute * timedelta(minutes=1))
        claim["heard_until"]["clock"] = clock
        tell(session, world, [claim], now=eight() + HOUR)
        [row] = fetch(
            session,
            "SELECT clock_offset_s, clock_uncertainty_s FROM device_contact",
        )
        assert tuple(row.values()) == ((2.5, 0.1) if clock else (None, None))


def test_a_wearable_keeps_no_records_and_is_heard_all_the_same(
    session: Session, world: World
) -> None:
    watch = builders.a_device(session, world.clinic, kind="wearable")
    claim = heard(world, 7, eight()) | {"device_id": str(watch.device_id)}

    verdicts = tell(session, world, [claim], now=eight())

    assert verdicts[0].verdict == "new"


def test_a_dose_that_arrives_late_retracts_the_missed(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    now = eight() + 7 * HOUR
    tell(session, world, [heard(world, 0, now)], now=now)
    assert labels(session, world)[OCCURRENCE] == "missed"

    late = opening(world, 1, eight() + 3 * HOUR, claimed_live=False)
    send(session, world, [late], now=now + DAY)

    assert labels(session, world)[OCCURRENCE] == "taken_late"
    rows = fetch(session, "SELECT before, after FROM label_change ORDER BY recorded_at")
    assert [(row["before"], row["after"]) for row in rows] == [
        ("pending", "missed"),
        ("missed", "taken_late"),
    ]


def test_the_dose_goes_from_stock_and_the_last_ones_order_more(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world, first=MONDAY - 7 * DAY, days=10)
    dispense(
        session,
        world.patient_id,
        world.product.gtin,
        Decimal(10),
        cause="start",
        at=eight() - 8 * DAY,
        now=eight() - 8 * DAY,
    )
    openings = [
        opening(world, n, eight(MONDAY - 7 * DAY) + (n - 1) * DAY) for n in range(1, 8)
    ]

    send(session, world, openings, now=eight())
    send(session, world, openings, now=eight())

    stock = fetch(session, "SELECT on_hand, estimated, run_out_on FROM stock")[0]
    assert (stock["on_hand"], stock["estimated"]) == (Decimal(3), True)
    assert stock["run_out_on"] is not None
    orders = fetch(session, "SELECT state, packs FROM reorder")
    assert [row["state"] for row in orders] == ["placed"]
    feed = fetch(session, "SELECT feed, cursor, recipient_id, body FROM feed_row")
    assert [row["cursor"] for row in feed] == [1]
    assert feed[0]["recipient_id"] == world.manufacturer.organization_id
    assert "Rosa" not in str(feed[0]["body"])
    assert count(session, "decision") == 1


def test_the_state_row_shows_the_dose_at_once(session: Session, world: World) -> None:
    doses_at_eight(session, world, first=MONDAY - 2 * DAY, days=3)
    at = eight() + MINUTE

    send(session, world, [opening(world, 1, at)], now=at)

    state = fetch(session, "SELECT strip, counts, last_dose_at FROM patient_state")[0]
    assert len(state["strip"]) == 14
    assert state["strip"][-1] == {"day": str(MONDAY), "labels": ["on_time"]}
    assert state["strip"][-2]["labels"] == ["unknown"]
    assert state["counts"]["taken"] == 1
    assert state["last_dose_at"] == at
