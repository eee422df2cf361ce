"""What follows from imported facts: the past is expanded, matched and summed up.

As in `ingest.accept`, without what history must not do: nobody is reminded, alerted or
asked to order.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.doses.rematch import Stretch, rematch
from backend.imports.study_regimen import DAY_STARTS
from backend.regimens.schedule import expand_past, materialise
from backend.regimens.zones import DAY, wall
from backend.state.refresh import refresh

Whose = tuple[UUID, UUID]  # patient and regimen
Days = tuple[date, date]

MOST_EVENTS = 20_000  # matched at once: they are held in memory
MOST_DAYS = 400


@dataclass(slots=True)
class Touched:
    """The dose-days of each regimen on which something is new, both included.

    Of those in `asked` other doses are expected than before.
    """

    days: dict[Whose, Days] = field(default_factory=dict[Whose, Days])
    asked: dict[Whose, Days] = field(default_factory=dict[Whose, Days])

    def see(self, whose: Whose, first: date, last: date) -> None:
        self.days[whose] = _widened(self.days.get(whose), first, last)

    def ask(self, whose: Whose, first: date, last: date) -> None:
        self.asked[whose] = _widened(self.asked.get(whose), first, last)
        self.see(whose, first, last)


def follow(
    session: Session,
    touched: Touched,
    patient_ids: Collection[UUID],
    zone: ZoneInfo,
    *,
    now: datetime,
) -> None:
    """Do all that follows from new facts about these patients, who must be held."""
    today = (wall(now, zone) - DAY_STARTS).date()
    for whose, (first, last) in touched.asked.items():
        _expand(session, whose, first, min(last, today), last)
    if any(last >= today for _, last in touched.asked.values()):
        materialise(session, patient_ids, now=now)
    for stretches in _in_reach(session, touched, today):
        rematch(session, stretches, now=now, cause="study_imported")
    refresh(session, patient_ids, now=now)


def _expand(
    session: Session, whose: Whose, first: date, until: date, last: date
) -> None:
    """Make the doses of past days anew, and leave those ahead to `materialise`."""
    execute(
        session,
        """DELETE FROM scheduled_dose WHERE patient_id = :patient
        AND regimen_id = :regimen AND dose_day BETWEEN :first AND :last""",
        patient=whose[0],
        regimen=whose[1],
        first=first,
        last=last,
    )
    for begin, end in _pieces(first, until):
        expand_past(session, *whose, first=begin, last=end)


def _in_reach(
    session: Session, touched: Touched, today: date
) -> Iterator[Sequence[Stretch]]:
    """Yield the stretches to match again, as many at once as memory should hold."""
    group: list[Stretch] = []
    size = 0
    for stretch, events in _stretches(session, touched, today):
        if group and size + events > MOST_EVENTS:
            yield group
            group, size = [], 0
        group.append(stretch)
        size += events
    if group:
        yield group


def _stretches(
    session: Session, touched: Touched, today: date
) -> Iterator[tuple[Stretch, int]]:
    """Yield each stretch with how many events it has, cut where there are too many."""
    counts = _events_by_day(session, touched)
    for whose, (first, last) in touched.days.items():
        begin, events, days = first, 0, counts.get(whose, {})
        last = min(last, today)
        for number in range((last - first).days + 1):
            day = first + number * DAY
            more = days.get(day, 0)
            if day > begin and (
                events + more > MOST_EVENTS or (day - begin).days >= MOST_DAYS
            ):
                yield Stretch(*whose, begin, day - DAY), events
                begin, events = day, 0
            events += more
        if begin <= last:
            yield Stretch(*whose, begin, last), events


def _events_by_day(session: Session, touched: Touched) -> dict[Whose, dict[date, int]]:
    counts: dict[Whose, dict[date, int]] = {}
    for row in fetch(
        session,
        """SELECT e.patient_id, e.regimen_id, e.occurred_at::date AS day,
            count(*) AS events
        FROM rows(patient_id uuid, regimen_id uuid, first date, last date)
        JOIN dose_event e ON e.patient_id = r.patient_id
            AND e.regimen_id = r.regimen_id
            AND e.occurred_at >= r.first AND e.occurred_at < r.last + 2
        GROUP BY 1, 2, 3""",
        [
            {"patient_id": p, "regimen_id": r, "first": first, "last": last}
            for (p, r), (first, last) in touched.days.items()
        ],
    ):
        own = counts.setdefault((row["patient_id"], row["regimen_id"]), {})
        own[row["day"]] = row["events"]
    return counts


def _pieces(first: date, last: date) -> Iterator[Days]:
    while first <= last:
        end = min(last, first + (MOST_DAYS - 1) * DAY)
        yield first, end
        first = end + DAY


def _widened(days: Days | None, first: date, last: date) -> Days:
    return (first, last) if days is None else (min(days[0], first), max(days[1], last))
