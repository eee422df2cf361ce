"""What follows from imported facts: the past is expanded, matched and summed up.

As in `ingest.accept`, without what history must not do: nobody is reminded, alerted or
asked to order.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session

from backend.database.sets import execute
from backend.doses.changes import Fact
from backend.doses.rematch import rematch
from backend.imports.study_regimen import DAY_STARTS
from backend.ingest.extend import schedule
from backend.regimens.schedule import expand_past
from backend.regimens.zones import DAY, wall
from backend.state.refresh import refresh

Whose = tuple[UUID, UUID]  # patient and regimen
Days = tuple[date, date]

DAYS_AT_ONCE = 5_000  # matched in one step: they are held in memory
MOST_DAYS = 400  # expanded in one step


@dataclass(slots=True)
class Touched:
    """The dose-days of each regimen on which something is new, both included.

    Of those in `asked` other doses are expected than before.
    """

    days: dict[Whose, list[Days]] = field(default_factory=dict[Whose, list[Days]])
    asked: dict[Whose, list[Days]] = field(default_factory=dict[Whose, list[Days]])

    def see(self, whose: Whose, first: date, last: date) -> None:
        self.days.setdefault(whose, []).append((first, last))

    def ask(self, whose: Whose, first: date, last: date) -> None:
        self.asked.setdefault(whose, []).append((first, last))
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
    asked = list(_merged(touched.asked))
    for whose, first, last in asked:
        _expand(session, whose, first, min(last, today), last)
    if any(last >= today for _, _, last in asked):
        schedule(session, patient_ids, now=now)
    for facts in _facts(touched, today):
        rematch(session, facts, now=now, cause="study_imported")
    refresh(session, patient_ids, now=now)


def _expand(
    session: Session, whose: Whose, first: date, until: date, last: date
) -> None:
    """Make the doses of past days anew, and leave those ahead to `schedule`."""
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


def _facts(touched: Touched, today: date) -> Iterator[list[Fact]]:
    """Yield the days to match again, a regimen's together, some thousands at once."""
    facts: list[Fact] = []
    for (patient_id, regimen_id), first, last in _merged(touched.days):
        days = (min(last, today) - first).days + 1
        facts += [(patient_id, regimen_id, first + n * DAY) for n in range(days)]
        if len(facts) >= DAYS_AT_ONCE:
            yield facts
            facts = []
    if facts:
        yield facts


def _pieces(first: date, last: date) -> Iterator[Days]:
    while first <= last:
        end = min(last, first + (MOST_DAYS - 1) * DAY)
        yield first, end
        first = end + DAY


def _merged(
    ranges: Mapping[Whose, Sequence[Days]],
) -> Iterator[tuple[Whose, date, date]]:
    """Yield the days of each, those that meet or overlap as one."""
    for whose, some in ranges.items():
        first, last = min(some)
        for begin, end in sorted(some):
            if begin > last + DAY:
                yield whose, first, last
                first, last = begin, end
            last = max(last, end)
        yield whose, first, last
