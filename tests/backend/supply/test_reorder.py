"""Stock follows what happened, and one order goes out when it runs low."""

from datetime import timedelta
from decimal import Decimal
from fractions import Fraction
from threading import Barrier, Thread
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.audit.record import Actor
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.people.hold import hold
from backend.regimens.timing import Timing
from backend.regimens.timing_json import from_json
from backend.supply.prescribed import doses_a_day, prescribed
from backend.supply.reorder import NoSuchStep, review, step
from backend.supply.units import convert
from backend.supply.use import dispense
from tests.backend.ingest.world import (
    DAY,
    MONDAY,
    World,
    a_world,
    count,
    doses_at_eight,
    eight,
    opening,
    send,
)

HOUR = timedelta(hours=1)
NOW = eight() + HOUR
SYSTEM = Actor("system", None, None)


@pytest.fixture
def world(session: Session) -> World:
    return a_world(session)


def given_packs(
    session: Session, world: World, amount: int, *, cause: str = "start"
) -> None:
    start = eight() - 30 * DAY
    gtin = world.product.gtin
    dispense(
        session,
        world.patient_id,
        gtin,
        Decimal(amount),
        cause=cause,
        at=start,
        now=start,
    )


def stock(session: Session) -> RowMapping:
    return fetch(session, "SELECT * FROM stock")[0]


def orders(session: Session) -> list[tuple[str, int]]:
    rows = fetch(session, "SELECT state, packs FROM reorder ORDER BY opened_at")
    return [(row["state"], row["packs"]) for row in rows]


def holding(world: World) -> list[tuple[UUID, str]]:
    return [(world.patient_id, world.product.gtin)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("UPDATE product SET controlled = true", "controlled"),
        ("DELETE FROM consent WHERE purpose = 'supply'", "consent"),
        ("UPDATE product SET pack_size = 0.5", "unusually many"),
    ],
)
def test_a_person_decides_when_it_is(
    session: Session, world: World, change: str, reason: str
) -> None:
    execute(session, change)
    given_packs(session, world, 2)

    opened = review(session, holding(world), now=NOW)

    assert [order.state for order in opened] == ["proposed"], reason
    assert count(session, "decision") == 1


def test_enough_on_the_shelf_orders_nothing_and_says_how_long_it_lasts(
    session: Session, world: World
) -> None:
    given_packs(session, world, 60)

    assert review(session, holding(world), now=NOW) == []

    kept = stock(session)
    early, likely, late = (kept[f"run_out_{k}"] for k in ("early", "on", "late"))
    assert early <= likely <= late
    assert likely > MONDAY + 60 * DAY  # 60 tablets, one a day, not all of them taken


def test_nothing_is_ordered_for_what_is_no_longer_prescribed(
    session: Session, world: World
) -> None:
    given_packs(session, world, 2)
    execute(session, "UPDATE regimen_version SET until = :now", now=NOW - DAY)

    assert review(session, holding(world), now=NOW) == []


def test_an_order_lives_through_its_steps_and_fills_the_shelf_once(
    session: Session, world: World
) -> None:
    given_packs(session, world, 2)
    order = review(session, holding(world), now=NOW)[0]
    whose = world.patient_id, order.reorder_id

    for state in ("acknowledged", "shipped", "delivered"):
        step(session, *whose, state, actor=SYSTEM, now=NOW)

    assert stock(session)["on_hand"] == 2 + order.packs * 30
    with pytest.raises(NoSuchStep):
        step(session, *whose, "delivered", actor=SYSTEM, now=NOW)
    assert count(session, "reorder_event") == 4
    assert review(session, holding(world), now=NOW) == []


def test_the_same_delivery_counts_once(session: Session, world: World) -> None:
    given_packs(session, world, 30)
    given_packs(session, world, 30)
    given_packs(session, world, 30, cause="other")
    assert stock(session)["on_hand"] == 60


def test_two_who_look_at_once_open_one_order(db: object) -> None:
    with transaction() as session:
        world = a_world(session)
        given_packs(session, world, 2)
    ready = Barrier(2)

    def look() -> None:
        with transaction() as session:
            ready.wait(10)
            hold(session, [world.patient_id])
            review(session, holding(world), now=NOW)

    together = [Thread(target=look) for _ in range(2)]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join(30)

    with transaction() as session:
        assert [state for state, _ in orders(session)] == ["placed"]


def test_primes_and_repeats_of_a_pen_leave_the_cartridge_too(
    session: Session, world: World
) -> None:
    doses_at_eight(session, world)
    given_packs(session, world, 300)
    shots = [
        (1, eight(), "2", "prime"),
        (2, eight() + HOUR / 60, "10", None),
        (3, eight() + HOUR / 12, "4", None),  # the rest of the same dose
    ]
    items = [
        opening(
            world,
            n,
            at,
            evidence="dose_delivered",
            amount=amount,
            unit="1",
            label=label,
        )
        for n, at, amount, label in shots
    ]

    send(session, world, items, now=NOW)

    assert (stock(session)["on_hand"], stock(session)["estimated"]) == (284, False)
    labels = fetch(session, "SELECT label FROM dose_event ORDER BY occurred_at")
    assert [r["label"] for r in labels] == ["prime", "therapeutic", "duplicate"]


def test_an_amount_in_another_multiple_is_converted(
    session: Session, world: World
) -> None:
    execute(session, "UPDATE product SET unit = 'mg'")
    given_packs(session, world, 300)
    shot = opening(
        world, 1, eight(), evidence="dose_delivered", amount="0.005", unit="g"
    )

    send(session, world, [shot], now=NOW)

    assert stock(session)["on_hand"] == 295


def test_an_opening_that_turns_out_another_dose_takes_that_ones_amount(
    session: Session, world: World
) -> None:
    """One event, moved from one scheduled dose to the next: still therapeutic."""
    doses_at_eight(session, world, days=2)
    execute(
        session,
        """UPDATE scheduled_dose SET amount = 3, window_from = window_from - interval
        '20 hours' WHERE dose_day = :day""",
        day=MONDAY + DAY,
    )
    given_packs(session, world, 300)
    between = eight() + 3 * HOUR
    send(session, world, [opening(world, 2, between)], now=between)
    assert stock(session)["on_hand"] == 299

    send(session, world, [opening(world, 1, eight() - HOUR)], now=between)

    assert stock(session)["on_hand"] == 296


WEEKLY: dict[str, object] = {"kind": "weekdays", "times": ["08:00"], "days": ["mon"]}
TIMINGS: tuple[tuple[dict[str, object], str], ...] = (
    ({"kind": "clock_times", "times": ["08:00", "20:00"]}, "2"),
    ({"kind": "daily_count", "n": 3}, "3"),
    (WEEKLY | {"every_weeks": 1}, "0.142857"),
    (
        {
            "kind": "cycle",
            "on_days": 21,
            "off_days": 7,
            "anchor": "2026-03-02",
            "inner": {"kind": "clock_times", "times": ["08:00"]},
        },
        "0.75",
    ),
    (
        {
            "kind": "every_hours",
            "every_s": 36 * 3600.0,
            "doses": 1,
            "anchor": "2026-03-02T08:00:00Z",
        },
        "0.666667",
    ),
)


@pytest.mark.parametrize(("timing", "a_day"), TIMINGS)
def test_a_prescription_asks_for_so_much_a_day(
    timing: dict[str, object], a_day: str
) -> None:
    read: Timing = from_json(timing)
    found = doses_a_day(read)
    assert found is not None
    assert float(found) == pytest.approx(float(a_day), abs=1e-6)


def test_a_depot_asks_for_one_dose_in_its_interval() -> None:
    first = {"every_s": 28 * 86400, "first": "2026-03-04", "at": "10:00"}

    assert doses_a_day(from_json({"kind": "after_taken", **first})) == Fraction(1, 28)


def test_a_weekly_pen_is_not_reckoned_as_daily(session: Session, world: World) -> None:
    execute(
        session,
        "UPDATE regimen_version SET timing = CAST(:timing AS jsonb)",
        timing='{"kind": "weekdays", "times": ["08:00"], "days": ["mon"],'
        ' "every_weeks": 1, "anchor": null}',
    )
    doses_at_eight(session, world)

    asked = prescribed(session, holding(world), now=NOW)

    assert asked[holding(world)[0]] == pytest.approx(Decimal(1) / 7)


def test_phases_with_their_own_amounts_use_what_is_asked_for_around_now(
    session: Session, world: World
) -> None:
    execute(
        session,
        "UPDATE regimen_version SET amount = NULL, unit = NULL,"
        " timing = CAST(:timing AS jsonb)",
        timing='{"kind": "phase", "start": null, "end": null, "count": null,'
        ' "amount": "2", "unit": "1",'
        ' "timing": {"kind": "clock_times", "times": ["08:00"]}}',
    )
    doses_at_eight(session, world, days=3)
    execute(session, "UPDATE scheduled_dose SET amount = 2")

    asked = prescribed(session, holding(world), now=NOW)

    assert asked[holding(world)[0]] == Decimal(2)


AMOUNTS = st.decimals("0.001", "1000", places=3)


@given(AMOUNTS, st.sampled_from(["g", "mg", "ug"]), st.sampled_from(["g", "mg", "ug"]))
def test_there_and_back_is_the_same_amount(amount: Decimal, unit: str, to: str) -> None:
    there = convert(amount, unit, to)
    assert there is not None
    assert convert(there, to, unit) == amount


@pytest.mark.parametrize(
    "pair", [("mg", "mL"), ("[iU]", "mg"), ("1", "mg"), (None, "1")]
)
def test_what_is_no_arithmetic_is_not_converted(pair: tuple[str | None, str]) -> None:
    assert convert(Decimal(1), *pair) is None
