from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.detectors.resting_heart_rate import (
    CODE,
    MEASURED,
    THRESHOLD,
    daily,
    detect,
    five_minutes,
    scores,
)
from analytics.findings import HEART_RATE, Finding, History
from analytics.records import Series
from analytics.simulated_heart_rate import HeartRate, heart_rate_minutes
from tests.analytics.golden import rows

LIFESNAPS = "vitals/resting_heart_rate/lifesnaps_daily.csv"
ZURICH = ZoneInfo("Europe/Zurich")
START = datetime(2026, 1, 5, 11, tzinfo=UTC)  # noon in Zurich
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)

Person = tuple[NDArray[np.int64], NDArray[np.float64]]


def minutes(days: float, steps: tuple[tuple[datetime, float], ...] = ()) -> Series:
    heart = HeartRate(base=66, sleep=56, drift=0.5, wear=1.0, steps=steps)
    return heart_rate_minutes(START, START + days * DAY, heart=heart, seed=2)


def findings(series: Series, now: datetime) -> list[Finding]:
    return detect(History(series={HEART_RATE: series}, zone=ZURICH), now)


def test_a_day_is_the_lowest_half_hour_from_noon_to_noon() -> None:
    at = np.arange(0, 1440) * 60_000_000 + int(START.timestamp() * 1e6)
    beats = np.full(1440, 70.0)
    beats[600:630] = 50.0  # one half hour, aligned to five minutes
    beats[100] = 20.0  # one wrong sample

    days, values = daily(Series(at, beats), ZURICH)

    assert [date.fromordinal(int(day)) for day in days] == [date(2026, 1, 6)]
    assert values.tolist() == [50.0]


def test_medians_of_five_minutes_say_all_that_is_looked_at() -> None:
    series = minutes(4)

    medians = five_minutes(series)

    assert len(medians.times) <= 4 * 288 + 1
    for seen, same in zip(daily(series, ZURICH), daily(medians, ZURICH), strict=True):
        assert same.tolist() == seen.tolist()


def test_a_day_worn_for_less_than_four_hours_has_no_value() -> None:
    whole = minutes(3)
    worn = Series(
        np.concatenate([whole.times[:235], whole.times[1440:1700]]),
        np.concatenate([whole.values[:235], whole.values[1440:1700]]),
    )

    days, _ = daily(worn, ZURICH)

    assert [date.fromordinal(int(day)) for day in days] == [date(2026, 1, 7)]
    assert len(daily(Series.of([]), ZURICH)[0]) == 0


def test_a_step_of_eight_is_found_on_the_second_morning_and_explained() -> None:
    at = START + 35 * DAY
    series = minutes(40, steps=((at, 8.0),))

    first = findings(series, at + DAY + HOUR)
    [found] = findings(series, at + 2 * DAY + HOUR)

    assert first == []
    assert found.code == CODE
    assert 6 < float(found.numbers["difference"]) < 10
    assert abs(float(found.numbers["score"])) >= THRESHOLD
    assert found.parameters["threshold"] == THRESHOLD
    assert "above the person's own" in found.summary
    assert (found.since, found.at) == (at + DAY, at + 2 * DAY)


def test_a_fall_is_found_too() -> None:
    at = START + 35 * DAY

    [found] = findings(minutes(40, steps=((at, -9.0),)), at + 3 * DAY)

    assert float(found.numbers["difference"]) < 0
    assert "below" in found.summary


def test_is_quiet_without_a_change_a_baseline_or_fresh_data() -> None:
    at = START + 35 * DAY
    stepped = minutes(40, steps=((at, 8.0),))
    early = START + 8 * DAY

    assert findings(minutes(40), at + 3 * DAY) == []
    assert findings(minutes(10, steps=((early, 15.0),)), early + 2 * DAY) == []
    assert findings(stepped, START + 42 * DAY) == []
    assert detect(History(), START) == []


def test_the_waking_hours_of_a_day_that_has_not_ended_are_no_night() -> None:
    at = START + 35 * DAY
    one_bad_night = minutes(40, steps=((at, 12.0), (at + DAY, 0.0)))
    evening = at + DAY + 11 * HOUR

    assert findings(one_bad_night.between(START, evening), evening) == []


def lifesnaps(path: Path) -> list[Person]:
    days: dict[str, dict[int, float]] = defaultdict(dict)
    for row in rows(path):
        if row["resting_hr"] and float(row["resting_hr"]) > 20:  # 0 is no measurement
            day = date.fromisoformat(row["date"]).toordinal()
            days[row["id"]][day] = float(row["resting_hr"])
    return [
        (np.array(sorted(values)), np.array([values[day] for day in sorted(values)]))
        for _, values in sorted(days.items())
    ]


def alerts(person: Person) -> int:
    """False-alert episodes: after one, 14 days of quiet."""
    episodes, last = 0, -14
    for day, score in zip(person[0].tolist(), scores(*person).tolist(), strict=True):
        if abs(score) >= THRESHOLD and day - last >= 14:
            episodes, last = episodes + 1, day
    return episodes


def false_alerts(people: list[Person]) -> tuple[int, float]:
    nights = sum(int(np.isfinite(scores(*person)).sum()) for person in people)
    return sum(map(alerts, people)), nights / 30.44


def sensitivity(people: list[Person], step: float) -> float:
    """Share of steps seen within 7 days, six random onsets a person."""
    random = np.random.default_rng(1)
    seen: list[bool] = []
    for days, values in people:
        week = np.searchsorted(days, days + 7)
        usable = np.isfinite(scores(days, values)) & (week - np.arange(len(days)) >= 4)
        for n in random.choice(np.flatnonzero(usable), 6):
            changed = values + np.where(days >= days[n], step, 0.0)
            low, high = max(0, int(n) - 40), int(week[n])
            got = scores(days[low:high], changed[low:high])[int(n) - low :]
            seen.append(bool((np.abs(got) >= THRESHOLD).any()))
    return float(np.mean(seen))


@pytest.mark.golden
def test_on_real_people_it_performs_as_it_says(golden: Callable[[str], Path]) -> None:
    """The threshold is from every second person; what is stated, from the others."""
    people = lifesnaps(golden(LIFESNAPS))
    calibration = [p for p in people[::2] if np.isfinite(scores(*p)).any()]
    held_out = [p for p in people[1::2] if np.isfinite(scores(*p)).any()]

    episodes, months = false_alerts(calibration)
    assert episodes / months <= 0.25
    episodes, months = false_alerts(held_out)
    got = {
        "false_alerts_per_patient_month": episodes / months,
        "patient_months": months,
        "chance_within_7_days": sensitivity(held_out, 0),
        "sensitivity_3_within_7_days": sensitivity(held_out, 3),
        "sensitivity_5_within_7_days": sensitivity(held_out, 5),
        "sensitivity_8_within_7_days": sensitivity(held_out, 8),
    }
    assert got == pytest.approx(MEASURED, abs=0.006)
