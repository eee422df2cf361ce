"""FHIR's events of daily living, placed by one patient's own times (ADR 0034)."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta

from backend.regimens.fhir_json import Members, is_set, several
from backend.regimens.timing import BadTiming, Food

Meals = Mapping[str, time]
MEALS = ("breakfast", "lunch", "dinner")
EVENTS = (*MEALS, "wake", "bedtime")
MOST_MINUTES = 12 * 60
ANY_DAY = date(2000, 1, 1)

# v3-TimingEvent: the meals a code means, how a dose is taken with them, and on which
# side of the event an offset lies (0: none is allowed, tim-9).
_SIDES = (("AC", Food.BEFORE, -1), ("C", Food.WITH, 0), ("PC", Food.AFTER, 1))
CODES: Mapping[str, tuple[tuple[str, ...], Food | None, int]] = {
    **{code: (MEALS, food, side) for code, food, side in _SIDES},
    **{
        f"{code}{letter}": ((meal,), food, side)
        for code, food, side in _SIDES
        for letter, meal in zip("MDV", MEALS, strict=True)
    },
    "WAKE": (("wake",), None, 1),
    "HS": (("bedtime",), None, -1),
}


def times_of_events(repeat: Members, meals: Meals) -> tuple[set[time], Food | None]:
    """Return the clock times that `when` and `offset` mean, and the label.

    Raises BadTiming for an event whose time is not in `meals`, for parts of the day
    ("MORN"), and where the events differ in how the dose is taken.
    """
    found: set[time] = set()
    labels: set[Food | None] = set()
    for code in several(repeat, "when"):
        if code not in CODES:
            raise BadTiming(f"when {code!r} is no meal, waking or going to bed")
        events, food, side = CODES[str(code)]
        missing = [event for event in events if event not in meals]
        if missing:
            raise BadTiming(
                f"when {code} depends on meals and sleep: no {missing[0]} time is known"
            )
        shift = _offset(repeat, str(code), side)
        found |= {_shifted(meals[event], shift) for event in events}
        labels.add(food)
    if len(labels) > 1:
        raise BadTiming(
            "when names events before, with and after food: write them apart"
        )
    return found, labels.pop()


def _offset(repeat: Members, code: str, side: int) -> timedelta:
    if not is_set(repeat, "offset"):
        return timedelta()
    minutes = repeat["offset"]
    if not isinstance(minutes, int) or isinstance(minutes, bool):
        raise BadTiming(f"offset is a whole number of minutes, not {minutes!r}")
    if not 0 <= minutes <= MOST_MINUTES:
        raise BadTiming(f"offset lies between 0 and {MOST_MINUTES} minutes")
    if side == 0:
        raise BadTiming(f"offset says nothing beside when {code}")
    return side * timedelta(minutes=minutes)


def _shifted(at: time, by: timedelta) -> time:
    moved = datetime.combine(ANY_DAY, at, UTC) + by
    if moved.date() != ANY_DAY:
        raise BadTiming(f"offset takes {at:%H:%M} to another day")
    return moved.time()
