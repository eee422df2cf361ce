"""Measures of adherence of whom a reader may see, from the doses as they are labelled.

A dose-day counts once none of its doses is open any more; it is unknown where one of
them is. Extra doses of the day count beside those that were scheduled.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    RowMapping,
    case,
    cast,
    func,
    literal,
)
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from analytics.adherence import electronic_monitoring as em
from analytics.adherence.coverage import forgiven_days
from analytics.adherence.dose_days import Day
from analytics.adherence.measure import Measure, share
from analytics.labels import ON_TIME
from backend.doses.tables import DoseEvent
from backend.people.readers import Reader, may_see
from backend.regimens.expand import DOSE_DAY_STARTS
from backend.regimens.tables import Regimen, ScheduledDose

TAKEN = ("on_time", "early", "taken_late", "taken")
OPEN = ("pending", "late")
DAY_START = timedelta(hours=DOSE_DAY_STARTS.hour, minutes=DOSE_DAY_STARTS.minute)


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
class Figures:
    """One patient's measures of one regimen."""

    patient_id: UUID
    regimen_id: UUID
    drug: str
    measures: tuple[Measure, ...]


def timing(days: Sequence[DoseDay]) -> Measure:
    """Return the share of timed doses of known days taken within the hour of due."""
    known = [each for each in days if each.day.counts]
    return share(
        "timing adherence, window",
        [each.on_time for each in known],
        [each.timed for each in known],
        parameters={"within_s": ON_TIME.total_seconds()},
        counts=em.counts_of(each.day for each in days),
    )


def _of_days(
    measure: Callable[[list[Day]], Measure],
) -> Callable[[Sequence[DoseDay]], Measure]:
    return lambda days: measure([each.day for each in days])


MEASURES: Mapping[str, Callable[[Sequence[DoseDay]], Measure]] = {
    "taking": _of_days(em.taking_adherence),
    "taking-raw": _of_days(lambda days: em.taking_adherence(days, capped=False)),
    "correct-dosing-days": _of_days(em.correct_dosing_days),
    "dose-taken-days": _of_days(em.dose_taken_days),
    "doses-a-day": _of_days(em.doses_a_day),
    "timing": timing,
    "drug-holidays": _of_days(em.holiday_count),
    "days-in-drug-holidays": _of_days(em.holiday_days),
    "days-within-forgiveness": _of_days(lambda days: forgiven_days(days, tolerated=1)),
}


def figures(
    session: Session,
    reader: Reader,
    names: Sequence[str],
    *,
    span: Span,
    now: datetime,
    patients: Sequence[UUID],
) -> list[Figures]:
    """Return these measures of every regimen of these patients that the reader sees.

    Patients the reader may not see are left out, in the same query. A regimen without a
    dose in the span has no row.
    """
    days = _days(_rows(session, reader, span, now, patients))
    return [
        Figures(patient_id, regimen_id, drug, tuple(MEASURES[n](some) for n in names))
        for (patient_id, regimen_id, drug), some in days
    ]


def visible(
    session: Session, reader: Reader, *, now: datetime, after: UUID | None, limit: int
) -> list[UUID]:
    """Return whom the reader may see and who has a regimen, in order of id."""
    statement = (
        select(Regimen.patient_id)
        .distinct()
        .where(may_see(reader, col(Regimen.patient_id), now=now))
        .order_by(col(Regimen.patient_id))
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(col(Regimen.patient_id) > after)
    return list(session.exec(statement))


_Key = tuple[UUID, UUID, str]


def _rows(
    session: Session,
    reader: Reader,
    span: Span,
    now: datetime,
    patients: Sequence[UUID],
) -> Sequence[RowMapping]:
    """Return a row a dose-day of a regimen: how many doses, of which kind."""
    dose, regimen = ScheduledDose, Regimen
    label = col(dose.label)
    statement = (
        columns(
            col(dose.patient_id),
            col(dose.regimen_id),
            col(regimen.drug),
            col(dose.dose_day),
            func.count().label("expected"),
            _count(label.in_(TAKEN)).label("taken"),
            _count(label == "unknown").label("unknown"),
            _count(label.in_(OPEN)).label("open"),
            _count(col(dose.due_at).is_not(None)).label("timed"),
            _count(label == "on_time").label("on_time"),
            _extra(span).label("extra"),
        )
        .join(
            regimen,
            (col(regimen.patient_id) == dose.patient_id)
            & (col(regimen.regimen_id) == dose.regimen_id),
        )
        .where(col(dose.patient_id).in_(patients))
        .where(may_see(reader, col(dose.patient_id), now=now))
        .where(col(dose.dose_day).between(span.first, span.last))
        .group_by(
            col(dose.patient_id),
            col(dose.regimen_id),
            col(regimen.drug),
            col(dose.dose_day),
            col(dose.zone),
        )
        .order_by(col(dose.patient_id), col(dose.regimen_id), col(dose.dose_day))
    )
    return session.connection().execute(statement).mappings().all()


def _count(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)


def _extra(span: Span) -> ColumnElement[int]:
    """Return how many extra doses fell on the dose-day of the row, by its zone."""
    event, dose = DoseEvent, ScheduledDose
    local = func.timezone(col(dose.zone), col(event.occurred_at)) - literal(DAY_START)
    return (
        columns(func.count())
        .select_from(event)
        .where(col(event.patient_id) == dose.patient_id)
        .where(col(event.regimen_id) == dose.regimen_id)
        .where(col(event.voided_at).is_(None), col(event.label) == "extra")
        .where(col(event.occurred_at) >= span.first - timedelta(days=1))
        .where(col(event.occurred_at) < span.last + timedelta(days=3))
        .where(cast(local, Date) == dose.dose_day)
        .correlate(dose)
        .scalar_subquery()
    )


def _days(rows: Sequence[RowMapping]) -> Iterator[tuple[_Key, list[DoseDay]]]:
    def key(row: RowMapping) -> _Key:
        return row["patient_id"], row["regimen_id"], row["drug"]

    for found, some in groupby(rows, key=key):
        yield found, [_day(row) for row in some if not row["open"]]


def _day(row: RowMapping) -> DoseDay:
    taken = row["taken"] + row["extra"]
    unseen = row["unknown"] > 0
    done = None if unseen else taken >= row["expected"]
    day = Day(row["dose_day"], taken, 0, taken, row["expected"], unseen, done)
    return DoseDay(day, row["timed"], row["on_time"])
