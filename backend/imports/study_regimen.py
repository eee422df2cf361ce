"""What a study's regimen rows ask for, as versions of a regimen.

A study says what holds on which days; a regimen is versioned, and a later version
replaces the earlier ones from its start on. So a changed row is a new version, and what
follows it is written again behind it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from backend.imports.study_rows import Asked
from backend.regimens.dose_plan import rules
from backend.regimens.expand import DOSE_DAY_STARTS
from backend.regimens.tables import RegimenVersion
from backend.regimens.timing import Cycle, DailyCount
from backend.regimens.timing_json import from_json
from backend.regimens.zones import DAY, first_instant, wall

DAY_STARTS = timedelta(hours=DOSE_DAY_STARTS.hour)


@dataclass(frozen=True, slots=True)
class Segment:
    """Days, both included, on which one timing holds."""

    first: date
    last: date
    timing: DailyCount | Cycle


def day_starts(day: date, zone: ZoneInfo, *, at: time = DOSE_DAY_STARTS) -> datetime:
    """Return the instant at which a dose-day begins."""
    return first_instant(datetime.combine(day, at), zone)


def segments(asked: Iterable[Asked]) -> list[Segment]:
    """Return what holds when; where rows overlap, the one that begins last does."""
    held: list[Segment] = []
    for row in sorted(asked, key=lambda row: (row.first, row.line)):
        count = DailyCount(row.expected)
        timing = Cycle(row.on, row.off, row.first, count) if row.off else count
        held = _over(held, [Segment(row.first, row.last, timing)])
    return held


def stored_segments(
    versions: Iterable[RegimenVersion], zone: ZoneInfo
) -> list[Segment]:
    """Return what the versions that an import wrote say, in order."""
    found: list[Segment] = []
    for rule in rules(versions):
        timing = from_json(rule.version.timing)
        if rule.until is not None and isinstance(timing, DailyCount | Cycle):
            first = (wall(rule.since, zone) - DAY_STARTS).date()
            last = (wall(rule.until, zone) - DAY_STARTS).date() - DAY
            found.append(Segment(first, last, timing))
    return found


@dataclass(frozen=True, slots=True)
class Rewrite:
    """Segments to write as new versions, and the days on which anything changes."""

    segments: Sequence[Segment]
    first: date
    last: date


def to_write(stored: Sequence[Segment], asked: Sequence[Segment]) -> Rewrite | None:
    """Return what to write behind the stored segments so that the asked ones hold.

    Days of which the asked say nothing stay as they are, but a segment that now begins
    on the same day and ends earlier is shortened. None when nothing changes.
    """
    begun = {segment.first for segment in asked}
    kept = [segment for segment in stored if segment.first not in begun]
    wanted = _over(kept, asked)
    for at, segment in enumerate(wanted):
        if at >= len(stored) or stored[at] != segment:
            concerned = [*wanted[at:], *stored[at:]]
            return Rewrite(
                wanted[at:],
                min(one.first for one in concerned),
                max(one.last for one in concerned),
            )
    return None


def _over(below: Sequence[Segment], above: Sequence[Segment]) -> list[Segment]:
    """Return both, with the days of `above` cut out of `below`, in order."""
    left = list(below)
    for cover in above:
        left = [piece for segment in left for piece in _without(segment, cover)]
    return sorted([*left, *above], key=lambda segment: segment.first)


def _without(segment: Segment, cover: Segment) -> Iterable[Segment]:
    if cover.last < segment.first or segment.last < cover.first:
        yield segment
        return
    if segment.first < cover.first:
        yield replace(segment, last=cover.first - DAY)
    if cover.last < segment.last:
        yield replace(segment, first=cover.last + DAY)
