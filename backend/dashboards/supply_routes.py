"""Orders and their feed over HTTP, for manufacturers, clinics and patients."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse

from backend.dashboards.clinician_routes import After, Limit, Short
from backend.dashboards.frame import Role
from backend.dashboards.keyset import USUAL
from backend.dashboards.move import move_order
from backend.dashboards.orders import feed_page, order_list
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

router = APIRouter(include_in_schema=False)


@router.get("/orders")
def orders(
    visit: Visiting, show: Short = "", after: After = None, limit: Limit = USUAL
) -> HTMLResponse:
    admit(visit, Role.MANUFACTURER)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = order_list(sight, show=show, after=after, limit=limit)
        note_look(session, visit, "orders_seen", [])
        frame = framed(session, visit)
    return shown(page, frame)


@router.post("/orders/{reorder_id}/move")
def move(
    visit: Visiting,
    reorder_id: UUID,
    state: Annotated[str, Form(max_length=20)],
) -> RedirectResponse:
    """Bring an order into its next state and return to where its reader came from."""
    admit(visit, Role.MANUFACTURER, Role.CLINICIAN, Role.PATIENT)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        patient_id = move_order(sight, reorder_id, state)
    back = {Role.MANUFACTURER: "/orders", Role.PATIENT: "/today"}
    return done(back.get(Role(visit.reader.role), f"/patients/{patient_id}"), "moved")


@router.get("/feed")
def feed(
    visit: Visiting,
    after: Annotated[int | None, Query(ge=0, lt=2**63)] = None,
    limit: Limit = USUAL,
) -> HTMLResponse:
    admit(visit, Role.MANUFACTURER)
    with transaction() as session:
        sight = Sight(session, visit.reader, visit.now)
        page = feed_page(sight, after=after, limit=limit)
        note_look(session, visit, "feed_seen", [])
        frame = framed(session, visit)
    return shown(page, frame)
