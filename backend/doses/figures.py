"""Measures of adherence of whom a reader may see, named as in the API."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from analytics.adherence import electronic_monitoring as em
from analytics.adherence.coverage import forgiven_days
from analytics.adherence.dose_days import Day
from analytics.adherence.measure import Measure, share
from analytics.labels import ON_TIME
from backend.doses.days import DoseDay, Span, Whom, courses
from backend.people.readers import Reader, may_see
from backend.regimens.tables import Regimen


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
    return [
        Figures(
            one.patient_id,
            one.regimen_id,
            one.drug,
            tuple(MEASURES[name](one.days) for name in names),
        )
        for one in courses(session, reader, Whom(patients), span, now=now)
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
