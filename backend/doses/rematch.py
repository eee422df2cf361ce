"""Match dose events to scheduled doses again where a new fact may change the answer.

Nothing raw changes: only labels do, and each changed label of a scheduled dose is a
`label_change` row that holds what decided it.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.matching import DoseLabel, EventLabel, Matching, Pair, match
from analytics.records import Dose, Evidence, Scheduled
from backend.database.sets import fetch
from backend.doses.changes import Changes, DoseChange, EventChange
from backend.doses.relabel import relabel
from backend.doses.silence import Silence, silences

DAY = timedelta(days=1)
MARGIN = 2 * DAY  # read on either side, so that the edge is matched as it was
TAKEN = {
    DoseLabel.ON_TIME: "on_time",
    DoseLabel.EARLY: "early",
    DoseLabel.LATE: "taken_late",
    DoseLabel.UNTIMED_TAKEN: "taken",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Dose-days of one regimen of one patient, first and last included."""

    patient_id: UUID
    regimen_id: UUID
    first: date
    last: date

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last


def around(
    facts: Iterable[tuple[UUID, UUID, datetime]],
) -> list[Stretch]:
    """Return the stretches that facts (patient, regimen, instant) may change.

    A fact touches its dose-day and both neighbours. A dose-day differs from the UTC
    date by at most one day, so a day more on either side always covers them; distant
    facts of one regimen become stretches of their own.
    """
    days: defaultdict[tuple[UUID, UUID], set[date]] = defaultdict(set)
    for patient_id, regimen_id, at in facts:
        days[patient_id, regimen_id].add(at.date())
    return [
        Stretch(patient_id, regimen_id, run[0] - 2 * DAY, run[-1] + 2 * DAY)
        for (patient_id, regimen_id), wanted in days.items()
        for run in _runs(sorted(wanted))
    ]


def rematch(
    session: Session, stretches: Sequence[Stretch], *, now: datetime, cause: str
) -> Changes:
    """Match these dose-days again, store what changed and return it.

    The patients must be held. `cause` says what led here, for the record.
    """
    if not stretches:
        return Changes()
    doses = _by_stretch(_doses(session, stretches))
    events = _by_stretch(_events(session, stretches))
    heard = silences(session, {(s.patient_id, s.regimen_id) for s in stretches})
    dose_changes: list[DoseChange] = []
    event_changes: list[EventChange] = []
    for at, stretch in enumerate(stretches):
        matching = _match(events[at], doses[at])
        silence = heard[stretch.patient_id, stretch.regimen_id]
        inside = [row for row in doses[at] if stretch.holds(row["dose_day"])]
        dose_changes += _dose_changes(inside, matching, silence, now, cause)
        seen = [row for row in events[at] if stretch.holds(row["occurred_at"].date())]
        event_changes += _event_changes(seen, matching)
    changes = Changes(tuple(dose_changes), tuple(event_changes))
    relabel(session, changes.doses, changes.events, now=now)
    return changes


def _match(
    events: Sequence[RowMapping], doses: Sequence[RowMapping]
) -> Matching[UUID, str]:
    return match(
        [
            Dose(
                row["dose_event_id"],
                row["occurred_at"],
                Evidence(row["evidence"]),
                row["amount"],
                row["unit"],
                row["compartment"],
                row["said"],
            )
            for row in events
        ],
        [
            Scheduled(
                row["occurrence"],
                row["due_at"],
                row["window_from"],
                row["window_until"],
            )
            for row in doses
        ],
    )


def _dose_changes(
    doses: Sequence[RowMapping],
    matching: Matching[UUID, str],
    silence: Silence,
    now: datetime,
    cause: str,
) -> Iterable[DoseChange]:
    pairs = {pair.dose: pair for pair in matching.pairs}
    for row in doses:
        pair = pairs.get(row["occurrence"])
        label = matching.doses[row["occurrence"]]
        said = TAKEN.get(label) or silence.label(row, now=now)
        event = None if pair is None else pair.event
        check_at = silence.next_check(row, said, now=now)
        if (said, event, check_at) == (
            row["label"],
            row["dose_event_id"],
            row["check_at"],
        ):
            continue
        yield DoseChange(
            row["patient_id"],
            row["regimen_id"],
            row["occurrence"],
            row["label"],
            said,
            event,
            check_at,
            {"rule": "match/1", "cause": cause, **_facts(pair, silence, row)},
        )


def _facts(
    pair: Pair[UUID, str] | None, silence: Silence, row: RowMapping
) -> dict[str, object]:
    if pair is None:
        return silence.facts(row)
    seconds = None if pair.dt is None else pair.dt.total_seconds()
    return {"dose_event_id": str(pair.event), "seconds_from_due": seconds}


def _event_changes(
    events: Sequence[RowMapping], matching: Matching[UUID, str]
) -> Iterable[EventChange]:
    for row in events:
        label: EventLabel = matching.events[row["dose_event_id"]]
        if label != row["label"]:
            yield EventChange(
                row["patient_id"], row["dose_event_id"], row["label"], str(label)
            )


def _doses(session: Session, stretches: Sequence[Stretch]) -> Sequence[RowMapping]:
    return fetch(
        session,
        """SELECT r.i, s.patient_id, s.regimen_id, s.occurrence, s.due_at, s.zone,
            s.dose_day, s.window_from, s.window_until, s.label, s.dose_event_id,
            s.check_at, v.remind_after_s
        FROM rows(i int, patient_id uuid, regimen_id uuid, first date, last date)
        JOIN scheduled_dose s ON s.patient_id = r.patient_id
            AND s.regimen_id = r.regimen_id AND s.dose_day BETWEEN r.first AND r.last
        JOIN regimen_version v ON v.patient_id = s.patient_id
            AND v.regimen_id = s.regimen_id AND v.version = s.version""",
        [_row(i, stretch) for i, stretch in enumerate(stretches)],
    )


def _events(session: Session, stretches: Sequence[Stretch]) -> Sequence[RowMapping]:
    return fetch(
        session,
        """SELECT r.i, e.patient_id, e.dose_event_id, e.occurred_at, e.evidence, e.said,
            e.label, e.amount, e.unit, e.compartment
        FROM rows(i int, patient_id uuid, regimen_id uuid, first date, last date)
        JOIN dose_event e ON e.patient_id = r.patient_id
            AND e.regimen_id = r.regimen_id AND e.voided_at IS NULL
            AND e.occurred_at >= r.first AND e.occurred_at < r.last + 1""",
        [_row(i, stretch) for i, stretch in enumerate(stretches)],
    )


def _row(i: int, stretch: Stretch) -> dict[str, object]:
    return {
        "i": i,
        "patient_id": stretch.patient_id,
        "regimen_id": stretch.regimen_id,
        "first": stretch.first - MARGIN,
        "last": stretch.last + MARGIN,
    }


def _by_stretch(rows: Iterable[RowMapping]) -> Mapping[int, list[RowMapping]]:
    grouped: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for row in rows:
        grouped[row["i"]].append(row)
    return grouped


def _runs(days: Sequence[date]) -> Iterable[list[date]]:
    """Split ascending days where they are so far apart that they cannot interact."""
    run: list[date] = []
    for day in days:
        if run and day - run[-1] > 5 * DAY:
            yield run
            run = []
        run.append(day)
    if run:
        yield run
