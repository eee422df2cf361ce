"""The patient's own pages over HTTP."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.dashboards.frame import Role
from backend.dashboards.patient import looks, patient_page
from backend.dashboards.show import (
    Visiting,
    admit,
    done,
    framed,
    note_look,
    shown,
)
from backend.dashboards.today import report_key, report_notice, reported_at, today_page
from backend.dashboards.visible import Sight
from backend.database import transaction
from backend.ingest.self_report import self_report

router = APIRouter(include_in_schema=False)


@router.get("/today")
def today(visit: Visiting) -> HTMLResponse:
    admit(visit, Role.PATIENT)
    with transaction() as session:
        frame = framed(session, visit)
        page = today_page(Sight(session, visit.reader, visit.now), zone=frame.zone)
        note_look(session, visit, "today_seen", [visit.reader.subject_id])
    return shown(page, frame)


@router.get("/me")
def me(visit: Visiting, days: Annotated[int, Query(ge=1)] = 30) -> HTMLResponse:
    admit(visit, Role.PATIENT)
    own = visit.reader.subject_id
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = patient_page(sight, own, days=days, path="/me")
        note_look(session, visit, "patient_seen", [own])
        page = replace(page, audit=looks(sight, own))
        frame = framed(session, visit)
    return shown(page, frame)


@router.post("/today/report")
def report(
    visit: Visiting,
    regimen: Annotated[UUID, Form()],
    occurrence: Annotated[str, Form(min_length=1, max_length=100)],
    when: Annotated[str, Form(pattern="^(now|due)$")] = "now",
) -> RedirectResponse:
    """Record the reader's own word for one dose; pressed twice it is said once."""
    admit(visit, Role.PATIENT)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        new = self_report(
            session,
            visit.reader,
            regimen,
            at=reported_at(sight, regimen, occurrence, when),
            key=report_key(regimen, occurrence, when),
            now=visit.now,
        )
        notice = report_notice(sight, regimen, occurrence, new=new)
    return done("/today", notice)


@router.post("/today/as-needed")
def report_as_needed(
    visit: Visiting,
    regimen: Annotated[UUID, Form()],
    key: Annotated[UUID, Form()],
) -> RedirectResponse:
    """Record that the reader took a dose as needed now; pressed twice it is one."""
    admit(visit, Role.PATIENT)
    with transaction() as session:
        self_report(
            session, visit.reader, regimen, at=visit.now, key=key, now=visit.now
        )
    return done("/today", "reported")
