"""Forecasts of batteries: exact on a line, sober on noise, silent without evidence."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.battery import Forecast, Reading, forecast, since_renewal

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def falling(per_day: float, days: int, *, start: float = 90.0) -> list[Reading]:
    return [Reading(START + n * DAY, start - per_day * n) for n in range(days + 1)]


def a_forecast(readings: list[Reading]) -> Forecast:
    found = forecast(readings)
    assert found is not None
    return found


def test_a_steady_fall_ends_when_the_line_does() -> None:
    found = a_forecast(falling(1.0, 20))

    assert found.percent == pytest.approx(70)
    assert found.per_day == pytest.approx(1.0)
    assert found.expected - (START + 85 * DAY) < timedelta(seconds=1)
    assert found.earliest == found.expected == found.latest
    assert (found.readings, found.since, found.until) == (21, START, START + 20 * DAY)


@pytest.mark.parametrize(
    "readings",
    [[], falling(1.0, 3), falling(1.0, 20)[:4], falling(0.0, 40), falling(0.05, 40)],
    ids=["none", "few days", "few readings", "no fall", "hardly a fall"],
)
def test_nothing_is_said_without_evidence(readings: list[Reading]) -> None:
    assert forecast(readings) is None


def test_a_new_battery_begins_anew() -> None:
    old = falling(2.0, 30)
    new = [Reading(START + (40 + n) * DAY, 95 - n / 2) for n in range(15)]

    assert since_renewal(old + new) == new
    assert a_forecast(old + new).per_day == pytest.approx(0.5)


def test_an_empty_battery_is_empty_now() -> None:
    found = a_forecast(falling(1.0, 20, start=24.0))

    assert found.expected == START + 20 * DAY


def test_a_wild_level_does_not_move_the_forecast() -> None:
    sound = falling(1.0, 30)
    wild = [*sound[:10], Reading(START + 10 * DAY, 79.0), *sound[11:]]

    assert a_forecast(wild).per_day == pytest.approx(1.0, abs=0.02)


@given(st.floats(0.3, 3.0), st.integers(10, 40), st.randoms(use_true_random=False))
def test_order_and_repeats_do_not_matter_and_the_band_holds_the_line(
    per_day: float, days: int, random: Random
) -> None:
    readings = falling(per_day, days, start=130.0)
    shuffled = [*readings, *readings]
    random.shuffle(shuffled)

    found, again = a_forecast(readings), a_forecast(shuffled)

    assert again.expected - found.expected < timedelta(minutes=1)
    assert found.earliest <= found.expected
    assert found.latest is None or found.expected <= found.latest


@pytest.mark.parametrize("seed", range(3))
def test_nine_in_ten_bands_hold_the_true_end(seed: int) -> None:
    random = Random(seed)
    held = 0
    for _ in range(200):
        readings = [
            Reading(r.at, round(r.percent + random.gauss(0, 1.5)))
            for r in falling(0.8, 30)
        ]
        found = a_forecast(readings)
        end = START + timedelta(days=85 / 0.8)
        held += found.earliest <= end and (found.latest is None or end <= found.latest)
    assert held >= 160
