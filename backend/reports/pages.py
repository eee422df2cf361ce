"""The report of a cohort, as a page, a document and JSON, and a patient's one page."""

from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from backend.audit.record import record
from backend.dashboards.adherence import adherence_page
from backend.dashboards.frame import Role
from backend.dashboards.show import Visiting, admit, framed, shown
from backend.dashboards.views_adherence import CohortPage
from backend.dashboards.visible import Sight
from backend.database import transaction
from backend.errors import NotFound, Unprocessable
from backend.reports.cohort import Asked, report
from backend.reports.document import (
    LENGTHS,
    emerge_document,
    patient_document,
    people_chart,
    spread_rows,
)

router = APIRouter(include_in_schema=False)
Name = Annotated[str, Query(max_length=100)]
Days = Annotated[int, Query(ge=1, le=1096)]
Which = Annotated[UUID | None, Query()]


@router.get("/adherence")
def cohort(
    visit: Visiting, drug: Name = "", study: Name = "", days: Days = 365
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    asked = _asked(visit, drug, study, days)
    found, problem = None, None
    with transaction() as session:
        try:
            found = report(session, visit.reader, asked, now=visit.now)
        except (NotFound, Unprocessable) as why:
            problem = str(why)
        frame = framed(session, visit, live=False)
    query = urlencode({"drug": drug, "study": study, "days": days})
    page = CohortPage(
        study=study,
        drug=drug,
        days=days,
        lengths=LENGTHS,
        report=found,
        chart=found and people_chart(found),
        rows=spread_rows(found) if found else (),
        document=f"/adherence.pdf?{query}",
        problem=problem,
    )
    return shown(page, frame)


@router.get("/adherence.pdf")
def cohort_document(
    visit: Visiting, drug: Name = "", study: Name = "", days: Days = 365
) -> Response:
    admit(visit, Role.CLINICIAN)
    asked = _asked(visit, drug, study, days)
    with transaction() as session:
        found = report(session, visit.reader, asked, now=visit.now)
    return _pdf(emerge_document(found, at=visit.now), "adherence.pdf")


@router.get("/patients/{patient_id}/adherence.pdf")
def patient(
    visit: Visiting, patient_id: UUID, regimen: Which = None, days: Days = 90
) -> Response:
    admit(visit, Role.CLINICIAN)
    return _of_patient(visit, patient_id, regimen, days)


@router.get("/me/adherence.pdf")
def own(visit: Visiting, regimen: Which = None, days: Days = 90) -> Response:
    admit(visit, Role.PATIENT)
    return _of_patient(visit, visit.reader.subject_id, regimen, days)


def _of_patient(
    visit: Visiting, patient_id: UUID, regimen: UUID | None, days: int
) -> Response:
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = adherence_page(sight, patient_id, regimen_id=regimen, days=days, path="")
        actor = visit.reader.actor()
        record(session, actor, "adherence_document_made", patients=[patient_id])
    return _pdf(patient_document(page, at=visit.now), f"adherence-{page.last}.pdf")


def _asked(visit: Visiting, drug: str, study: str, days: int) -> Asked:
    return Asked(
        last=visit.now.date(),
        study=study.strip() or None,
        drug=drug.strip() or None,
        days=days,
    )


def _pdf(made: bytes, name: str) -> Response:
    return Response(
        made,
        media_type="application/pdf",
        headers={"Content-Disposition": f'inline; filename="{name}"'},
    )
