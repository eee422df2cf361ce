from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.supply import (
    Action,
    DispenseRules,
    Hold,
    Reorder,
    RunOut,
    Use,
    days_of_supply,
    measured_use,
    plan_reorder,
    reorder_point,
    run_out,
)

TODAY = date(2026, 3, 2)
TWO_A_DAY = Use(Decimal(2), Decimal("1.6"), Decimal("2.5"), 28)


def plan(on_hand: str, rules: DispenseRules | None = None) -> Reorder | None:
    return plan_reorder(
        Decimal(on_hand),
        TWO_A_DAY,
        pack_size=Decimal(30),
        lead_days=3,
        safety_days=7,
        as_of=TODAY,
        rules=rules,
    )


def test_run_out_has_a_band_from_the_use() -> None:
    assert run_out(Decimal(40), TWO_A_DAY, as_of=TODAY) == RunOut(
        TODAY + timedelta(days=16),
        TODAY + timedelta(days=20),
        TODAY + timedelta(days=25),
    )


def test_what_is_not_used_does_not_run_out() -> None:
    nothing = Use(Decimal(0), Decimal(0), Decimal(0), 28)

    assert run_out(Decimal(40), nothing, as_of=TODAY) == RunOut(None, None, None)
    assert days_of_supply(Decimal(10**9), Decimal(1)) is None


def test_orders_when_stock_falls_below_lead_and_safety_at_the_upper_edge() -> None:
    assert plan("25") is None  # 10 days at 2.5 a day

    got = plan("24.9")

    assert got is not None
    # 38 days at 2.5 are 95; 70.1 are lacking: three packs of 30
    assert (got.packs, got.amount, got.action) == (3, Decimal(90), Action.PLACE)
    assert got.needed_by == TODAY + timedelta(days=9)
    assert got.explanation["reorder_point"] == "25.0"
    assert got.explanation["daily_use"] == "2 (1.6 to 2.5)"


@pytest.mark.parametrize(
    ("rules", "holds"),
    [
        (DispenseRules(controlled=True), (Hold.CONTROLLED,)),
        (DispenseRules(repeats_left=0), (Hold.NO_REPEATS_LEFT,)),
        (DispenseRules(repeats_left=1), ()),
        (DispenseRules(earliest_refill=TODAY), ()),
        (
            DispenseRules(earliest_refill=TODAY + timedelta(days=1)),
            (Hold.BEFORE_EARLIEST_REFILL,),
        ),
    ],
)
def test_a_rule_that_holds_makes_it_a_proposal(
    rules: DispenseRules, holds: tuple[Hold, ...]
) -> None:
    got = plan("3", rules)

    assert got is not None
    assert got.holds == holds
    assert got.action == (Action.PROPOSE if holds else Action.PLACE)
    assert got.not_before == (rules.earliest_refill or TODAY)


def test_dispenses_no_more_packs_than_allowed() -> None:
    got = plan("3", DispenseRules(most_packs=1))

    assert got is not None
    assert got.packs == 1


def test_use_is_shrunk_to_the_prescription_and_leaves_out_unknown_days() -> None:
    day = [Decimal(1), None, Decimal(1)]

    few = measured_use(day, prescribed=Decimal(2), prior_days=14)
    many = measured_use(day * 50, prescribed=Decimal(2), prior_days=14)

    assert few == Use(Decimal("1.875"), Decimal("1.875"), Decimal("1.875"), 2)
    assert Decimal(1) < many.expected < Decimal("1.2")
    assert measured_use([], prescribed=Decimal(2)).expected == Decimal(2)


amounts = st.decimals(0, 1000, places=2)
rates = st.lists(st.decimals(0, 20, places=2) | st.none(), max_size=40)
spans = st.integers(0, 30)


@given(rates, st.decimals(0, 20, places=1), st.integers(0, 20))
@settings(max_examples=100)
def test_the_band_holds_the_expected_use_and_is_never_negative(
    used: list[Decimal | None], prescribed: Decimal, prior: int
) -> None:
    got = measured_use(used, prescribed=prescribed, prior_days=prior)

    assert Decimal(0) <= got.low <= got.expected <= got.high


@given(amounts, amounts, rates, st.integers(1, 100), spans, spans, spans)
@settings(max_examples=200)
def test_an_order_fills_up_in_whole_packs_and_more_stock_never_orders_more(
    on_hand: Decimal,
    more: Decimal,
    used: list[Decimal | None],
    pack: int,
    lead: int,
    safety: int,
    cover: int,
) -> None:
    use = measured_use(used, prescribed=Decimal(2))

    def packs(stock: Decimal, extra_lead: int = 0) -> int:
        got = plan_reorder(
            stock,
            use,
            pack_size=Decimal(pack),
            lead_days=lead + extra_lead,
            safety_days=safety,
            cover_days=cover,
            as_of=TODAY,
        )
        return 0 if got is None else got.packs

    ordered = packs(on_hand)
    point = reorder_point(use, lead_days=lead, safety_days=safety)
    assert ordered >= 0
    assert (ordered > 0) == (on_hand < point)
    assert on_hand + ordered * pack >= point
    assert packs(on_hand + ordered * pack) == 0
    assert packs(on_hand + more) <= ordered
    assert packs(on_hand, extra_lead=1) >= ordered


@given(amounts, amounts, rates)
@settings(max_examples=100)
def test_run_out_comes_no_sooner_with_more_stock_and_in_the_order_of_the_band(
    on_hand: Decimal, more: Decimal, used: list[Decimal | None]
) -> None:
    use = measured_use(used, prescribed=Decimal(1))

    def days(stock: Decimal) -> list[date]:
        got = run_out(stock, use, as_of=TODAY)
        return [day or date.max for day in (got.earliest, got.expected, got.latest)]

    less, greater = days(on_hand), days(on_hand + more)
    assert TODAY <= less[0] <= less[1] <= less[2]
    assert all(a <= b for a, b in zip(less, greater, strict=True))


def test_refuses_an_empty_pack() -> None:
    with pytest.raises(ValueError, match="pack_size"):
        plan_reorder(
            Decimal(1), TWO_A_DAY, pack_size=Decimal(0), lead_days=3, as_of=TODAY
        )
