"""One phase as a FHIR R4 Timing that reads back to the same doses.

What R4 counts from the start of the bounds must begin there: a timing whose anchor lies
elsewhere is begun at its first dose, and refused where that would change anything.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backend.regimens.expand import occurrences, times_on
from backend.regimens.fhir_json import MOST
from backend.regimens.fhir_modifiers import say_after_taken, say_cycle
from backend.regimens.timing import (
    AfterTaken,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Together,
    Weekdays,
)
from backend.regimens.zones import DAY, start_of, wall

Json = dict[str, object]
Bound = date | datetime | None
Counted = Weekdays | Monthly | Cycle  # these have an anchor to count from
FARTHEST = 15_000  # days to look for the first dose


class NotInFhir(BadTiming):
    """R4 has no way to say this timing."""


class NoDose(NotInFhir):
    """The timing asks for no dose at all."""

    def __init__(self) -> None:
        super().__init__("it asks for no dose")


def say_timing(phase: Phase, zone: ZoneInfo) -> Json:
    """Return a Timing as JSON; raises NotInFhir."""
    match phase.timing:
        case Together():
            raise NotInFhir("parts that hold together are several dosages")
        case Instants():
            return _events(phase, zone)
        case EveryHours():
            said = _every_hours(phase.timing, phase.start, zone)
        case _:
            said = _wall(phase.timing, phase.start, zone)
    repeat = said.repeat | _bounds(said.start, phase)
    if said.modifier is None:
        return {"repeat": repeat}
    return {"repeat": repeat, "modifierExtension": [said.modifier]}


def say_following(timing: AfterTaken) -> Json:
    """Return an interval from the last taken dose as a Timing."""
    bounds = {"boundsPeriod": {"start": _moment(timing.first)}}
    at = {} if timing.at is None else {"timeOfDay": [timing.at.isoformat()]}
    every = _period(timing.every) if timing.at is None else _days(timing.every // DAY)
    return {"repeat": bounds | every | at, "modifierExtension": [say_after_taken()]}


@dataclass(frozen=True, slots=True)
class _Said:
    """What a Timing repeats, from when on, and what changes its meaning."""

    repeat: Json
    start: Bound
    modifier: Json | None = None


def _events(phase: Phase, zone: ZoneInfo) -> Json:
    assert isinstance(phase.timing, Instants)
    first, last = phase.timing.at[0], phase.timing.at[-1]
    due = occurrences(phase, zone=zone, first=first, last=last)
    events = [_moment(one.due_at) for one in due if one.due_at]
    if not events:
        raise NoDose
    return {"event": events}


def _every_hours(timing: EveryHours, start: Bound, zone: ZoneInfo) -> _Said:
    anchor = timing.anchor.astimezone(UTC)
    begun = anchor if start is None else start
    if not isinstance(begun, datetime):
        begun = start_of(begun, zone)
    if begun > anchor:
        number = -((anchor - begun) * timing.doses // timing.every)
        even = not timing.every % (timing.doses * timedelta(seconds=1))
        if number % timing.doses and not even:
            raise NotInFhir("it does not begin with a dose on a whole second")
        anchor += timing.every * number // timing.doses
    often: Json = {"frequency": timing.doses} | _period(timing.every)
    return _Said(often, anchor)


def _wall(
    timing: ClockTimes | Weekdays | Monthly | DailyCount | Cycle,
    start: Bound,
    zone: ZoneInfo,
) -> _Said:
    match timing:
        case ClockTimes(times):
            return _Said(_at(times), start)
        case DailyCount(n):
            if n == 0:
                raise NoDose
            return _Said({"frequency": n} | _days(1), start)
        case Weekdays(times, days, every):
            weeks = {"period": every, "periodUnit": "wk"} if every > 1 else {}
            on = {"dayOfWeek": [str(day) for day in days]}
            begun = _begun(timing, start, zone) if every > 1 else start
            return _Said(weeks | on | _at(times), begun)
        case Monthly(times, _, every):
            months = {"period": every, "periodUnit": "mo"}
            return _Said(months | _at(times), _begun(timing, start, zone))
        case Cycle(1, off, _, ClockTimes(times)):
            return _Said(_days(off + 1) | _at(times), _begun(timing, start, zone))
        case Cycle():
            # Nothing is asked for before the anchor.
            inner = _wall(timing.inner, start or timing.anchor, zone)
            return _Said(inner.repeat, inner.start, say_cycle(timing))


def _begun(timing: Counted, start: Bound, zone: ZoneInfo) -> Bound:
    """Return a start from which counting gives the same doses."""
    if start is None:
        return timing.anchor
    if not isinstance(start, datetime):
        last = start + FARTHEST * DAY
        days = (start + n * DAY for n in range((last - start).days))
        first = next((day for day in days if times_on(timing, day)), None)
        if first is None:
            raise NoDose
        start = first
    day = wall(start, zone).date() if isinstance(start, datetime) else start
    if not _aligned(timing, day):
        raise NotInFhir("it is not counted from its start")
    return start


def _aligned(timing: Counted, day: date) -> bool:
    """Tell whether counting from `day` gives what counting from the anchor gave."""
    match timing:
        case Weekdays():
            anchor = timing.anchor or day
            weeks = day - day.weekday() * DAY - anchor + anchor.weekday() * DAY
            return weeks.days // 7 % timing.every_weeks == 0
        case Monthly(_, anchor, every):
            months = (day.year - anchor.year) * 12 + day.month - anchor.month
            return day >= anchor and day.day == anchor.day and months % every == 0
        case Cycle(on, off, anchor):
            return day >= anchor and (day - anchor).days % (on + off) == 0


def _bounds(start: Bound, phase: Phase) -> Json:
    if start is not None and phase.end is not None and is_past(start, phase.end):
        raise NoDose
    bounds = {"start": _moment(start), "end": _moment(phase.end)}
    period: Json = {name: at for name, at in bounds.items() if at is not None}
    said: Json = {"boundsPeriod": period} if period else {}
    return said if phase.count is None else said | {"count": phase.count}


def is_past(start: date | datetime, end: date | datetime) -> bool:
    """Tell whether a start lies after an end, by a day or more where kinds differ."""
    if isinstance(start, datetime) == isinstance(end, datetime):
        return start > end
    days = (
        bound.date() if isinstance(bound, datetime) else bound for bound in (start, end)
    )
    return next(days) > next(days) + DAY


def _at(times: tuple[time, ...]) -> Json:
    return {"timeOfDay": [at.isoformat() for at in times]}


def _days(number: int) -> Json:
    return {"period": number, "periodUnit": "d"}


def _period(every: timedelta) -> Json:
    for unit, length in (("h", 3600), ("min", 60), ("s", 1)):
        value, rest = divmod(every, timedelta(seconds=length))
        if not rest and value <= MOST:
            return {"period": value, "periodUnit": unit}
    raise NotInFhir(f"{every} is no period of whole seconds")


def _moment(bound: Bound) -> str | None:
    if isinstance(bound, datetime):
        return f"{bound.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return None if bound is None else bound.isoformat()
