"""Patients who behave like people, and the plans that virtual devices play for them.

Once daily the model reproduces what it was calibrated to (BMJ 2008;336:1114, 4,783
people): about 10 % of doses omitted, 41-42 % of omissions single days, 43-44 % in runs
of three or more, a holiday in a year for 47-49 %, half persistent after it. Agreement
with those figures is calibration, not validation. The same seed gives the same person,
and a longer schedule the same beginning (ADR 0022). `make bench` prints the calibration
with its Monte-Carlo errors; docs/electronic-monitoring.md tells the model.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal
from math import exp, log
from typing import Literal

import numpy as np

from analytics.records import Period
from analytics.simulated_heart_rate import HeartRate

MISS_INTERCEPT, MISS_SLOPE = -3.4606, 2.2273  # logit of a miss after a taken dose
GO_ON_MISSING = (0.2403, 0.4322, 0.8312)  # after one, two, three or more
HALF_LIFE_RATE = log(2) / 365 * 0.9699  # discontinuation a day for z = 0
HAZARD_SLOPE = 0.5481
# Twice daily has 13-26 points fewer adherent days (Saini 2009): this shift gives 16
SECOND_DOSE_SHIFT = 0.3
WEEKEND_SHIFT = 0.2  # in logits, taken back over the week
WHITE_COAT_DAYS, WHITE_COAT_FACTOR = 3, 0.8  # +3.0 points taken (Poleon 2022)
DAY_START = timedelta(hours=3)
DAY = timedelta(days=1)

Kind = Literal["box", "injector", "wearable"]


@dataclass(frozen=True, slots=True)
class Profile:
    """How somebody takes doses. `z` None: drawn; 0 is the median, 2 forgets a lot.

    `visits` are days on which a clinician is seen: the three before have fewer misses.
    `weekend_shift` is in logits, taken back over the week. Doses lie about the habit's
    hour with `timing_sd`, the same for all unless `timing_spread`; the habit walks away
    from the due time by `drift_sd` a week, and no dose is taken `farthest` from due.
    """

    z: float | None = None
    discontinues: bool = True
    visits: tuple[date, ...] = ()
    zone: tzinfo = UTC
    weekend_shift: float = WEEKEND_SHIFT
    timing_sd: timedelta = timedelta(minutes=30)
    timing_spread: float = 0.0  # SD of the logarithm of each person's own timing SD
    drift_sd: timedelta = timedelta(minutes=8)  # of the habit's walk, a week
    farthest: timedelta = timedelta(hours=3, minutes=30)


@dataclass(frozen=True, slots=True)
class Person:
    """One virtual device and who uses it; `due` are aware instants, ascending."""

    kind: Kind
    serial: str
    seed: int
    maker: str = "Doseloop"
    model: str = "Virtual"
    due: tuple[datetime, ...] = ()
    amount: Decimal | None = None
    unit: str | None = None
    compartment: int | None = None
    profile: Profile = field(default_factory=Profile)
    clock_offset_s: float = 0.0
    out_of_range: tuple[Period, ...] = ()
    heart_rate: HeartRate | None = None


def behaviour(
    due_times: Sequence[datetime], *, seed: int, profile: Profile | None = None
) -> list[datetime]:
    """Return the instants at which doses were taken, ascending, for any schedule.

    `due_times` are aware and ascending. The n-th dose of a dose-day follows the n-th
    of the day before, so that evenings are forgotten in runs of evenings; all share
    one person's z. Discontinuation counts from the first due time. O(n).
    """
    profile = profile or Profile()
    if not due_times:
        return []
    traits, chances, errors, walks = (
        np.random.default_rng([seed, stream]) for stream in range(4)
    )
    drawn, patience = traits.standard_normal(), traits.standard_exponential()
    z = drawn if profile.z is None else profile.z
    ends = due_times[0] + timedelta(days=engaged_days(z, patience, profile))
    count = len(due_times)
    luck = chances.random(count)
    sd = profile.timing_sd.total_seconds()
    if profile.timing_spread:
        sd *= exp(profile.timing_spread * traits.standard_normal())
    error = errors.standard_normal(count) * sd
    habit = _habit(due_times, walks, profile)
    places, doses_a_day = _places(due_times, profile.zone)
    coats = before_visits(profile.visits)
    runs: dict[int, int] = {}
    taken: list[datetime] = []
    farthest = profile.farthest.total_seconds()
    for n, due in enumerate(due_times):
        if due >= ends:
            break
        place = places[n]
        day = (due.astimezone(profile.zone) - DAY_START).date()
        chance = _miss(runs.get(place, 0), z, shift(day, profile, doses_a_day))
        if luck[n] < (chance * WHITE_COAT_FACTOR if day in coats else chance):
            runs[place] = runs.get(place, 0) + 1
            continue
        runs[place] = 0
        off = min(farthest, max(-farthest, error[n] + habit[n]))
        taken.append(due + timedelta(seconds=round(off)))
    return sorted(taken)


def plan(
    people: Iterable[Person],
    *,
    clock: Mapping[str, object],
    first: datetime,
    last: datetime,
) -> dict[str, object]:
    """Return the plan that `python -m device_bridge simulate` plays, ready for JSON.

    It holds what happens in first <= t < last; `clock` is passed through.
    """
    devices = [_device(person, Period(first, last)) for person in people]
    return {"clock": dict(clock), "devices": devices}


def _device(person: Person, span: Period) -> dict[str, object]:
    rate = person.heart_rate
    return {
        "kind": person.kind,
        "serial": person.serial,
        "maker": person.maker,
        "model": person.model,
        "clock_offset_s": person.clock_offset_s,
        "out_of_range": [
            [
                period.start.isoformat(),
                (period.until or span.until or span.start).isoformat(),
            ]
            for period in person.out_of_range
        ],
        "events": _events(person, span),
        "heart_rate": None if rate is None else rate.as_plan(),
    }


def _events(person: Person, span: Period) -> list[dict[str, object]]:
    random = np.random.default_rng([person.seed, 9])
    events: list[tuple[datetime, dict[str, object]]] = []
    for at in behaviour(person.due, seed=person.seed, profile=person.profile):
        for after, what, amount in _handling(person, random):
            moment = at + timedelta(seconds=after)
            if span.overlaps(moment, moment + timedelta(seconds=1)):
                events.append((moment, _event(person, moment, what, amount)))
    events.sort(key=lambda event: event[0])
    return [event for _, event in events]


def _event(
    person: Person, at: datetime, what: str, amount: Decimal | None
) -> dict[str, object]:
    return {
        "at": at.isoformat(),
        "what": what,
        "amount": None if amount is None else str(amount),
        "unit": None if amount is None else person.unit,
        "compartment": person.compartment,
    }


def _handling(
    person: Person, random: np.random.Generator
) -> list[tuple[int, str, Decimal | None]]:
    """Return what the device records at one intake: seconds after it, what, amount."""
    again, primed, held = random.random(3)
    if person.kind == "injector":
        insulin = person.unit == "[iU]"
        prime = [(-30, "prime", Decimal(2))] if insulin and primed < 0.5 else []
        return [*prime, (0, "dispensed", person.amount)]
    shut = 20 + round(70 * held)
    lid: list[tuple[int, str, Decimal | None]]
    lid = [(0, "opened", None), (shut, "closed", None)]
    if again < 0.02:  # was it shut? a second look within the debounce
        lid += [(shut + 120, "opened", None), (shut + 130, "closed", None)]
    return lid


def engaged_days(z: float, patience: float, profile: Profile) -> float:
    """Return days from the first dose due until somebody stops for good."""
    if not profile.discontinues:
        return 36500.0
    return min(patience / (HALF_LIFE_RATE * exp(HAZARD_SLOPE * z)), 36500.0)


def _places(due_times: Sequence[datetime], zone: tzinfo) -> tuple[list[int], int]:
    """Return each dose's place in its dose-day, and how many the fullest day has."""
    places: list[int] = []
    day, place = None, 0
    for due in due_times:
        today = (due.astimezone(zone) - DAY_START).date()
        place = place + 1 if today == day else 0
        day = today
        places.append(place)
    return places, max(places) + 1


def _habit(
    due_times: Sequence[datetime], walks: np.random.Generator, profile: Profile
) -> list[float]:
    """Return how far the habit has wandered from the due time, in seconds."""
    weeks = [(due - due_times[0]).days // 7 for due in due_times]
    steps = walks.standard_normal(weeks[-1] + 1) * profile.drift_sd.total_seconds()
    walk = np.cumsum(steps)
    return [float(walk[week]) for week in weeks]


def before_visits(visits: Iterable[date]) -> set[date]:
    """Return the days on which the white coat is already in mind."""
    return {v - n * DAY for v in visits for n in range(1, WHITE_COAT_DAYS + 1)}


def shift(day: date, profile: Profile, doses_a_day: int) -> float:
    """Return what a day's weekday and number of doses add to the logit of a miss."""
    weekend = day.weekday() >= 5
    moved = profile.weekend_shift * (1.0 if weekend else -0.4)
    return moved + SECOND_DOSE_SHIFT * min(1, doses_a_day - 1)


def _miss(run: int, z: float, shift: float) -> float:
    """Return the chance of missing after `run` misses in a row."""
    if run == 0:
        logit = MISS_INTERCEPT + MISS_SLOPE * z
    else:
        chance = GO_ON_MISSING[min(run, len(GO_ON_MISSING)) - 1]
        logit = log(chance / (1 - chance))
    return 1 / (1 + exp(-(logit + shift)))
