"""The figures of adherence in a patient's state row: those of the last 30 dose-days.

Counted as the API counts: a dose-day of a regimen is settled once none of its doses is
open, and known when none of them is unknown. Today is not looked back on yet.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from analytics.adherence.dose_days import dose_day
from backend.doses.days import OPEN, TAKEN

LOOK_BACK = 30  # dose-days; as many without a dose are held to be discontinuation
DAY = timedelta(days=1)


class Dosed(NamedTuple):
    """A scheduled dose: its regimen, dose-day with the zone it is of, and label."""

    regimen_id: UUID
    day: date
    zone: str
    label: str


@dataclass(slots=True)
class _Tally:
    """A dose-day of one regimen."""

    zone: str
    expected: int = 0
    taken: int = 0
    open: bool = False
    unknown: bool = False


def figures(
    doses: Iterable[Dosed],
    extras: Mapping[UUID, Sequence[datetime]],
    *,
    today: date,
    ever: bool,
) -> dict[str, object]:
    """Return what a list shows of the dose-days before `today`.

    `taken` of `expected` doses on known days, a day of a regimen at most what it asks;
    `known_days` and `unknown_days`; `longest_gap_d`, the longest run of known days with
    doses due and none taken; and `phase`: `taking`, `stopped` (a dose once, and none in
    all of the days, all known), `not_started`, `unknown`, or `none_due`. `ever`: a dose
    was taken at some time; `last_day` the last of the days, by which it is told how old
    the figures are. `extras` are unscheduled doses by regimen.
    """
    tallies = _tallied(doses, extras)
    first = today - LOOK_BACK * DAY
    window = {key: t for key, t in tallies.items() if first <= key[1] < today}
    settled = {key: tally for key, tally in window.items() if not tally.open}
    known = [tally for tally in settled.values() if not tally.unknown]
    unseen = {day for (_, day), tally in settled.items() if tally.unknown}
    by_day: Counter[date] = Counter()
    for (_, day), tally in settled.items():
        if not tally.unknown and day not in unseen:
            by_day[day] += tally.taken
    took_today = any(t.taken for (_, day), t in tallies.items() if day >= today)
    unsure = len(settled) < len(window) or bool(unseen)
    return {
        "days": LOOK_BACK,
        "last_day": (today - DAY).isoformat(),
        "expected": sum(tally.expected for tally in known),
        "taken": sum(min(tally.taken, tally.expected) for tally in known),
        "known_days": len(by_day),
        "unknown_days": len(unseen),
        "longest_gap_d": _longest_gap(by_day, unseen),
        "phase": _phase(
            window.values(), took_today=took_today, unsure=unsure, ever=ever
        ),
    }


def _tallied(
    doses: Iterable[Dosed], extras: Mapping[UUID, Sequence[datetime]]
) -> dict[tuple[UUID, date], _Tally]:
    tallies: dict[tuple[UUID, date], _Tally] = {}
    for dose in doses:
        key = dose.regimen_id, dose.day
        tally = tallies.get(key)
        if tally is None:
            tally = tallies[key] = _Tally(dose.zone)
        tally.expected += 1
        tally.taken += dose.label in TAKEN
        tally.open |= dose.label in OPEN
        tally.unknown |= dose.label == "unknown"
    if extras:
        for (regimen_id, day), tally in tallies.items():
            zone = ZoneInfo(tally.zone)
            tally.taken += sum(
                dose_day(at, zone) == day for at in extras.get(regimen_id, ())
            )
    return tallies


def _longest_gap(taken: Mapping[date, int], unseen: Iterable[date]) -> int:
    """Return the longest run of days without a dose; an unknown day ends it."""
    longest = run = 0
    for day in sorted({*taken, *unseen}):
        run = run + 1 if taken.get(day, 1) == 0 else 0
        longest = max(longest, run)
    return longest


def _phase(
    window: Iterable[_Tally], *, took_today: bool, unsure: bool, ever: bool
) -> str:
    tallies = list(window)
    if took_today or any(tally.taken for tally in tallies):
        return "taking"
    if not tallies:
        return "none_due"
    if unsure:
        return "unknown"
    return "stopped" if ever else "not_started"
