"""What a cohort's people did, phase by phase: each person first, then all of them.

A figure of a cohort is the mean over people, each of whom counts once however long they
were followed; its interval is a bootstrap of people, who are independent of one another
where their days are not.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np

from analytics.adherence.curves import Curves, curves
from analytics.adherence.dose_days import Day
from analytics.adherence.electronic_monitoring import (
    correct_dosing_days,
    counts_of,
    dose_taken_days,
    holiday_count,
    taking_adherence,
)
from analytics.adherence.measure import (
    DRAWS,
    LEVEL,
    Counts,
    Interval,
    Measure,
    Parameters,
    bootstrap,
)
from analytics.adherence.persistence import (
    GAP,
    Cohort,
    Curve,
    Phases,
    initiation,
    phases,
)


@dataclass(frozen=True, slots=True)
class Life:
    """One person's dose-days in order, from the first on which a dose was due.

    A day that is absent is one of which it is known that no dose was due. `timed` and
    `on_time` are, day by day, the doses with a time of day and those taken in time.
    """

    days: Sequence[Day]
    timed: Sequence[int] = ()
    on_time: Sequence[int] = ()

    @property
    def begun(self) -> int | None:
        """The place of the first known day on which a dose was taken."""
        return next(
            (
                place
                for place, day in enumerate(self.days)
                if not day.non_monitored and day.corrected > 0
            ),
            None,
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """A measure over people: its mean with an interval, and how people differ."""

    name: str
    people: int
    mean: float | None
    sd: float | None
    lower_quartile: float | None
    median: float | None
    upper_quartile: float | None
    interval: Interval | None
    unit: str = "1"
    parameters: Parameters = field(default_factory=dict[str, float | str])

    @classmethod
    def of(
        cls,
        name: str,
        values: Sequence[float],
        *,
        unit: str = "1",
        parameters: Parameters | None = None,
        level: float = LEVEL,
    ) -> "Spread":
        """Return how these values of people lie; of nobody all is None.

        Quartiles are interpolated linearly (Hyndman and Fan's type 7).
        """
        told: Parameters = dict(parameters or {})
        if not values:
            return cls(
                name, 0, None, None, None, None, None, None, unit=unit, parameters=told
            )
        data = np.array(values, dtype=float)
        sd = interval = None
        if len(data) > 1:
            sd = float(data.std(ddof=1))
            drawn = bootstrap(
                lambda rows: data[rows].mean(axis=1), len(data), block=1, level=level
            )
            interval = drawn and replace(drawn, method="bootstrap, people")
        low, middle, high = (float(q) for q in np.quantile(data, [0.25, 0.5, 0.75]))
        return cls(
            name,
            len(data),
            float(data.mean()),
            sd,
            low,
            middle,
            high,
            interval,
            unit=unit,
            parameters=told,
        )


@dataclass(frozen=True, slots=True)
class Findings:
    """What became of a cohort; `curves` None where nobody took a dose.

    `initiated` of `people` took a dose; `discontinued` of them stopped; `counts` are
    sums over the days from initiation to discontinuation of all.
    """

    people: int
    initiated: int
    discontinued: int
    initiation: Curve | None
    days_to_first_dose: Spread
    implementation: tuple[Spread, ...]
    curves: Curves | None
    counts: Counts
    first_day: date | None
    last_day: date | None
    gap: int


MEASURES: Mapping[str, Callable[[Sequence[Day]], Measure]] = {
    "taking adherence, capped": taking_adherence,
    "correct dosing days": correct_dosing_days,
    "dose-taken days": dose_taken_days,
    "drug holidays": holiday_count,
}


def findings(
    lives: Sequence[Life],
    *,
    days: int = 365,
    gap: int = GAP,
    draws: int = DRAWS,
    within_s: float = 3600.0,
) -> Findings:
    """Return initiation, implementation and persistence of these people.

    Curves reach `days` from the first dose. Implementation of each person is of the
    known days from the first dose to the last, or to the end of their follow-up where
    they have not stopped. Raises ValueError for a gap or number of days below 1.
    """
    if days < 1:
        raise ValueError(f"want 1 day or more, got {days}")
    lives = [life for life in lives if life.days]
    begun = [(life, place) for life in lives if (place := life.begun) is not None]
    cohort = _cohort([life.days[place:] for life, place in begun])
    found = phases(cohort, gap=gap) if cohort is not None else None
    engaged = _engaged(begun, found)
    waits = [_wait(life, place) for life, place in begun]
    covered = [day for life, rows in engaged for day in _of(life, rows)]
    whole = None if cohort is None else curves(cohort, gap=gap, draws=draws)
    return Findings(
        people=len(lives),
        initiated=len(begun),
        discontinued=0 if found is None else int(found.discontinued.sum()),
        initiation=_initiation(lives),
        days_to_first_dose=Spread.of("days to the first dose", waits, unit="d"),
        implementation=(
            *(_spread(name, engaged) for name in MEASURES),
            _timing(engaged, within_s),
        ),
        curves=None if whole is None else _cut(whole, days),
        counts=counts_of(covered),
        first_day=min((life.days[0].day for life in lives), default=None),
        last_day=max((life.days[-1].day for life in lives), default=None),
        gap=gap,
    )


_Engaged = Sequence[tuple[Life, range]]


def _cohort(lives: Sequence[Sequence[Day]]) -> Cohort | None:
    """Return the days of each since the first dose, as arrays: people by days."""
    if not lives:
        return None
    length = max((days[-1].day - days[0].day).days for days in lives) + 1
    taken = np.zeros((len(lives), length), dtype=np.int64)
    expected = np.zeros_like(taken)
    known = np.zeros(taken.shape, dtype=bool)
    for person, days in enumerate(lives):
        first = days[0].day
        known[person, : (days[-1].day - first).days + 1] = True
        for day in days:
            place = (day.day - first).days
            known[person, place] = not day.non_monitored
            taken[person, place] = day.corrected
            expected[person, place] = day.expected or 0
    return Cohort(taken, expected, known)


def _cut(whole: Curves, days: int) -> Curves:
    """Return the first days; what came later has said who stopped and who went on."""
    parts = whole.implementation, whole.persistence, whole.adherence
    return Curves(
        *(
            replace(
                part,
                value=part.value[:days],
                low=part.low[:days],
                high=part.high[:days],
                people=part.people[:days],
            )
            for part in parts
        )
    )


def _engaged(begun: Sequence[tuple[Life, int]], found: Phases | None) -> _Engaged:
    """Return each life with the places of its days from initiation to the last dose."""
    if found is None:
        return []
    engaged: list[tuple[Life, range]] = []
    for person, (life, place) in enumerate(begun):
        stop = len(life.days)
        if found.discontinued[person]:
            first, last = life.days[place].day, int(found.last_dose[person])
            inside = [(day.day - first).days <= last for day in life.days[place:]]
            stop = place + sum(inside)
        engaged.append((life, range(place, stop)))
    return engaged


def _of(life: Life, rows: range) -> list[Day]:
    return list(life.days[rows.start : rows.stop])


def _spread(name: str, engaged: _Engaged) -> Spread:
    measures = [MEASURES[name](_of(life, rows)) for life, rows in engaged]
    known = [one for one in measures if one.value is not None]
    told: Parameters = known[0].parameters if known else dict[str, float | str]()
    values = [one.value for one in known if one.value is not None]
    return Spread.of(name, values, parameters=told)


def _timing(engaged: _Engaged, within_s: float) -> Spread:
    """Return the share of timed doses taken in time, of each person's known days."""
    shares: list[float] = []
    for life, rows in engaged:
        if not life.timed:
            continue
        known = [row for row in rows if life.days[row].counts]
        asked = sum(life.timed[row] for row in known)
        if asked:
            shares.append(sum(life.on_time[row] for row in known) / asked)
    told = {"within_s": within_s}
    return Spread.of("timing adherence, window", shares, parameters=told)


def _wait(life: Life, place: int) -> float:
    return float((life.days[place].day - life.days[0].day).days)


def _initiation(lives: Sequence[Life]) -> Curve | None:
    """Return the share that began, by day since a dose was first due.

    Who took none is followed to their last day; unknown days before the first dose are
    followed too, for a dose taken then cannot be told.
    """
    if not lives:
        return None
    waits = [
        None if life.begun is None else int(_wait(life, life.begun)) for life in lives
    ]
    followed = [(life.days[-1].day - life.days[0].day).days for life in lives]
    return initiation(waits, followed)
