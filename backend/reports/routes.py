"""Measures of adherence over HTTP: of one patient, and of all a reader looks after."""

from dataclasses import asdict
from datetime import date, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from backend.audit.record import record
from backend.clock import domain_now
from backend.database import transaction
from backend.doses.days import Span
from backend.doses.figures import MEASURES, Figures, figures, visible
from backend.errors import NotFound, Unprocessable
from backend.people.readers import Reader, only, signed_in
from backend.reports.cohort import Asked, report
from backend.reports.told import EmergeOut, told

LONGEST = timedelta(days=3660)
USUAL = timedelta(days=90)
MOST = 200

router = APIRouter(prefix="/v1", tags=["adherence"])

Asking = Annotated[Reader, Depends(signed_in)]
Names = Annotated[list[str] | None, Query(alias="measure")]
From = Annotated[date | None, Query(alias="from")]
To = Annotated[date | None, Query(alias="to")]


class Adherence(BaseModel):
    """One patient's measures of one regimen; `measures` holds each with its interval,
    parameters and counts."""

    patient_id: UUID
    regimen_id: UUID
    drug: str
    measures: dict[str, dict[str, Any]]


class Figure(BaseModel):
    """Measures by regimen, of dose-days from `first` to `last`, both included."""

    first: date
    last: date
    regimens: list[Adherence]


class Page(BaseModel):
    """Measures of some patients; ask again with `after` = `next` until it is null."""

    first: date
    last: date
    regimens: list[Adherence]
    next: UUID | None


@router.get("/patients/{patient_id}/adherence")
def of_patient(
    patient_id: UUID,
    reader: Asking,
    measure: Names = None,
    first: From = None,
    last: To = None,
) -> Figure:
    """Return measures of one patient's regimens, all of them unless named.

    The last 90 days unless `from` and `to` say otherwise. Writes an audit row.
    """
    names, now = _names(measure), domain_now()
    span = _span(first, last, now.date())
    only(reader, "clinician", "patient")
    with transaction() as session:
        found = figures(
            session, reader, names, span=span, now=now, patients=[patient_id]
        )
        if not found:
            raise NotFound("No regimen of such a patient has a dose in these days.")
        record(session, reader.actor(), "adherence_seen", patients=[patient_id])
    regimens = [_told(each, names) for each in found]
    return Figure(first=span.first, last=span.last, regimens=regimens)


@router.get("/adherence")
def of_all(
    reader: Asking,
    measure: Names = None,
    first: From = None,
    last: To = None,
    after: UUID | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 50,
) -> Page:
    """Return measures of everybody the reader looks after, by pages of patients.

    Writes one audit row with the set of patients of the page.
    """
    names, now = _names(measure), domain_now()
    span = _span(first, last, now.date())
    only(reader, "clinician", "patient")
    with transaction() as session:
        patients = visible(session, reader, now=now, after=after, limit=limit)
        found = figures(session, reader, names, span=span, now=now, patients=patients)
        seen = {each.patient_id for each in found}
        record(session, reader.actor(), "adherence_list_seen", patients=seen)
    return Page(
        first=span.first,
        last=span.last,
        regimens=[_told(each, names) for each in found],
        next=patients[-1] if len(patients) == limit else None,
    )


@router.get("/adherence/report")
def emerge_of_all(
    reader: Asking,
    study: Annotated[str | None, Query(max_length=100)] = None,
    drug: Annotated[str | None, Query(max_length=100)] = None,
    first: From = None,
    last: To = None,
    days: Annotated[int, Query(ge=1, le=1096)] = 365,
) -> EmergeOut:
    """Return the EMERGE report of a cohort whom the reader looks after.

    Of one study or medicine, or all; who was first due before `from` is left out.
    Curves reach `days` from the first dose. Writes one audit row with all patients.
    """
    now = domain_now()
    only(reader, "clinician")
    asked = Asked(last or now.date(), first, study, drug, days)
    with transaction() as session:
        return told(report(session, reader, asked, now=now))


def _names(given: list[str] | None) -> list[str]:
    unknown = [name for name in given or () if name not in MEASURES]
    if unknown:
        there = ", ".join(MEASURES)
        raise Unprocessable(f"There is no measure {unknown[0]!r}, only {there}.")
    return given or list(MEASURES)


def _span(first: date | None, last: date | None, today: date) -> Span:
    last = last or today
    first = first or last - USUAL
    if first > last:
        raise Unprocessable(f"from {first} lies after to {last}.")
    if last - first > LONGEST:
        raise Unprocessable(f"Ask for at most {LONGEST.days} days at once.")
    return Span(first, last)


def _told(each: Figures, names: list[str]) -> Adherence:
    pairs = zip(names, each.measures, strict=True)
    return Adherence(
        patient_id=each.patient_id,
        regimen_id=each.regimen_id,
        drug=each.drug,
        measures={name: asdict(measure) for name, measure in pairs},
    )
