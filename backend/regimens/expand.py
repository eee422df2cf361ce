"""A timing and a zone to the doses they make due.

WALL: a time in the gap of spring is due at the first valid instant after it, a time in
the repeated hour of autumn at its first pass, a date that the zone skipped has none,
and two times that fall on one instant are one dose. ELAPSED knows no clocks at all.
"""

from calendar import monthrange
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from heapq import merge
from itertools import count, islice, zip_longest
from zoneinfo import ZoneInfo

from backend.regimens.timing import (
    AfterTaken,
    AsNeeded,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Instants,
    Monthly,
    Phase,
    Simple,
    Taper,
    Timing,
    Together,
    Weekday,
    Weekdays,
)
from backend.regimens.zones import DAY, exists, first_instant, start_of, wall

DOSE_DAY_STARTS = time(3)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One dose that a timing makes due.

    `key` names it among those of its regimen, however much of it is expanded.
    `due_at` is empty for a dose that is due some time in its `dose_day`. `local` is
    the wall time as prescribed (so perhaps one that clocks skipped), `day` its date.
    `amount`, in `unit`, is empty where it is the regimen's.
    """

    key: str
    due_at: datetime | None
    local: datetime | None
    zone: str
    dose_day: date
    day: date
    amount: Decimal | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """The days to expand, both included, the zone, and when its dose-days start."""

    zone: ZoneInfo
    first: date
    last: date
    dose_day_start: time

    def days(self) -> Iterator[date]:
        return (
            date.fromordinal(number)
            for number in range(self.first.toordinal(), self.last.toordinal() + 1)
        )

    def dose_day(self, local: datetime) -> date:
        start = self.dose_day_start
        return (local - timedelta(hours=start.hour, minutes=start.minute)).date()


def occurrences(
    timing: Timing,
    *,
    zone: ZoneInfo,
    first: date | datetime,
    last: date | datetime,
    dose_day_start: time = DOSE_DAY_STARTS,
) -> Iterator[Occurrence]:
    """Yield what is due from `first` to `last`, both included, ascending.

    A date is the whole local day of the dose as prescribed; an instant is compared
    with `due_at`, or its dose-day with that of an untimed dose. Costs as much as the
    days asked for; a `count` is counted from its start. Of doses that follow the one
    before, the first alone is known from the timing.
    """
    frame = Frame(zone, _day(first, zone) - DAY, _day(last, zone) + DAY, dose_day_start)
    return (
        one for one in _expand(timing, frame) if is_between(one, first, last, frame)
    )


def _expand(timing: Timing, frame: Frame) -> Iterator[Occurrence]:
    """Yield everything of the frame's days, ascending."""
    match timing:
        case AsNeeded():
            return iter(())
        case DailyCount() | Cycle(inner=DailyCount()):
            return _untimed(timing, frame)
        case EveryHours() | Instants():
            return _elapsed(timing, frame)
        case AfterTaken():
            return iter([following(timing, 1, None, frame)])
        case _:
            return _nested_or_wall(timing, frame)


def _nested_or_wall(
    timing: ClockTimes | Weekdays | Monthly | Cycle | Phase | Together | Taper,
    frame: Frame,
) -> Iterator[Occurrence]:
    match timing:
        case Phase():
            return _phase(timing, frame)
        case Together(parts):
            return _together(parts, frame)
        case Taper(phases):
            return _one_an_instant(_taper(phases, frame))
        case _:
            return _wall(timing, frame)


def following(
    timing: AfterTaken, number: int, taken_at: datetime | None, frame: Frame
) -> Occurrence:
    """Return the dose that follows one taken at an instant, else the first.

    `number` counts the doses of the regimen from 1 and names it. A day that the zone
    skipped gives way to the next one.
    """
    first, zone = timing.first, frame.zone
    if isinstance(first, datetime):
        due_at = (taken_at + timing.every if taken_at else first).astimezone(UTC)
        local = wall(due_at, zone)
    else:
        day = wall(taken_at, zone).date() + timing.every if taken_at else first
        local = datetime.combine(day, timing.at or time())
        due_at = first_instant(local, zone)
    dose_day, key = frame.dose_day(local), f"{AFTER}{number}"
    return Occurrence(key, due_at, local, zone.key, dose_day, local.date())


AFTER = "after#"


def _wall(timing: Simple, frame: Frame) -> Iterator[Occurrence]:
    # From a day earlier, as a time before midnight and one after it may share an
    # instant, and which of the two names the dose must not depend on the frame.
    longer = replace(frame, first=frame.first - DAY)
    slots = (
        _at_wall_time(datetime.combine(day, at), frame)
        for day in longer.days()
        for at in times_on(timing, day)
    )
    existing = (one for one in slots if one is not None)
    return (one for one in _one_an_instant(existing) if one.day >= frame.first)


def _at_wall_time(local: datetime, frame: Frame) -> Occurrence | None:
    due_at = first_instant(local, frame.zone)
    day = local.date()
    if wall(due_at, frame.zone) != local and not exists(day, frame.zone):
        return None
    key = local.isoformat(timespec="seconds" if local.second else "minutes")
    return Occurrence(key, due_at, local, frame.zone.key, frame.dose_day(local), day)


def _untimed(timing: DailyCount | Cycle, frame: Frame) -> Iterator[Occurrence]:
    for day in frame.days():
        for number in range(1, doses_on(timing, day) + 1):
            if exists(day, frame.zone):
                key = f"{day}#{number}"
                yield Occurrence(key, None, None, frame.zone.key, day, day)


def _elapsed(timing: EveryHours | Instants, frame: Frame) -> Iterator[Occurrence]:
    start = start_of(frame.first, frame.zone) - DAY
    for due_at in _instants(timing, start):
        local = wall(due_at, frame.zone)
        if local.date() > frame.last + DAY:
            return
        if frame.first <= local.date() <= frame.last:
            key = f"{due_at:%Y-%m-%dT%H:%M:%SZ}"
            dose_day = frame.dose_day(local)
            yield Occurrence(key, due_at, local, frame.zone.key, dose_day, local.date())


def _instants(timing: EveryHours | Instants, start: datetime) -> Iterator[datetime]:
    """Yield whole UTC seconds from `start` on, without drift."""
    if isinstance(timing, Instants):
        yield from (at.astimezone(UTC) for at in timing.at if at >= start)
        return
    anchor = timing.anchor.astimezone(UTC)
    passed = max(start - anchor, timedelta())
    for number in count(passed * timing.doses // timing.every):
        yield (anchor + timing.every * number // timing.doses).replace(microsecond=0)


def _phase(phase: Phase, frame: Frame) -> Iterator[Occurrence]:
    zone = frame.zone
    first, last = frame.first, frame.last
    if phase.start is not None:
        start = _day(phase.start, zone) - DAY
        first = start if phase.count else max(first, start)
    if phase.end is not None:
        last = min(last, _day(phase.end, zone) + DAY)
    whole = _expand(phase.timing, replace(frame, first=first, last=last))
    held = (one for one in whole if is_between(one, phase.start, phase.end, frame))
    counted = islice(held, phase.count)
    inside = (one for one in counted if one.day >= frame.first)
    if phase.amount is None:
        return inside
    return (replace(one, amount=phase.amount, unit=phase.unit) for one in inside)


def _together(parts: Sequence[Phase], frame: Frame) -> Iterator[Occurrence]:
    """Yield the doses of all parts; those asked for at one time are one, of the sum."""
    every = (_phase(part, frame) for part in parts)
    previous: Occurrence | None = None
    for one in merge(*every, key=_when):
        if previous is None or one.due_at != previous.due_at:
            if previous is not None:
                yield previous
            previous = one
        elif one.local == previous.local and previous.amount and one.amount:
            previous = replace(previous, amount=previous.amount + one.amount)
    if previous is not None:
        yield previous


def _when(one: Occurrence) -> tuple[datetime, datetime]:
    """Return what parts are merged by: of one instant the earlier wall time first."""
    at = one.due_at or datetime.max.replace(tzinfo=UTC)
    return at, one.local or datetime.combine(one.day, time())


def _taper(phases: Sequence[Phase], frame: Frame) -> Iterator[Occurrence]:
    for phase, following in zip_longest(phases, phases[1:]):
        for one in _phase(phase, frame):
            if following and _against(one, following.start, frame) >= 0:
                break
            yield one


def times_on(timing: Simple, day: date) -> tuple[time, ...]:
    """Return the wall-clock times that a timing asks for on a date."""
    match timing:
        case ClockTimes(times):
            return times
        case Weekdays() | Monthly():
            return timing.times if _asks_on(timing, day) else ()
        case Cycle():
            return times_on(timing.inner, day) if _asks_on(timing, day) else ()
        case _:
            return ()


def doses_on(timing: DailyCount | Cycle, day: date) -> int:
    """Return how many untimed doses a timing asks for on a dose-day."""
    match timing:
        case DailyCount(n):
            return n
        case Cycle(inner=DailyCount(n)):
            return n if _asks_on(timing, day) else 0
        case _:
            return 0


def _asks_on(timing: Weekdays | Monthly | Cycle, day: date) -> bool:
    match timing:
        case Weekdays():
            anchor = timing.anchor or day
            weeks = (_monday(day) - _monday(anchor)) // 7
            return Weekday.of(day) in timing.days and weeks % timing.every_weeks == 0
        case Monthly(anchor=anchor):
            months = (day.year - anchor.year) * 12 + day.month - anchor.month
            length = monthrange(day.year, day.month)[1]
            return (
                day >= anchor
                and months % timing.every_months == 0
                and day.day == min(anchor.day, length)
            )
        case Cycle(on, off, anchor):
            return day >= anchor and (day - anchor).days % (on + off) < on


def _monday(day: date) -> int:
    return day.toordinal() - day.weekday()


def _one_an_instant(ascending: Iterable[Occurrence]) -> Iterator[Occurrence]:
    """Leave out what falls on the instant of the occurrence before it."""
    previous: datetime | None = None
    for one in ascending:
        if one.due_at is None or one.due_at != previous:
            yield one
        previous = one.due_at


def is_between(
    one: Occurrence,
    first: date | datetime | None,
    last: date | datetime | None,
    frame: Frame,
) -> bool:
    """Tell whether an occurrence lies between two bounds, both included.

    An instant is compared with `due_at`, or its dose-day with that of an untimed dose.
    """
    return _against(one, first, frame) >= 0 and _against(one, last, frame) <= 0


def _against(one: Occurrence, bound: date | datetime | None, frame: Frame) -> int:
    """Return below, at or above 0 as an occurrence is before, at or after a bound."""
    if bound is None:
        return 0
    if not isinstance(bound, datetime):
        return (one.day - bound).days
    if one.due_at is None:
        return (one.dose_day - frame.dose_day(wall(bound, frame.zone))).days
    return (one.due_at > bound) - (one.due_at < bound)


def _day(bound: date | datetime, zone: ZoneInfo) -> date:
    return wall(bound, zone).date() if isinstance(bound, datetime) else bound
