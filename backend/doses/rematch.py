"""Match dose events to scheduled doses again where a new fact may change the answer.

Nothing raw changes: only labels do, and each changed label of a scheduled dose is a
`label_change` row that holds what decided it.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.matching import DoseLabel, EventLabel, Matching, Pair, match
from analytics.records import Dose, Evidence, Scheduled
from backend.database.sets import fetch
from backend.doses.chains import Id, chained
from backend.doses.changes import Changes, DoseChange, EventChange, Fact
from backend.doses.relabel import relabel
from backend.doses.silence import Silence, Whose, silences

DAY = timedelta(days=1)
NEAR = 2 * DAY  # a dose-day differs from the UTC date by at most one day
TAKEN = {
    DoseLabel.ON_TIME: "on_time",
    DoseLabel.EARLY: "early",
    DoseLabel.LATE: "taken_late",
    DoseLabel.UNTIMED_TAKEN: "taken",
}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Dose-days of one regimen of one patient, first and last included.

    `margin` is read on either side, so that what lies at the edge is matched with all
    that competes for it.
    """

    patient_id: UUID
    regimen_id: UUID
    first: date
    last: date
    margin: timedelta = NEAR

    def holds(self, day: date) -> bool:
        return self.first <= day <= self.last

    def holds_all(self, days: Iterable[date]) -> bool:
        return all(map(self.holds, days))

    def touches_edge(self, days: Iterable[date]) -> bool:
        """Whether anything changed so far out that what lies beyond may change too."""
        return any(day <= self.first or day >= self.last for day in days)

    def widened(self) -> "Stretch":
        by = max(self.last - self.first, self.margin)
        return Stretch(
            self.patient_id,
            self.regimen_id,
            self.first - by,
            self.last + by,
            self.margin,
        )


def rematch(
    session: Session, facts: Collection[Fact], *, now: datetime, cause: str
) -> Changes:
    """Match the doses near these facts again, store what changed and return it.

    A fact touches its dose-day and both neighbours, and where windows overlap whatever
    that leads to. The patients must be held. `cause` says what led here.
    """
    if not facts:
        return Changes()
    stretches = around(facts, _reaches(session, facts))
    heard = silences(session, {(s.patient_id, s.regimen_id) for s in stretches})
    while True:
        changes, restless = _compare(session, stretches, heard, now, cause)
        if not restless:
            break
        stretches = _merged([s.widened() if s in restless else s for s in stretches])
    relabel(session, changes.doses, changes.events, now=now)
    return changes


def around(facts: Iterable[Fact], reaches: Mapping[Whose, timedelta]) -> list[Stretch]:
    """Return the stretches that facts may change: near ones of a regimen as one."""
    return _merged(
        Stretch(patient_id, regimen_id, day - near, day + near, near)
        for patient_id, regimen_id, day in facts
        for near in (reaches.get((patient_id, regimen_id), NEAR),)
    )


def _merged(stretches: Iterable[Stretch]) -> list[Stretch]:
    """Return stretches that share no day; two that met would both write it."""
    merged: list[Stretch] = []
    for one in sorted(stretches, key=lambda s: (s.patient_id, s.regimen_id, s.first)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and (last.patient_id, last.regimen_id) == (one.patient_id, one.regimen_id)
            and one.first <= last.last + DAY
        ):
            until = max(last.last, one.last)
            merged[-1] = Stretch(
                last.patient_id, last.regimen_id, last.first, until, last.margin
            )
        else:
            merged.append(one)
    return merged


def _reaches(session: Session, facts: Iterable[Fact]) -> Mapping[Whose, timedelta]:
    """How far to look where windows are longer than a day; elsewhere it is NEAR."""
    rows = fetch(
        session,
        """SELECT patient_id, regimen_id,
            max(GREATEST(window_before_s, window_after_s)) AS seconds
        FROM rows(patient_id uuid, regimen_id uuid)
        JOIN regimen_version USING (patient_id, regimen_id)
        GROUP BY patient_id, regimen_id
        HAVING max(GREATEST(window_before_s, window_after_s)) > 86400""",
        [
            {"patient_id": patient_id, "regimen_id": regimen_id}
            for patient_id, regimen_id in {(p, r) for p, r, _ in facts}
        ],
    )
    return {
        (row["patient_id"], row["regimen_id"]): NEAR + row["seconds"] // 86400 * DAY
        for row in rows
    }


def _compare(
    session: Session,
    stretches: Sequence[Stretch],
    heard: Mapping[Whose, Silence],
    now: datetime,
    cause: str,
) -> tuple[Changes, set[Stretch]]:
    """Return what is to change, and the stretches that turn out too narrow."""
    doses = _by_stretch(_doses(session, stretches))
    events = _by_stretch(_events(session, stretches))
    dose_changes: list[DoseChange] = []
    event_changes: list[EventChange] = []
    restless: set[Stretch] = set()
    for at, stretch in enumerate(stretches):
        matching = _match(events[at], doses[at])
        silence = heard[stretch.patient_id, stretch.regimen_id]
        inside = [row for row in doses[at] if stretch.holds(row["dose_day"])]
        seen = [row for row in events[at] if stretch.holds(row["occurred_at"].date())]
        dose_changes += _dose_changes(inside, matching, silence, now, cause)
        event_changes += _event_changes(seen, matching)
        moved = _moved(inside, seen, doses[at], matching)
        reached = chained(doses[at], events[at], moved.keys())
        if stretch.touches_edge(moved.values()) or not stretch.holds_all(reached):
            restless.add(stretch)
    return Changes(tuple(dose_changes), tuple(event_changes)), restless


def _moved(
    inside: Iterable[RowMapping],
    seen: Iterable[RowMapping],
    doses: Iterable[RowMapping],
    matching: Matching[UUID, str],
) -> Mapping[Id, date]:
    """The doses inside a stretch and events seen there that match anew, by their days.

    An event of the stretch may also go to one of the `doses` beyond it.
    """
    matched = {pair.dose: pair.event for pair in matching.pairs}
    now = {event: dose for dose, event in matched.items()}
    before = {row["dose_event_id"]: row["occurrence"] for row in doses}
    moved: dict[Id, date] = {
        row["occurrence"]: row["dose_day"]
        for row in inside
        if matched.get(row["occurrence"]) != row["dose_event_id"]
    }
    for row in seen:
        event = row["dose_event_id"]
        same = now.get(event) == before.get(event)
        if not same or matching.events[event] != row["label"]:
            moved[event] = row["occurred_at"].date()
    return moved


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
                row["ruled"] or row["said"],
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
            e.label, e.amount, e.unit, e.compartment, (SELECT o.label
                FROM event_override o WHERE o.patient_id = e.patient_id
                  AND o.dose_event_id = e.dose_event_id
                ORDER BY o.recorded_at DESC, o.override_id DESC LIMIT 1) AS ruled
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
        "first": stretch.first - stretch.margin,
        "last": stretch.last + stretch.margin,
    }


def _by_stretch(rows: Iterable[RowMapping]) -> Mapping[int, list[RowMapping]]:
    grouped: defaultdict[int, list[RowMapping]] = defaultdict(list)
    for row in rows:
        grouped[row["i"]].append(row)
    return grouped
