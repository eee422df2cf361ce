import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from analytics.records import Period, Series
from analytics.simulate import Person, Profile, behaviour, plan
from analytics.simulated_heart_rate import HeartRate, heart_rate_minutes
from device_bridge.virtual.plan import read_plan

START = datetime(2025, 1, 6, 8, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
PUNCTUAL = Profile(timing_sd=timedelta(), drift_sd=timedelta())
STAYS = Profile(timing_sd=timedelta(), drift_sd=timedelta(), discontinues=False)


def daily(days: int, *hours: float) -> list[datetime]:
    return [
        START + n * DAY + timedelta(hours=hour) for n in range(days) for hour in hours
    ]


def misses(due: list[datetime], seed: int, profile: Profile) -> list[bool]:
    taken = set(behaviour(due, seed=seed, profile=profile))
    return [at not in taken for at in due]


@pytest.fixture(scope="module")
def year() -> list[list[bool]]:
    """Whether 1,500 people missed, day by day, up to the last dose of each."""
    due = daily(365, 0)
    people = [misses(due, seed, PUNCTUAL) for seed in range(1500)]
    ends = [
        max((n + 1 for n, miss in enumerate(p) if not miss), default=0) for p in people
    ]
    return [person[:end] for person, end in zip(people, ends, strict=True)]


def test_once_daily_reproduces_the_figures_it_was_calibrated_to(
    year: list[list[bool]],
) -> None:
    """BMJ 2008;336:1114, within three standard errors of 1,500 people."""
    runs = [len(list(run)) for person in year for miss, run in groupby(person) if miss]
    holidays = sum(
        any(miss and len(list(run)) >= 3 for miss, run in groupby(person))
        for person in year
    )
    omitted = sum(runs)

    assert omitted / sum(map(len, year)) == pytest.approx(0.102, abs=0.015)
    assert sum(n for n in runs if n == 1) / omitted == pytest.approx(0.415, abs=0.03)
    assert sum(n for n in runs if n >= 3) / omitted == pytest.approx(0.435, abs=0.035)
    assert holidays / len(year) == pytest.approx(0.48, abs=0.04)


def test_half_are_still_taking_doses_after_a_year(year: list[list[bool]]) -> None:
    persistent = sum(len(person) > 355 for person in year)

    assert persistent / len(year) == pytest.approx(0.5, abs=0.04)


def test_twice_daily_has_thirteen_to_twenty_six_points_fewer_adherent_days() -> None:
    def adherent(*hours: float) -> float:
        due = daily(180, *hours)
        people = [misses(due, seed, STAYS) for seed in range(300)]
        size = len(hours)
        days = [
            not any(person[n : n + size])
            for person in people
            for n in range(0, size * 180, size)
        ]
        return sum(days) / len(days)

    assert 0.13 <= adherent(0) - adherent(0, 12) <= 0.26


def test_weekends_are_worse_and_the_days_before_a_visit_better() -> None:
    due = daily(364, 0)
    visits = tuple(START.date() + n * DAY for n in range(10, 364, 10))
    profile = Profile(
        timing_sd=timedelta(), drift_sd=timedelta(), discontinues=False, visits=visits
    )
    people = np.array([misses(due, seed, profile) for seed in range(300)])
    weekend = np.array([at.weekday() >= 5 for at in due])
    before = np.array([any(v - 3 * DAY <= at.date() < v for v in visits) for at in due])

    assert people[:, weekend].mean() > people[:, ~weekend].mean()
    better = people[:, ~before].mean() - people[:, before].mean()
    assert 0.01 < better < 0.06


@pytest.mark.parametrize("hours", [(0.0,), (0.0, 12.0), (0.0, 4.0, 8.0, 12.0)])
def test_any_schedule_is_answered_within_reach_and_at_most_once_a_dose(
    hours: tuple[float, ...],
) -> None:
    due = daily(60, *hours)
    taken = behaviour(due, seed=4)

    assert taken == sorted(taken)
    assert 0 < len(taken) <= len(due)
    reach = timedelta(hours=3, minutes=30)
    assert all(min(abs(at - slot) for slot in due) <= reach for at in taken)


def test_the_same_seed_lives_the_same_life_however_long_one_looks() -> None:
    due = daily(200, 0)

    longer, shorter = behaviour(due, seed=8), behaviour(due[:100], seed=8)

    assert behaviour(due, seed=8) == longer
    assert longer != behaviour(due, seed=9)
    day_100 = due[100] - timedelta(hours=8)
    assert [at for at in longer if at < day_100] == [
        at for at in shorter if at < day_100
    ]
    assert behaviour([], seed=8) == []


def events(person: Person) -> list[dict[str, Any]]:
    made = plan([person], clock={}, first=START - DAY, last=START + 90 * DAY)
    devices: Any = made["devices"]
    return devices[0]["events"]


def test_a_box_is_opened_and_closed() -> None:
    got = events(
        Person("box", "B1", 3, due=tuple(daily(30, 0)), compartment=2, profile=STAYS)
    )

    assert {event["what"] for event in got} == {"opened", "closed"}
    assert [event["at"] for event in got] == sorted(event["at"] for event in got)
    assert {event["compartment"] for event in got} == {2}
    assert {event["amount"] for event in got} == {None}


def test_an_injector_dispenses_its_amount_and_sometimes_primes() -> None:
    due = tuple(daily(60, 0))
    got = events(
        Person("injector", "I1", 3, due=due, amount=Decimal("12.5"), unit="[iU]")
    )

    amounts = {event["what"]: (event["amount"], event["unit"]) for event in got}
    assert amounts == {"dispensed": ("12.5", "[iU]"), "prime": ("2", "[iU]")}


def test_a_plan_is_json_and_keeps_to_its_span() -> None:
    away = Period(START, START + timedelta(hours=3))
    heart = HeartRate(steps=((START, 8.0),))
    people = [
        Person("box", "B1", 1, due=tuple(daily(30, 0)), out_of_range=(away,)),
        Person("wearable", "W1", 2, heart_rate=heart, clock_offset_s=-90),
    ]

    got = json.loads(
        json.dumps(plan(people, clock={"speed": 1}, first=START, last=START + 10 * DAY))
    )

    box, wearable = got["devices"]
    assert got["clock"] == {"speed": 1}
    assert box["out_of_range"] == [
        ["2025-01-06T08:00:00+00:00", "2025-01-06T11:00:00+00:00"]
    ]
    assert all("2025-01-06" <= event["at"] < "2025-01-17" for event in box["events"])
    assert wearable["heart_rate"] == {
        "base": 66.0,
        "sleep": 56.0,
        "noise": 3.0,
        "steps": [["2025-01-06T08:00:00+00:00", 8.0]],
    }
    assert (wearable["clock_offset_s"], wearable["events"]) == (-90, [])


def test_the_bridge_reads_the_plan() -> None:
    instant = START.isoformat()
    clock = {"anchor_real": instant, "anchor_domain": instant, "speed": 1}
    due = tuple(daily(30, 0))
    people = [
        Person("box", "B1", 1, due=due, out_of_range=(Period(START),)),
        Person("injector", "I1", 2, due=due, amount=Decimal("12.5"), unit="[iU]"),
        Person("wearable", "W1", 3, heart_rate=HeartRate(steps=((START, 8.0),))),
    ]
    made = plan(people, clock=clock, first=START, last=START + 10 * DAY)

    devices = read_plan(json.loads(json.dumps(made))).devices

    assert [device.kind for device in devices] == ["box", "injector", "wearable"]
    assert all(device.events for device in devices[:2])
    assert devices[0].out_of_range == ((START, START + 10 * DAY),)


ZURICH = ZoneInfo("Europe/Zurich")
SPRING = datetime(2025, 3, 20, 9, 30, tzinfo=UTC)


def beats(first: datetime, last: datetime, heart: HeartRate | None = None) -> Series:
    return heart_rate_minutes(
        first, last, heart=heart or HeartRate(), seed=5, zone=ZURICH
    )


def test_spans_of_one_life_agree_where_they_meet() -> None:
    """Also over the night in which the clocks change."""
    whole = beats(SPRING, SPRING + 20 * DAY)
    cut = SPRING + 9 * DAY + timedelta(hours=15, seconds=20)

    parts = [beats(SPRING, cut), beats(cut, SPRING + 20 * DAY)]

    assert np.array_equal(whole.times, np.concatenate([p.times for p in parts]))
    assert np.array_equal(whole.values, np.concatenate([p.values for p in parts]))
    assert len(beats(SPRING, SPRING).values) == 0


def test_hearts_are_slow_at_night_fast_at_work_and_not_always_worn() -> None:
    got = beats(SPRING, SPRING + 60 * DAY)

    local_hour = (got.times // 3_600_000_000 + 1) % 24
    night = np.median(got.values[(local_hour >= 2) & (local_hour < 5)])
    noon = np.median(got.values[(local_hour >= 11) & (local_hour < 17)])
    assert 53 <= night <= 60
    assert 63 <= noon <= 75
    assert 90 < np.percentile(got.values, 99) < 140
    assert 0.85 < len(got.values) / (60 * 1440) < 0.99


def test_a_step_raises_every_later_minute() -> None:
    at = SPRING + 5 * DAY

    plain, raised = (
        beats(SPRING, SPRING + 10 * DAY, HeartRate(steps=steps))
        for steps in ((), ((at, 8.0),))
    )

    added = raised.values - plain.values
    later = plain.times >= int(at.timestamp() * 1e6)
    assert set(added[~later]) == {0.0}
    assert set(added[later]) == {8.0}


def test_the_days_wander_as_real_baselines_do() -> None:
    """LifeSnaps, 7-day median against 28 days before: -4.3 to 4.6 (5 to 95 %)."""
    got = beats(SPRING, SPRING + 400 * DAY, HeartRate(wear=1.0))
    days = [
        float(np.percentile(part.values, 10))
        for n in range(400)
        if len((part := got.between(SPRING + n * DAY, SPRING + (n + 1) * DAY)).values)
    ]
    drift = [
        np.median(days[n : n + 7]) - np.median(days[n - 28 : n])
        for n in range(28, len(days) - 7)
    ]

    low, high = np.percentile(drift, [5, 95])
    assert -5 < low < -1
    assert 1 < high < 5


def test_a_patient_may_be_given_a_character() -> None:
    due = daily(300, 0)
    careful = Profile(z=-1.5, discontinues=False)
    forgetful = Profile(z=1.5, discontinues=False)

    assert len(behaviour(due, seed=1, profile=careful)) > 290
    assert len(behaviour(due, seed=1, profile=forgetful)) < 240
