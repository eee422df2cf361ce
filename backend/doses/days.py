"""Dose-days of whom a reader may see, from the doses as they are labelled.

A dose-day counts once none of its doses is open any more; it is unknown where one of
them is. Extra doses of the day count beside those that were scheduled.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, RowMapping, case, func
from sqlalchemy import select as columns
from sqlalchemy.orm import Mapped
from sqlmodel import Session, col

from analytics.adherence.dose_days import Day, dose_day
from backend.doses.tables import DoseEvent
from backend.people.readers import Reader, may_see
from backend.people.tables import PatientIdentifier
from backend.regimens.expand import DOSE_DAY_STARTS
from backend.regimens.tables import Regimen, ScheduledDose

TAKEN = frozenset({"on_time", "early", "taken_late", "taken"})
OPEN = frozenset({"pending", "late"})


@dataclass(frozen=True, slots=True)
class Span:
    """Dose-days from `first` to `last`, both included."""

    first: date
    last: date


@dataclass(frozen=True, slots=True)
class DoseDay:
    """A dose-day of one regimen, and how many of its timed doses were on time."""

    day: Day
    timed: int
    on_time: int


@dataclass(frozen=True, slots=True)
class Course:
    """The dose-days of one patient's regimen, in order, those that are still open left
    out."""

    patient_id: UUID
    regimen_id: UUID
    drug: str
    days: tuple[DoseDay, ...]


@dataclass(frozen=True, slots=True)
class Whom:
    """Which patients and regimens are meant; None means all that the reader sees.

    `identified_by` is a system of identifiers, as that of a study.
    """

    patients: Sequence[UUID] | None = None
    drug: str | None = None
    identified_by: str | None = None

    def where(self, patient_id: Mapped[UUID]) -> Iterator[ColumnElement[bool]]:
        """Yield the conditions on a row of a regimen of that patient."""
        if self.patients is not None:
            yield patient_id.in_(self.patients)
        if self.drug is not None:
            yield func.lower(col(Regimen.drug)) == self.drug.lower()
        if self.identified_by is not None:
            known = columns(col(PatientIdentifier.patient_id)).where(
                col(PatientIdentifier.patient_id) == patient_id,
                col(PatientIdentifier.system) == self.identified_by,
            )
            yield known.exists()


def courses(
    session: Session, reader: Reader, whom: Whom, span: Span, *, now: datetime
) -> list[Course]:
    """Return the courses within the span, by patient and regimen.

    Patients the reader may not see are left out, in the same query. A regimen without a
    dose in the span has none.
    """
    rows = _rows(session, reader, whom, span, now)
    extras = _extras(session, reader, whom, span, now)

    def key(row: RowMapping) -> tuple[UUID, UUID, str]:
        return row["patient_id"], row["regimen_id"], row["drug"]

    return [
        Course(*whose, tuple(_days(some, extras.get(whose[:2], ()))))
        for whose, some in groupby(rows, key=key)
    ]


def _rows(
    session: Session, reader: Reader, whom: Whom, span: Span, now: datetime
) -> Sequence[RowMapping]:
    """Return a row a dose-day of a regimen: how many doses, of which kind."""
    dose, regimen = ScheduledDose, Regimen
    label = col(dose.label)
    by = (
        col(dose.patient_id),
        col(dose.regimen_id),
        col(regimen.drug),
        col(dose.dose_day),
        col(dose.zone),
    )
    statement = (
        columns(
            *by,
            func.count().label("expected"),
            _count(label.in_(TAKEN)).label("taken"),
            _count(label == "unknown").label("unknown"),
            _count(label.in_(OPEN)).label("open"),
            _count(col(dose.due_at).is_not(None)).label("timed"),
            _count(label == "on_time").label("on_time"),
        )
        .join(
            regimen,
            (col(regimen.patient_id) == dose.patient_id)
            & (col(regimen.regimen_id) == dose.regimen_id),
        )
        .where(*whom.where(col(dose.patient_id)))
        .where(may_see(reader, col(dose.patient_id), now=now))
        .where(col(dose.dose_day).between(span.first, span.last))
        .group_by(*by)
        .order_by(*by[:2], by[3])
    )
    return session.connection().execute(statement).mappings().all()


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _extras(
    session: Session, reader: Reader, whom: Whom, span: Span, now: datetime
) -> Mapping[tuple[UUID, UUID], Sequence[datetime]]:
    """Return when extra doses were taken, by regimen."""
    event, regimen = DoseEvent, Regimen
    statement = (
        columns(col(event.patient_id), col(regimen.regimen_id), col(event.occurred_at))
        .join(
            regimen,
            (col(regimen.patient_id) == event.patient_id)
            & (col(regimen.regimen_id) == event.regimen_id),
        )
        .where(*whom.where(col(event.patient_id)))
        .where(may_see(reader, col(event.patient_id), now=now))
        .where(col(event.voided_at).is_(None), col(event.label) == "extra")
        .where(col(event.occurred_at) >= span.first - timedelta(days=1))
        .where(col(event.occurred_at) < span.last + timedelta(days=3))
    )
    found: defaultdict[tuple[UUID, UUID], list[datetime]] = defaultdict(list)
    for patient_id, regimen_id, at in session.connection().execute(statement):
        found[patient_id, regimen_id].append(at)
    return found


def _days(rows: Iterable[RowMapping], extras: Sequence[datetime]) -> Iterator[DoseDay]:
    """Yield the days that are settled; an extra dose falls on one by the row's zone."""
    by_zone: dict[str, Counter[date]] = {}
    for row in rows:
        if row["open"]:
            continue
        zone: str = row["zone"]
        if zone not in by_zone:
            by_zone[zone] = Counter(
                dose_day(at, ZoneInfo(zone), day_start=DOSE_DAY_STARTS) for at in extras
            )
        yield _day(row, by_zone[zone][row["dose_day"]])


def _day(row: RowMapping, extra: int) -> DoseDay:
    taken = row["taken"] + extra
    unseen = row["unknown"] > 0
    done = None if unseen else taken >= row["expected"]
    day = Day(row["dose_day"], taken, 0, taken, row["expected"], unseen, done)
    return DoseDay(day, row["timed"], row["on_time"])
