"""Device clocks against true time, and the domain clock."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from device_bridge.clock import Clock, DomainClock, compare_clocks, true_time
from device_bridge.gatt.elapsed_time import utc_stamp

AT = datetime(2030, 1, 1, 12, tzinfo=UTC)


def test_the_offset_is_taken_at_the_middle_of_the_round_trip() -> None:
    face = AT + timedelta(seconds=30)
    before, after = AT - timedelta(seconds=1), AT + timedelta(seconds=1)
    reading = compare_clocks(utc_stamp(face), before, after)
    assert reading.offset_s == pytest.approx(30)
    assert reading.uncertainty_s == pytest.approx(1, abs=0.001)
    assert true_time(utc_stamp(face), reading.offset_s) == AT


def test_a_clock_that_asks_to_be_set_has_no_offset() -> None:
    stamp = replace(utc_stamp(AT), status=1)
    reading = compare_clocks(stamp, AT, AT)
    assert reading.offset_s is None
    assert reading.wants_setting
    assert true_time(stamp, reading.offset_s) is None


def test_drift_within_the_uncertainty_is_no_reason_to_set_a_clock() -> None:
    face = utc_stamp(AT + timedelta(seconds=70))
    slow = compare_clocks(face, AT - timedelta(seconds=20), AT + timedelta(seconds=20))
    quick = compare_clocks(face, AT, AT)
    assert not slow.wants_setting
    assert quick.wants_setting


def test_a_demo_clock_runs_at_its_speed() -> None:
    domain = DomainClock(AT, AT + timedelta(days=1), 120.0)
    clock = Clock(domain, lambda: AT + timedelta(seconds=1))
    assert clock.now == AT + timedelta(days=1, seconds=120)
    assert domain.real_at(clock.now) == AT + timedelta(seconds=1)


def test_own_clock_is_corrected_only_beyond_what_the_network_explains() -> None:
    clock = Clock(read_real=lambda: AT)
    later = AT + timedelta(seconds=4)
    clock.compare(AT, AT + timedelta(seconds=2.5), later)
    assert clock.real == AT
    clock.compare(AT, AT + timedelta(seconds=60), later)
    assert clock.real == AT + timedelta(seconds=58)
