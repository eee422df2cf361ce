"""The clinician's pages over HTTP."""

from dataclasses import replace
from datetime import timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.alerts import act
from backend.alerts.act import Outcome
from backend.clock import is_demo
from backend.dashboards.alerts import alert_list, alert_page
from backend.dashboards.frame import Role
from backend.dashboards.keyset import MOST, USUAL
from backend.dashboards.messages import outbox
from backend.dashboards.patient import looks, patient_page
from backend.dashboards.patients import Wanted, patient_list
from backend.dashboards.registry import device_list
from backend.dashboards.show import (
    Visiting,
    admit,
    done,
    framed,
    note_look,
    shown,
)
from backend.dashboards.visible import Sight
from backend.database import transaction
from backend.ingest.correct import void_dose
from backend.ingest.replace import answer
from backend.state.refresh import refresh

router = APIRouter(include_in_schema=False)
After = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Short = Annotated[str, Query(max_length=20)]
Reason = Annotated[str, Form(min_length=1, max_length=200)]


@router.get("/patients")
def patients(
    visit: Visiting,
    search: Annotated[str, Query(max_length=100)] = "",
    show: Short = "",
    after: After = None,
    limit: Limit = USUAL,
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = patient_list(sight, Wanted(search.strip(), show, after, limit))
        seen = [row.patient_id for row in page.rows]
        note_look(session, visit, "patient_list_seen", seen)
        frame = framed(session, visit)
    return shown(page, frame)


@router.get("/patients/{patient_id}")
def patient(
    visit: Visiting, patient_id: UUID, days: Annotated[int, Query(ge=1)] = 30
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = patient_page(
            sight, patient_id, days=days, path=f"/patients/{patient_id}"
        )
        note_look(session, visit, "patient_seen", [patient_id])
        page = replace(page, audit=looks(sight, patient_id))
        frame = framed(session, visit, live=patient_id)
    return shown(page, frame)


@router.post("/patients/{patient_id}/doses/{dose_event_id}/void")
def void(
    visit: Visiting, patient_id: UUID, dose_event_id: UUID, reason: Reason
) -> RedirectResponse:
    with transaction() as session:
        void_dose(session, visit.reader, dose_event_id, reason=reason, now=visit.now)
    return done(f"/patients/{patient_id}", "voided")


@router.get("/alerts")
def alerts(
    visit: Visiting, state: Short = "", after: After = None, limit: Limit = USUAL
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = alert_list(sight, state=state, after=after, limit=limit)
        seen = [row.patient_id for row in page.rows]
        note_look(session, visit, "alert_list_seen", seen)
        frame = framed(session, visit)
    return shown(page, frame)


@router.get("/alerts/{patient_id}/{alert_id}")
def alert(visit: Visiting, patient_id: UUID, alert_id: UUID) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        frame = framed(session, visit, live=patient_id)
        page = alert_page(sight, patient_id, alert_id, zone=frame.zone)
        note_look(session, visit, "alert_seen", [patient_id])
    return shown(page, frame)


@router.post("/alerts/{patient_id}/{alert_id}/acknowledge")
def acknowledge(visit: Visiting, patient_id: UUID, alert_id: UUID) -> RedirectResponse:
    with transaction() as session:
        changed = act.acknowledge(session, visit.reader, alert_id, now=visit.now)
        refresh(session, [changed.patient_id], now=visit.now)
    return done(f"/alerts/{patient_id}/{alert_id}", "acknowledged")


@router.post("/alerts/{patient_id}/{alert_id}/snooze")
def snooze(
    visit: Visiting,
    patient_id: UUID,
    alert_id: UUID,
    hours: Annotated[int, Form(ge=1, le=24 * 28)],
    reason: Reason,
) -> RedirectResponse:
    until = visit.now + timedelta(hours=hours)
    with transaction() as session:
        changed = act.snooze(
            session, visit.reader, alert_id, until=until, reason=reason, now=visit.now
        )
        refresh(session, [changed.patient_id], now=visit.now)
    return done(f"/alerts/{patient_id}/{alert_id}", "snoozed")


@router.post("/alerts/{patient_id}/{alert_id}/close")
def close(
    visit: Visiting,
    patient_id: UUID,
    alert_id: UUID,
    outcome: Annotated[Outcome, Form()],
    note: Annotated[str, Form(max_length=2000)] = "",
) -> RedirectResponse:
    with transaction() as session:
        changed = act.close(
            session, visit.reader, alert_id, outcome=outcome, note=note, now=visit.now
        )
        refresh(session, [changed.patient_id], now=visit.now)
    return done(f"/alerts/{patient_id}/{alert_id}", "closed")


@router.get("/outbox")
def messages(
    visit: Visiting, show: Short = "", after: After = None, limit: Limit = USUAL
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        frame = framed(session, visit)
        page = outbox(
            sight,
            zone=frame.zone,
            show=show,
            after=after,
            limit=limit,
            demo=is_demo(session),
        )
        seen = {row.patient_id for row in page.rows if row.patient_id}
        note_look(session, visit, "messages_seen", seen)
    return shown(page, frame)


@router.get("/devices")
def devices(visit: Visiting, after: After = None, limit: Limit = USUAL) -> HTMLResponse:
    admit(visit, Role.TECHNICIAN, Role.OPERATOR)
    with transaction() as session:
        page = device_list(
            session, visit.reader, now=visit.now, after=after, limit=limit
        )
        note_look(session, visit, "device_list_seen", [])
        frame = framed(session, visit)
    return shown(page, frame)


@router.post("/devices/{device_id}/replacement")
def replacement(
    visit: Visiting, device_id: UUID, state: Annotated[str, Form(max_length=20)]
) -> RedirectResponse:
    """Take a proposal as done, or take it back, and return to the devices."""
    admit(visit, Role.TECHNICIAN, Role.OPERATOR)
    with transaction() as session:
        answer(session, visit.reader, device_id, state, now=visit.now)
    return done("/devices", "answered")
