"""What every page route does: who reads, when, in which frame, and what is audited."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock
from typing import Annotated
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from sqlmodel import Session, col, select

from backend.audit.record import record
from backend.clock import domain_clock, real_now
from backend.dashboards import frame
from backend.dashboards.frame import Frame, Role
from backend.dashboards.render import render
from backend.dashboards.views import Page
from backend.people.readers import Reader, SignedIn, by_hand, only, session_of
from backend.people.tables import (
    Clinic,
    Clinician,
    Organization,
    Patient,
    PatientZone,
)

FOLLOWED = timedelta(hours=1)
MOST_FOLLOWED = 10_000
NOTICES = {
    "acknowledged": "The alert is yours. It stays open until somebody closes it.",
    "snoozed": "The alert rests.",
    "closed": "The alert is closed.",
    "voided": "The record no longer counts. What followed from it was computed again.",
    "labelled": "Your word is kept beside the record. What follows was computed again.",
    "moved": "The order has moved on.",
    "ladder": "The ladder is changed. What waits to be sent follows it.",
    "wished": "The wishes are recorded. What waits to be sent follows them.",
    "paused": "Nothing rings in these days.",
    "resumed": "The pause has ended. Reminders go again.",
    "answered": "Your answer is recorded.",
    "reported": "Your dose is recorded.",
    "noted": "What you said is recorded. It does not count for this dose.",
    "said_before": "You have said so before. It does not count for this dose.",
}


@dataclass(frozen=True, slots=True)
class Visit:
    """One request for a page: who, when (domain and real time), by which request."""

    request: Request
    who: SignedIn
    now: datetime
    real: datetime
    speed: float

    @property
    def reader(self) -> Reader:
        return self.who.reader


def visit(request: Request, who: Annotated[SignedIn, Depends(session_of)]) -> Visit:
    """Return the visit; a dependency that holds no connection when it returns."""
    clock, real = domain_clock(), real_now()
    return Visit(request, who, clock.at(real), real, clock.speed)


Visiting = Annotated[Visit, Depends(visit)]


def admit(visit: Visit, *roles: Role) -> None:
    """Raise Forbidden for a reader of any other role."""
    only(visit.reader, *roles)


def framed(session: Session, visit: Visit, *, live: UUID | bool = True) -> Frame:
    """Return a page's surroundings; `live` names the patient it is about, if one."""
    reader, zone = _person(session, visit)
    query: dict[str, str] = {"since": f"{visit.real.timestamp():.3f}"}
    if isinstance(live, UUID):
        query["patient"] = str(live)
    return Frame(
        now=visit.now,
        zone=zone,
        reader=reader,
        csrf=visit.who.csrf,
        live=f"/live?{urlencode(query)}" if live else None,
        notice=NOTICES.get(visit.request.query_params.get("done", "")),
        speed=visit.speed,
    )


def shown(page: Page, framing: Frame) -> HTMLResponse:
    return HTMLResponse(render(page, framing))


def done(target: str, what: str) -> RedirectResponse:
    """Return to a page after something was done, which its notice says."""
    return RedirectResponse(f"{target}?done={what}", 303)


def note_look(
    session: Session, visit: Visit, action: str, patients: Iterable[UUID]
) -> None:
    """Write the one audit row of a page view.

    A page that keeps itself current writes none for patients whose row this process
    has written within the hour: the header alone, which anybody can send, spares none.
    """
    seen = frozenset(patients)
    key = visit.reader.account_id, action, seen
    if _follows(key, visit.real) and not by_hand(visit.request):
        return
    record(session, visit.reader.actor(), action, patients=seen)
    _follow(key, visit.real)


_Key = tuple[UUID, str, frozenset[UUID]]
_followed: OrderedDict[_Key, datetime] = OrderedDict()
_lock = Lock()


def _follows(key: _Key, real: datetime) -> bool:
    with _lock:
        at = _followed.get(key)
    return at is not None and real - at < FOLLOWED


def _follow(key: _Key, real: datetime) -> None:
    with _lock:
        _followed[key] = real
        _followed.move_to_end(key)
        while len(_followed) > MOST_FOLLOWED:
            _followed.popitem(last=False)


def _person(session: Session, visit: Visit) -> tuple[frame.Reader, str]:
    reader = visit.reader
    role = Role(reader.role)
    match role:
        case Role.MANUFACTURER:
            maker = session.get_one(Organization, reader.subject_id)
            return frame.Reader("Supply desk", role, maker.name), "UTC"
        case Role.PATIENT:
            patient = session.get_one(Patient, reader.subject_id)
            clinic = session.get_one(Clinic, patient.clinic_id)
            name = f"{patient.given_name} {patient.family_name}"
            zone = zone_of(session, reader.subject_id, visit.now) or clinic.zone
            return frame.Reader(name, role, clinic.name), zone
        case _:
            person = session.get_one(Clinician, reader.subject_id)
            clinic = session.get_one(Clinic, person.clinic_id)
            return frame.Reader(person.name, role, clinic.name), clinic.zone


def zone_of(session: Session, patient_id: UUID, now: datetime) -> str | None:
    """Return the zone a patient lives by now, None where none was written down."""
    return session.exec(
        select(PatientZone.zone)
        .where(PatientZone.patient_id == patient_id)
        .where(col(PatientZone.effective_from) <= now)
        .order_by(col(PatientZone.effective_from).desc())
        .limit(1)
    ).first()
