"""Scheduled doses as rows: written ahead, made anew when zone or prescription change.

Only what is still open is ever touched: a dose that is past, taken, labelled or paused
stays as it was asked.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, delete, select, tuple_

from backend.audit.record import decide
from backend.database.sets import execute, fetch
from backend.errors import NotFound
from backend.people.hold import hold
from backend.people.zones import ZoneSpan, zone_at, zone_history
from backend.regimens.chain import Link, number_of
from backend.regimens.dose_plan import DosePlan, PlannedDose, plan_doses
from backend.regimens.expand import AFTER
from backend.regimens.tables import RegimenVersion, ScheduledDose
from backend.regimens.travel import Effect
from backend.regimens.zones import DAY, start_of, zone_named

AHEAD = timedelta(hours=72)
REFILL = timedelta(hours=48)  # what must lie ahead before more is written
PLANNED = tuple(each.name for each in fields(PlannedDose))
Key = tuple[UUID, UUID, str]
Whose = tuple[UUID, UUID]
Values = dict[str, Any]


@dataclass(slots=True)
class Made:
    """What changed: reminders of `removed` and `changed` are void, `new` have none."""

    new: list[ScheduledDose] = field(default_factory=list[ScheduledDose])
    changed: list[ScheduledDose] = field(default_factory=list[ScheduledDose])
    removed: list[Key] = field(default_factory=list[Key])

    def patients(self) -> set[UUID]:
        rows = {row.patient_id for row in (*self.new, *self.changed)}
        return rows | {key[0] for key in self.removed}


def materialise(
    session: Session,
    patient_ids: Collection[UUID],
    *,
    now: datetime,
    ahead: timedelta = AHEAD,
) -> Made:
    """Bring the open doses of these patients up to `now + ahead`; return what changed.

    Starts where writing stopped, so that a worker that was away leaves no hole; for a
    regimen without any dose yet, a day back at most. Holds the patients. Safe to
    repeat: doses that are already as they should be are not written again.
    """
    held = hold(session, patient_ids)
    zones = zone_history(session, held)
    made = Made()
    existing = _existing(session, held, now)
    missing: list[Values] = []
    every = _versions(session, held)
    chains = _chains(session, every, now)
    for whose, versions in every.items():
        rows = existing[whose]
        plan = plan_doses(
            versions,
            zones[whose[0]],
            first=_start(rows, now),
            last=now + ahead,
            links=chains.get(whose, ()),
        )
        missing += _settle(session, whose, plan, rows, now=now, made=made)
    made.new = _insert(session, missing)
    session.flush()  # whoever plans reminders from these rows asks the database
    return made


def to_extend(
    session: Session, *, now: datetime, after: UUID | None = None, most: int = 200
) -> list[UUID]:
    """Return patients with a regimen that has less than 48 h of open doses ahead.

    In order of id, those above `after`: ask again with the last one until none come.
    """
    rows = fetch(
        session,
        """SELECT DISTINCT v.patient_id FROM regimen_version v
        WHERE (CAST(:after AS uuid) IS NULL OR v.patient_id > :after)
          AND (v.until IS NULL OR v.until > :now)
          AND v.effective_from < :until
          AND v.timing->>'kind' <> 'as_needed'
          AND NOT EXISTS (SELECT FROM scheduled_dose s
            WHERE s.patient_id = v.patient_id AND s.regimen_id = v.regimen_id
              AND s.label IN ('pending', 'late', 'unknown')
              AND s.window_until > :until)
        ORDER BY v.patient_id LIMIT :most""",
        now=now,
        until=now + REFILL,
        after=after,
        most=most,
    )
    return [row["patient_id"] for row in rows]


def expand_past(
    session: Session,
    patient_id: UUID,
    regimen_id: UUID,
    *,
    first: date,
    last: date,
) -> int:
    """Write the doses of past local days, both included; return how many were new.

    For imports and back-fills: what exists stays. The caller matches the days again;
    nothing here reminds anybody. Raises NotFound without a version or a zone.
    """
    held = hold(session, [patient_id])
    versions = _versions(session, held)[patient_id, regimen_id]
    if not versions:
        raise NotFound("No such regimen.")
    zones = zone_history(session, held)[patient_id]
    plan = plan_doses(
        versions,
        zones,
        first=_midnight(zones, first),
        last=_midnight(zones, last + DAY),
    )
    inside = [one for one in plan.doses if first <= _local_day(one) <= last]
    whose = patient_id, regimen_id
    # Years at once, of which nobody wants the rows: a third of the time of `_insert`.
    return execute(session, WRITE, [_values(whose, one) for one in inside])


WRITE = """
INSERT INTO scheduled_dose (patient_id, regimen_id, occurrence, version, dose_day,
    due_at, local_time, zone, tzdb, window_from, window_until, amount, unit, label,
    check_at)
SELECT * FROM rows(patient_id uuid, regimen_id uuid, occurrence text, version int,
    dose_day date, due_at timestamptz, local_time text, zone text, tzdb text,
    window_from timestamptz, window_until timestamptz, amount numeric, unit text,
    label text, check_at timestamptz)
ON CONFLICT DO NOTHING
"""


def _start(rows: Sequence[ScheduledDose], now: datetime) -> datetime:
    """Return from when on doses may be missing."""
    if not rows:
        return now - DAY
    return min(now, max(row.due_at or row.window_from for row in rows))


def _existing(
    session: Session, patient_ids: Collection[UUID], now: datetime
) -> Mapping[Whose, list[ScheduledDose]]:
    """Return what is open or ahead, and of each regimen at least its last dose."""
    last = (
        select(
            col(ScheduledDose.patient_id),
            col(ScheduledDose.regimen_id),
            func.max(col(ScheduledDose.window_until)).label("until"),
        )
        .where(col(ScheduledDose.patient_id).in_(patient_ids))
        .group_by(col(ScheduledDose.patient_id), col(ScheduledDose.regimen_id))
        .subquery()
    )
    rows = session.exec(
        select(ScheduledDose)
        .join(
            last,
            (last.c.patient_id == col(ScheduledDose.patient_id))
            & (last.c.regimen_id == col(ScheduledDose.regimen_id)),
        )
        .where(
            (col(ScheduledDose.window_until) > now - DAY)
            | (col(ScheduledDose.window_until) == last.c.until)
        )
    )
    found: defaultdict[Whose, list[ScheduledDose]] = defaultdict(list)
    for row in rows:
        found[row.patient_id, row.regimen_id].append(row)
    return found


def _versions(
    session: Session, patient_ids: Collection[UUID]
) -> Mapping[Whose, list[RegimenVersion]]:
    rows = session.exec(
        select(RegimenVersion).where(col(RegimenVersion.patient_id).in_(patient_ids))
    )
    found: defaultdict[Whose, list[RegimenVersion]] = defaultdict(list)
    for row in rows:
        found[row.patient_id, row.regimen_id].append(row)
    return found


def _chains(
    session: Session, every: Mapping[Whose, Sequence[RegimenVersion]], now: datetime
) -> Mapping[Whose, Sequence[Link]]:
    """Return the past doses of the regimens whose doses follow the last taken one."""
    following = [
        {"patient_id": patient_id, "regimen_id": regimen_id}
        for (patient_id, regimen_id), versions in every.items()
        if any(one.timing.get("kind") == "after_taken" for one in versions)
    ]
    found: defaultdict[Whose, list[Link]] = defaultdict(list)
    rows = (
        fetch(session, LINKS, following, now=now, key=f"{AFTER}%") if following else ()
    )
    for row in rows:
        day = datetime.fromisoformat(row["local_time"]).date()
        link = Link(
            number_of(row["occurrence"]) or 0, row["due_at"], day, row["occurred_at"]
        )
        found[row["patient_id"], row["regimen_id"]].append(link)
    return found


# What is still open is made anew, and so no link yet: see `_is_open`.
LINKS = """
SELECT s.patient_id, s.regimen_id, s.occurrence, s.due_at, s.local_time, e.occurred_at
FROM rows(patient_id uuid, regimen_id uuid)
JOIN scheduled_dose s USING (patient_id, regimen_id)
LEFT JOIN dose_event e ON e.patient_id = s.patient_id
    AND e.dose_event_id = s.dose_event_id
WHERE s.occurrence LIKE :key
  AND NOT (s.label = 'pending' AND s.dose_event_id IS NULL AND s.due_at > :now)
"""


def _settle(
    session: Session,
    whose: Whose,
    plan: DosePlan,
    rows: Sequence[ScheduledDose],
    *,
    now: datetime,
    made: Made,
) -> list[Values]:
    """Write one regimen's plan over what is open; return what is still to insert."""
    wanted = {one.occurrence: one for one in plan.doses}
    open_rows = [row for row in rows if _is_open(row, now)]
    stale = [row for row in open_rows if row.occurrence not in wanted]
    changed = [
        row
        for row in open_rows
        if row.occurrence in wanted and _change(row, wanted[row.occurrence])
    ]
    known = {row.occurrence for row in rows}
    missing = [_values(whose, wanted[key]) for key in wanted if key not in known]
    _remove(session, whose, [row.occurrence for row in stale])
    made.changed += changed
    made.removed += [(*whose, row.occurrence) for row in stale]
    # Each effect is told once: when it changes rows, or when writing first reaches it.
    reached = now if changed or stale else _start(rows, now)
    effects = [one for one in plan.effects if (one.dose.due_at or now) > reached]
    if effects and (missing or changed or stale):
        _explain(session, whose, effects, now)
    return missing


def _is_open(row: ScheduledDose, now: datetime) -> bool:
    undecided = row.label == "pending" and row.dose_event_id is None
    return undecided and (row.due_at or row.window_until) > now


def _change(row: ScheduledDose, planned: PlannedDose) -> bool:
    """Make a row what it should be; tell whether it was not."""
    as_stored = PlannedDose(**{name: getattr(row, name) for name in PLANNED})
    if replace(as_stored, tzdb=planned.tzdb) == planned:
        return False
    for name in PLANNED:
        setattr(row, name, getattr(planned, name))
    row.check_at = _first_check(planned)
    return True


def _values(whose: Whose, one: PlannedDose) -> Values:
    patient_id, regimen_id = whose
    return {name: getattr(one, name) for name in PLANNED} | {
        "patient_id": patient_id,
        "regimen_id": regimen_id,
        "label": "pending",
        "check_at": _first_check(one),
    }


def _insert(session: Session, values: Sequence[Values]) -> list[ScheduledDose]:
    """Write doses and return the rows that were not there before."""
    if not values:
        return []
    statement = (
        insert(ScheduledDose)
        .on_conflict_do_nothing(
            index_elements=["patient_id", "regimen_id", "occurrence"]
        )
        .returning(ScheduledDose)
    )
    return list(session.scalars(statement, values))


def _remove(session: Session, whose: Whose, occurrences: Sequence[str]) -> None:
    if not occurrences:
        return
    session.flush()
    session.exec(
        delete(ScheduledDose).where(
            tuple_(col(ScheduledDose.patient_id), col(ScheduledDose.regimen_id))
            == whose,
            col(ScheduledDose.occurrence).in_(occurrences),
        )
    )


def _first_check(one: PlannedDose) -> datetime:
    """Return the earliest moment at which the passing of time may label a dose."""
    return one.due_at or one.window_until


def _explain(
    session: Session, whose: Whose, effects: Sequence[Effect], now: datetime
) -> None:
    """Record what a change of zone did to doses."""
    told = [
        {
            "change": str(effect.change),
            "occurrence": effect.dose.key,
            "zone": effect.dose.zone,
            "due_at": effect.dose.due_at and effect.dose.due_at.isoformat(),
        }
        for effect in effects
    ]
    decide(
        session,
        patient_id=whose[0],
        rule="travel",
        version=1,
        inputs={"regimen_id": str(whose[1])},
        outcome={"effects": told},
        at=now,
    )


def _midnight(zones: Sequence[ZoneSpan], day: date) -> datetime:
    noon = datetime.combine(day, time(12), UTC)
    return start_of(day, zone_named(zone_at(zones, noon)))


def _local_day(one: PlannedDose) -> date:
    if one.local_time is None:
        return one.dose_day
    return datetime.fromisoformat(one.local_time).date()
