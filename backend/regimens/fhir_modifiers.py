"""What R4 has no words for: cycles of days, and intervals from the last taken dose.

Both stand in `Timing.modifierExtension`, which no reader may overlook: without them the
rest of such a Timing reads as another prescription.
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from backend.regimens.fhir_json import Members, is_set, members, several, text
from backend.regimens.fhir_time import read_day
from backend.regimens.timing import (
    AfterTaken,
    BadTiming,
    ClockTimes,
    Cycle,
    DailyCount,
    EveryHours,
    Monthly,
    Phase,
    Weekday,
    Weekdays,
)
from backend.regimens.zones import DAY, wall

AFTER_TAKEN = "urn:doseloop:fhir:after-taken"
CYCLE = "urn:doseloop:fhir:cycle"


@dataclass(frozen=True, slots=True)
class Cycling:
    """On and off days; counted from the start of the bounds without an anchor."""

    on: int
    off: int
    anchor: date | None = None


@dataclass(frozen=True, slots=True)
class Following:
    """Each interval runs from the last taken dose."""


Modifier = Cycling | Following


def say_after_taken() -> dict[str, object]:
    """Return the modifierExtension of an interval from the last taken dose."""
    return {"url": AFTER_TAKEN, "valueBoolean": True}


def say_cycle(cycle: Cycle) -> dict[str, object]:
    """Return the modifierExtension of a cycle's on and off days."""
    parts = (
        ("on", "valuePositiveInt", cycle.on_days),
        ("off", "valuePositiveInt", cycle.off_days),
        ("anchor", "valueDate", cycle.anchor.isoformat()),
    )
    return {
        "url": CYCLE,
        "extension": [{"url": name, kind: value} for name, kind, value in parts],
    }


def read_modifier(timing: Members) -> Modifier | None:
    """Return what changes the meaning of a Timing, None where nothing does.

    Raises BadTiming for any other modifierExtension.
    """
    if not is_set(timing, "modifierExtension"):
        return None
    extensions = several(timing, "modifierExtension")
    one = members(extensions[0], "modifierExtension")
    if len(extensions) > 1 or one.get("url") not in (AFTER_TAKEN, CYCLE):
        raise BadTiming("a modifierExtension may change everything and is not known")
    if one["url"] == CYCLE:
        return _cycling(one)
    if one.get("valueBoolean") is not True:
        raise BadTiming(f"{AFTER_TAKEN} has valueBoolean true")
    return Following()


def _cycling(extension: Members) -> Cycling:
    found: dict[str, Members] = {}
    for each in several(extension, "extension"):
        inside = members(each, "extension")
        found[text(inside, "url") or ""] = inside
    if not {"on", "off"} <= found.keys() <= {"on", "off", "anchor"}:
        raise BadTiming(f"{CYCLE} has on, off and perhaps anchor")
    on, off = (_whole(found[name].get("valuePositiveInt")) for name in ("on", "off"))
    anchor = text(found["anchor"], "valueDate") if "anchor" in found else None
    return Cycling(on, off, None if anchor is None else read_day(anchor, "anchor"))


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadTiming(f"{CYCLE} counts whole days, not {value!r}")
    return value


def with_modifier(
    phase: Phase, changed: Modifier | None, zone: ZoneInfo
) -> Phase | AfterTaken:
    """Return a phase as its modifierExtension changes it."""
    if isinstance(changed, Cycling):
        return _cycle(phase, changed, zone)
    return phase if changed is None else _after_taken(phase, zone)


def _cycle(phase: Phase, changed: Cycling, zone: ZoneInfo) -> Phase:
    inner = phase.timing
    if not isinstance(inner, ClockTimes | Weekdays | Monthly | DailyCount):
        raise BadTiming("a cycle of days holds clock times on days, weeks or months")
    anchor = changed.anchor or _date(phase.start, zone)
    if anchor is None:
        raise BadTiming("a cycle is counted from boundsPeriod.start")
    return replace(phase, timing=Cycle(changed.on, changed.off, anchor, inner))


def _after_taken(phase: Phase, zone: ZoneInfo) -> AfterTaken:
    """Return "so long after the last taken dose" from what reads as "every so long"."""
    if phase.end is not None or phase.count is not None or phase.food is not None:
        raise BadTiming("after the last taken dose there is no end, count or meal")
    first = _date(phase.start, zone)
    match phase.timing:
        case EveryHours(every, anchor, 1):
            return AfterTaken(every, anchor)
        case ClockTimes((at,)) if first is not None:
            return AfterTaken(DAY, first, at)
        case Cycle(1, off, anchor, ClockTimes((at,))):
            return AfterTaken((off + 1) * DAY, anchor, at)
        case Weekdays((at,), (day,), weeks) if first and day == Weekday.of(first):
            return AfterTaken(timedelta(weeks=weeks), first, at)
        case _:
            raise BadTiming(
                "after the last taken dose wants one dose every so many h, d or wk"
            )


def _date(bound: date | datetime | None, zone: ZoneInfo) -> date | None:
    return wall(bound, zone).date() if isinstance(bound, datetime) else bound
