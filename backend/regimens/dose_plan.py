"""The doses that the versions of one regimen make due: pure, before any row."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

from analytics.matching import WINDOW_MOST, default_windows
from backend.people.zones import ZoneSpan, zone_at
from backend.regimens.chain import Link, next_dose
from backend.regimens.expand import DOSE_DAY_STARTS, Occurrence
from backend.regimens.tables import RegimenVersion
from backend.regimens.timing import AfterTaken
from backend.regimens.timing_json import from_json
from backend.regimens.travel import INSTANT, Effect, Journey, occurrences_through
from backend.regimens.zones import (
    DAY,
    TZDB_VERSION,
    first_instant,
    wall,
    zone_named,
)

ALONE = 4 * WINDOW_MOST  # so far apart, neighbours no longer narrow a window


@dataclass(frozen=True, slots=True)
class PlannedDose:
    """A scheduled dose as it is to be stored; its key is `occurrence`."""

    occurrence: str
    version: int
    dose_day: date
    due_at: datetime | None
    local_time: str | None
    zone: str
    tzdb: str
    window_from: datetime
    window_until: datetime
    amount: Decimal | None
    unit: str | None


@dataclass(frozen=True, slots=True)
class DosePlan:
    doses: tuple[PlannedDose, ...]
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A version of a regimen and the span in which it is the one in force."""

    version: RegimenVersion
    since: datetime
    until: datetime | None


def rules(versions: Iterable[RegimenVersion]) -> list[Rule]:
    """Return when each version is in force, in order of time.

    A later version replaces the earlier ones from its `effective_from` on, also when it
    was written down late; after its `until` nothing is in force.
    """
    found: list[Rule] = []
    begins: datetime | None = None
    for one in sorted(versions, key=lambda one: one.version, reverse=True):
        ends = [at for at in (one.until, begins) if at is not None]
        until = min(ends) if ends else None
        if until is None or one.effective_from < until:
            found.append(Rule(one, one.effective_from, until))
        begins = min(begins or one.effective_from, one.effective_from)
    return sorted(found, key=lambda rule: rule.since)


def plan_doses(
    versions: Iterable[RegimenVersion],
    zones: Sequence[ZoneSpan],
    *,
    first: datetime,
    last: datetime,
    links: Sequence[Link] = (),
    dose_day_start: time = DOSE_DAY_STARTS,
) -> DosePlan:
    """Return what is due from `first` to `last`, with windows, ascending by rule.

    `links` are the past doses of a regimen whose doses follow the last taken one.

    An untimed dose of a dose-day in which the version changed is that of the new one.
    Windows are the version's own, else those of `analytics.matching`.
    """
    in_force = rules(versions)
    history = [(span.effective_from, zone_named(span.zone)) for span in zones]
    found: dict[str, tuple[Rule, Occurrence]] = {}
    effects: list[Effect] = []
    for rule in in_force:
        since, until = max(first - DAY, rule.since), last + DAY
        until = until if rule.until is None else min(until, rule.until - INSTANT)
        if since > until:
            continue
        timing = from_json(rule.version.timing)
        if isinstance(timing, AfterTaken):
            one = next_dose(timing, links, zones, dose_day_start=dose_day_start)
            ahead = one and one.due_at and since <= one.due_at <= until
            journey = Journey((one,) if one and ahead else (), ())
        else:
            journey = occurrences_through(
                timing,
                zones=history,
                first=since,
                last=until,
                least_apart=_apart(rule.version),
                dose_day_start=dose_day_start,
            )
        begun = wall(rule.since, zone_named(zone_at(zones, rule.since)))
        _forget_untimed(found, begun, dose_day_start)
        found |= {one.key: (rule, one) for one in journey.due}
        effects += journey.effects
    doses = _with_windows(list(found.values()), dose_day_start)
    return DosePlan(
        tuple(one for one in doses if _in(one, first, last)),
        tuple(effect for effect in effects if first <= _when(effect) <= last),
    )


def _apart(version: RegimenVersion) -> timedelta | None:
    seconds = version.least_apart_s
    return None if seconds is None else timedelta(seconds=seconds)


def _forget_untimed(
    found: dict[str, tuple[Rule, Occurrence]], begun: datetime, start: time
) -> None:
    day = (begun - timedelta(hours=start.hour, minutes=start.minute)).date()
    for key, (_, one) in list(found.items()):
        if one.due_at is None and one.dose_day >= day:
            del found[key]


def _with_windows(
    found: Sequence[tuple[Rule, Occurrence]], dose_day_start: time
) -> Iterator[PlannedDose]:
    due = sorted(one.due_at for _, one in found if one.due_at is not None)
    # Something far off at both ends: what is asked for must not change a window.
    ends = [due[0] - ALONE, due[-1] + ALONE] if due else []
    windows = dict(
        zip(due, default_windows([*ends[:1], *due, *ends[1:]])[1:], strict=False)
    )
    for rule, one in found:
        version = rule.version
        if one.due_at is None:
            window = _dose_day(one, dose_day_start)
        else:
            window = _own(version, one.due_at, windows[one.due_at])
        yield PlannedDose(
            occurrence=one.key,
            version=version.version,
            dose_day=one.dose_day,
            due_at=one.due_at,
            local_time=None if one.local is None else one.local.isoformat(),
            zone=one.zone,
            tzdb=TZDB_VERSION,
            window_from=window[0],
            window_until=window[1],
            amount=version.amount if one.amount is None else one.amount,
            unit=version.unit if one.unit is None else one.unit,
        )


def _own(
    version: RegimenVersion, due_at: datetime, default: tuple[datetime, datetime]
) -> tuple[datetime, datetime]:
    before, after = version.window_before_s, version.window_after_s
    return (
        default[0] if before is None else due_at - timedelta(seconds=before),
        default[1] if after is None else due_at + timedelta(seconds=after),
    )


def _dose_day(one: Occurrence, start: time) -> tuple[datetime, datetime]:
    zone = zone_named(one.zone)
    begins, ends = (
        first_instant(datetime.combine(day, start), zone)
        for day in (one.dose_day, one.dose_day + DAY)
    )
    return begins, ends


def _in(one: PlannedDose, first: datetime, last: datetime) -> bool:
    if one.due_at is None:
        return one.window_from <= last and one.window_until > first
    return first <= one.due_at <= last


def _when(effect: Effect) -> datetime:
    day = effect.dose.day
    return effect.dose.due_at or datetime.combine(day, time(12), UTC)
