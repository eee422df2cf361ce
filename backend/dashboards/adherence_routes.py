"""How one patient takes their medicines, over HTTP, and what is said of records."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.dashboards.adherence import adherence_page
from backend.dashboards.frame import Role
from backend.dashboards.show import (
    Visit,
    Visiting,
    admit,
    done,
    framed,
    note_look,
    shown,
)
from backend.dashboards.visible import Sight
from backend.database import transaction
from backend.ingest.overrule import overrule

router = APIRouter(include_in_schema=False)
Days = Annotated[int, Query(ge=1)]
Which = Annotated[UUID | None, Query()]
Reason = Annotated[str, Form(min_length=1, max_length=200)]
Label = Annotated[str, Form(max_length=20)]


@router.get("/patients/{patient_id}/adherence")
def of_patient(
    visit: Visiting, patient_id: UUID, regimen: Which = None, days: Days = 90
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    return _page(visit, patient_id, regimen, days, f"/patients/{patient_id}/adherence")


@router.get("/me/adherence")
def own(visit: Visiting, regimen: Which = None, days: Days = 90) -> HTMLResponse:
    admit(visit, Role.PATIENT)
    return _page(visit, visit.reader.subject_id, regimen, days, "/me/adherence")


@router.post("/patients/{patient_id}/records/{dose_event_id}/label")
def label(
    visit: Visiting,
    patient_id: UUID,
    dose_event_id: UUID,
    reason: Reason,
    label: Label = "",
) -> RedirectResponse:
    """Say what a record was; an empty label takes back what was said."""
    with transaction() as session:
        overrule(
            session,
            visit.reader,
            patient_id,
            dose_event_id,
            label=label or None,
            reason=reason,
            now=visit.now,
        )
    return done(f"/patients/{patient_id}/adherence", "labelled")


def _page(
    visit: Visit, patient_id: UUID, regimen: UUID | None, days: int, path: str
) -> HTMLResponse:
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = adherence_page(
            sight, patient_id, regimen_id=regimen, days=days, path=path
        )
        note_look(session, visit, "patient_adherence_seen", [patient_id])
        frame = framed(session, visit, live=False)
    return shown(page, frame)
