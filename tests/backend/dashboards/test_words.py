"""Prescriptions, reasons and addresses in words."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import numpy as np
import pytest

from analytics.records import Series
from backend.dashboards.history import bins, stretch
from backend.dashboards.views import Need
from backend.dashboards.words import because, masked, needs, quantity
from tests.builders import NOW

ZURICH = "Europe/Zurich"
EIGHT, TWENTY = time(8), time(20)
ANCHOR = date(2026, 1, 5)


@pytest.mark.parametrize(
    ("amount", "unit", "said"),
    [
        (Decimal(1), "1", "1 piece"),
        (Decimal("12.50"), "[iU]", "12.5 IU"),
        (Decimal("0.5"), "mL", "0.5 mL"),
        (None, None, ""),
    ],
)
def test_an_amount_carries_its_unit(
    amount: Decimal | None, unit: str | None, said: str
) -> None:
    assert quantity(amount, unit) == said


@pytest.mark.parametrize(
    ("channel", "address", "shown"),
    [
        ("sms", "+41791234567", "+41 ••• ••• 67"),
        ("email", "rosa.keller@home.example", "r•••@home.example"),
        ("webhook", "https://x.example", "the operator's webhook"),
        ("push", '{"endpoint": "https://push.example/secret"}', "a browser"),
        ("pager", "4711", "47•••"),
    ],
)
def test_an_address_is_masked(channel: str, address: str, shown: str) -> None:
    assert masked(channel, address) == shown


def test_a_reason_says_what_and_how_bad() -> None:
    reasons: list[dict[str, object]] = [
        {"code": "alert_high", "count": 2, "points": 2000},
        {"code": "missed", "count": 1, "points": 50},
        {"code": "unknown", "count": 3, "points": 45},
        {"code": "runs_out", "count": 0, "points": 120},
    ]
    assert needs(reasons, "Three doses missed") == (
        Need("Three doses missed, and 1 more", "high"),
        Need("1 dose missed in 14 days", "low"),
        Need("3 doses unknown in 3 days"),
        Need("Stock ends today", "medium"),
    )


@pytest.mark.parametrize(
    ("state", "why", "said"),
    [
        ("pending", {"delay_s": 1800}, "Sent 30 min later unless the dose is recorded"),
        (
            "sent",
            {"label": "unknown", "heard_until": None},
            "The device was never heard",
        ),
        ("cancelled", {"cancelled": "dose_recorded"}, "Withdrawn: dose recorded"),
        (  # the dose arrived when the text was with the provider already
            "sent",
            {"label": "late", "heard_until": None, "cancelled": "dose_recorded"},
            "The device was never heard",
        ),
        ("expired", {"expired": "its time was over"}, "Not sent: its time was over"),
        (
            "pending",
            {"dose_due_at": "2026-03-04T07:00:00+00:00"},
            "Dose due Wed 4 Mar 08:00",
        ),
        ("pending", {}, ""),
        (
            "sent",
            {"after": "x", "after_code": "30005"},
            "Another way, for the first one failed (30005)",
        ),
        (
            "sent",
            {"after": "x", "after_code": None},
            "Another way, for the first one was not delivered",
        ),
        ("failed", {"failed_over": "email"}, "Tried again by email"),
        ("failed", {"failed_over": "nobody"}, ""),
    ],
)
def test_why_a_message_went_or_not(
    state: str, why: dict[str, object], said: str
) -> None:
    assert because(why, ZURICH, state=state) == said


def test_heart_rate_is_binned_from_local_midnight_and_gaps_stay_gaps() -> None:
    start = datetime(2026, 3, 4, 5, tzinfo=UTC)  # 06:00 in Zurich
    minutes = [0, 1, 2, 3 * 60]
    times = [round((start + timedelta(minutes=n)).timestamp() * 1e6) for n in minutes]
    series = Series(np.array(times), np.array([60.0, 70.0, 80.0, 90.0]))

    made = bins(series, timedelta(hours=1), stretch(7, ZURICH, NOW).zone)

    assert [(b.start, b.median) for b in made] == [
        (start, 70.0),
        (start + timedelta(hours=3), 90.0),
    ]
    assert made[0].low == pytest.approx(61)
    assert made[0].until == start + timedelta(hours=1)


def test_a_long_span_ends_with_the_local_day_so_that_its_drawing_is_reused() -> None:
    one, later = (stretch(30, ZURICH, NOW + timedelta(hours=n)) for n in (0, 5))
    assert one == later
    assert one.last == datetime(2026, 3, 4, 23, tzinfo=UTC)
    assert stretch(1, ZURICH, NOW).last == NOW + timedelta(hours=1)
