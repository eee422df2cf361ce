"""Days of supply, the run-out date, and when and how much to reorder.

Amounts are Decimal in one unit (UCUM) throughout; converting is the caller's. Rates
are a day. A person's use is measured, with a band; what a silent device did not tell is
left out, not counted as zero (ADR 0021).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum

ZERO = Decimal(0)
Z_90 = Decimal("1.645")  # two-sided 90 % band of a mean
PRIOR_DAYS = 14  # days of use as prescribed that a new patient is credited with
FARTHEST_DAYS = 3650  # beyond ten years there is no run-out date worth a name
RATE_STEP = Decimal("0.000001")


class Action(StrEnum):
    """What may happen to a reorder without a person."""

    PLACE = "place"
    PROPOSE = "propose"


class Hold(StrEnum):
    """Why a reorder may only be proposed."""

    CONTROLLED = "controlled"
    NO_REPEATS_LEFT = "no_repeats_left"
    BEFORE_EARLIEST_REFILL = "before_earliest_refill"


@dataclass(frozen=True, slots=True)
class Use:
    """Amount used a day: the expected rate and its 90 % band; `days` were observed."""

    expected: Decimal
    low: Decimal
    high: Decimal
    days: int


@dataclass(frozen=True, slots=True)
class RunOut:
    """The day on which nothing is left, at the band's edges; None: not in ten years."""

    earliest: date | None
    expected: date | None
    latest: date | None


@dataclass(frozen=True, slots=True)
class DispenseRules:
    """What the prescription allows; None is without limit."""

    earliest_refill: date | None = None
    repeats_left: int | None = None
    controlled: bool = False
    most_packs: int | None = None


@dataclass(frozen=True, slots=True)
class Reorder:
    """So many whole packs, what may be done, and what decided it."""

    packs: int
    amount: Decimal
    action: Action
    holds: tuple[Hold, ...]
    not_before: date
    needed_by: date
    run_out: RunOut
    explanation: Mapping[str, str]


def measured_use(
    used: Sequence[Decimal | None],
    *,
    prescribed: Decimal,
    prior_days: int = PRIOR_DAYS,
    z: Decimal = Z_90,
) -> Use:
    """Return the daily use from what was used each day (None: unknown, left out).

    The mean is shrunk to `prescribed` as if `prior_days` more days had been observed,
    so that a first week of forgetting does not empty the shelf. The band is
    z·SD/√n about it, SD over the observed days only, never below zero.
    """
    known = [amount for amount in used if amount is not None]
    if prescribed < ZERO or any(amount < ZERO for amount in known):
        raise ValueError(f"use is never negative, got {prescribed=}")
    n = len(known) + prior_days
    if n == 0:
        return Use(prescribed, prescribed, prescribed, 0)
    mean = (sum(known, ZERO) + prior_days * prescribed) / n
    half = z * _deviation(known) / Decimal(n).sqrt()
    expected, low, high = (
        rate.quantize(RATE_STEP) for rate in (mean, max(ZERO, mean - half), mean + half)
    )
    return Use(expected, low, high, len(known))


def days_of_supply(on_hand: Decimal, daily: Decimal) -> int | None:
    """Return for how many whole days the stock lasts; None: ten years or more."""
    if daily <= ZERO:
        return None
    days = (max(ZERO, on_hand) / daily).to_integral_value(ROUND_FLOOR)
    return int(days) if days < FARTHEST_DAYS else None


def run_out(on_hand: Decimal, use: Use, *, as_of: date) -> RunOut:
    """Return when the stock ends: by the upper edge of use, expected, lower edge."""
    days = (days_of_supply(on_hand, rate) for rate in (use.high, use.expected, use.low))
    return RunOut(*(None if n is None else as_of + timedelta(days=n) for n in days))


def reorder_point(use: Use, *, lead_days: int, safety_days: int) -> Decimal:
    """Return the stock that lead time and safety days use up at the upper edge."""
    return use.high * (lead_days + safety_days)


def plan_reorder(
    on_hand: Decimal,
    use: Use,
    *,
    pack_size: Decimal,
    lead_days: int,
    as_of: date,
    safety_days: int = 7,
    cover_days: int = 28,
    on_order: Decimal = ZERO,
    rules: DispenseRules | None = None,
) -> Reorder | None:
    """Return the reorder that is due, or None while stock and orders reach the point.

    The quantity covers lead, safety and `cover_days` at the upper edge of use, in whole
    packs, at least one and at most what the rules allow. `needed_by` is the day by
    which it must have arrived: the earliest run-out, or today if that has passed.
    Raises ValueError for a pack without content or a negative time.
    """
    if pack_size <= ZERO or min(lead_days, safety_days, cover_days) < 0:
        raise ValueError(f"cannot order {pack_size=} {lead_days=} {safety_days=}")
    rules = rules or DispenseRules()
    have = max(ZERO, on_hand)
    point = reorder_point(use, lead_days=lead_days, safety_days=safety_days)
    if have + on_order >= point:
        return None
    lacking = point + use.high * cover_days - have - on_order
    packs = max(1, int((lacking / pack_size).to_integral_value(ROUND_CEILING)))
    packs = packs if rules.most_packs is None else min(packs, max(1, rules.most_packs))
    holds = _holds(rules, as_of)
    ends = run_out(have, use, as_of=as_of)
    return Reorder(
        packs=packs,
        amount=packs * pack_size,
        action=Action.PROPOSE if holds else Action.PLACE,
        holds=holds,
        not_before=max(as_of, rules.earliest_refill or as_of),
        needed_by=ends.earliest or as_of,
        run_out=ends,
        explanation={
            "on_hand": str(on_hand),
            "on_order": str(on_order),
            "daily_use": f"{use.expected} ({use.low} to {use.high})",
            "days_observed": str(use.days),
            "lead_days": str(lead_days),
            "safety_days": str(safety_days),
            "cover_days": str(cover_days),
            "reorder_point": str(point),
            "pack_size": str(pack_size),
            "holds": ", ".join(holds),
        },
    )


def _deviation(known: Sequence[Decimal]) -> Decimal:
    if len(known) < 2:
        return ZERO
    mean = sum(known, ZERO) / len(known)
    squares = sum(((amount - mean) ** 2 for amount in known), ZERO)
    return (squares / (len(known) - 1)).sqrt()


def _holds(rules: DispenseRules, as_of: date) -> tuple[Hold, ...]:
    earliest = rules.earliest_refill
    checks = (
        (Hold.CONTROLLED, rules.controlled),
        (
            Hold.NO_REPEATS_LEFT,
            rules.repeats_left is not None and rules.repeats_left < 1,
        ),
        (Hold.BEFORE_EARLIEST_REFILL, earliest is not None and as_of < earliest),
    )
    return tuple(hold for hold, holds in checks if holds)
