"""The page of a patient's reminders over HTTP, for clinicians and for the patient."""

from datetime import date, datetime, time, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlmodel import Session

from backend.audit.record import record
from backend.dashboards.frame import Role
from backend.dashboards.keyset import MOST, USUAL
from backend.dashboards.ledger import ledger_csv
from backend.dashboards.reminders import reminders_page
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
from backend.errors import NotFound, Unprocessable
from backend.ingest.pause import days, may_pause, pause, resume
from backend.reminders.wishes import Preference, prefer, write_ladder

LONGEST = timedelta(days=3660)

router = APIRouter(include_in_schema=False)
After = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=MOST)]
Days = Annotated[int, Query(ge=1, le=LONGEST.days)]
Reason = Annotated[str, Form(min_length=1, max_length=200)]
Note = Annotated[str, Form(max_length=200)]
Short = Annotated[str, Form(max_length=20)]
Many = Annotated[list[str], Form(max_length=10)]


@router.get("/patients/{patient_id}/reminders")
def reminders(
    visit: Visiting, patient_id: UUID, after: After = None, limit: Limit = USUAL
) -> HTMLResponse:
    admit(visit, Role.CLINICIAN)
    return _page(visit, patient_id, f"/patients/{patient_id}/reminders", after, limit)


@router.get("/reminders")
def own_reminders(
    visit: Visiting, after: After = None, limit: Limit = USUAL
) -> HTMLResponse:
    admit(visit, Role.PATIENT)
    return _page(visit, visit.reader.subject_id, "/reminders", after, limit)


@router.get("/patients/{patient_id}/reminders.csv")
def exported(visit: Visiting, patient_id: UUID, past: Days = 365) -> Response:
    """Answer the ledger of the past days as CSV; each time writes an audit row."""
    admit(visit, Role.CLINICIAN)
    return _csv(visit, patient_id, past)


@router.get("/reminders.csv")
def own_exported(visit: Visiting, past: Days = 365) -> Response:
    admit(visit, Role.PATIENT)
    return _csv(visit, visit.reader.subject_id, past)


@router.post("/patients/{patient_id}/reminders/ladder")
def change_ladder(
    visit: Visiting,
    patient_id: UUID,
    regimen: Annotated[UUID, Form()],
    replaces: Annotated[int, Form(ge=0)],
    reason: Reason,
    minutes: Many,
    whom: Many,
    what: Short = "change",
    fixed: Short = "",
) -> RedirectResponse:
    """Write the next ladder of a regimen; steps without minutes are left out."""
    admit(visit, Role.CLINICIAN)
    steps = [] if what == "default" else _steps(minutes, whom)
    if what != "default" and not steps:
        raise Unprocessable("A ladder has at least one step, or is the default.")
    with transaction() as session:
        _admitted(session, visit, patient_id)
        write_ladder(
            session,
            patient_id,
            regimen,
            steps,
            reason=reason,
            replaces=replaces,
            fixed=bool(fixed),
            actor=visit.reader.actor(),
            now=visit.now,
        )
    return done(f"/patients/{patient_id}/reminders", "ladder")


@router.post("/patients/{patient_id}/reminders/wishes")
def wishes(
    visit: Visiting,
    patient_id: UUID,
    quiet_since: Short = "",
    quiet_until: Short = "",
    adaptive: Short = "",
) -> RedirectResponse:
    admit(visit, Role.CLINICIAN)
    _prefer(visit, patient_id, quiet_since, quiet_until, adaptive)
    return done(f"/patients/{patient_id}/reminders", "wished")


@router.post("/reminders/wishes")
def own_wishes(
    visit: Visiting,
    quiet_since: Short = "",
    quiet_until: Short = "",
    adaptive: Short = "",
) -> RedirectResponse:
    admit(visit, Role.PATIENT)
    own = visit.reader.subject_id
    _prefer(visit, own, quiet_since, quiet_until, adaptive)
    return done("/reminders", "wished")


@router.post("/patients/{patient_id}/reminders/pause")
def begin(
    visit: Visiting,
    patient_id: UUID,
    kind: Short,
    first: Annotated[date, Form()],
    last: Short = "",
    reason: Note = "",
) -> RedirectResponse:
    """Let nothing ring from the first to the last day, both included."""
    admit(visit, Role.CLINICIAN)
    _pause(visit, patient_id, kind, first, last, reason)
    return done(f"/patients/{patient_id}/reminders", "paused")


@router.post("/reminders/pause")
def own_begin(
    visit: Visiting,
    kind: Short,
    first: Annotated[date, Form()],
    last: Short = "",
    reason: Note = "",
) -> RedirectResponse:
    admit(visit, Role.PATIENT)
    _pause(visit, visit.reader.subject_id, kind, first, last, reason)
    return done("/reminders", "paused")


@router.post("/patients/{patient_id}/reminders/pause/{pause_id}/end")
def end(visit: Visiting, patient_id: UUID, pause_id: UUID) -> RedirectResponse:
    admit(visit, Role.CLINICIAN)
    _resume(visit, patient_id, pause_id)
    return done(f"/patients/{patient_id}/reminders", "resumed")


@router.post("/reminders/pause/{pause_id}/end")
def own_end(visit: Visiting, pause_id: UUID) -> RedirectResponse:
    admit(visit, Role.PATIENT)
    _resume(visit, visit.reader.subject_id, pause_id)
    return done("/reminders", "resumed")


def _page(
    visit: Visit, patient_id: UUID, path: str, after: str | None, limit: int
) -> HTMLResponse:
    own = visit.reader.role == Role.PATIENT
    with transaction() as session:
        frame = framed(session, visit, live=patient_id)
        page = reminders_page(
            Sight(session, visit.reader, visit.now),
            patient_id,
            zone=frame.zone,
            path=path,
            own=own,
            after=after,
            limit=limit,
        )
        note_look(session, visit, "reminders_seen", [patient_id])
    return shown(page, frame)


def _csv(visit: Visit, patient_id: UUID, past: int) -> Response:
    with transaction() as session:
        _admitted(session, visit, patient_id)
        sight = Sight(session, visit.reader, visit.now)
        since = visit.now - timedelta(days=past)
        table = ledger_csv(sight, patient_id, since=since)
        actor = visit.reader.actor()
        record(session, actor, "reminders_exported", patients=[patient_id])
    name = f'attachment; filename="reminders-{visit.now:%Y-%m-%d}.csv"'
    return Response(
        table,
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": name},
    )


def _prefer(
    visit: Visit, patient_id: UUID, since: str, until: str, adaptive: str
) -> None:
    quiet = (_time(since), _time(until)) if since or until else None
    with transaction() as session:
        _admitted(session, visit, patient_id)
        prefer(
            session,
            patient_id,
            Preference(quiet, adaptive=bool(adaptive)),
            actor=visit.reader.actor(),
            now=visit.now,
        )


def _pause(
    visit: Visit, patient_id: UUID, kind: str, first: date, last: str, reason: str
) -> None:
    if kind not in may_pause(visit.reader.role):
        raise Unprocessable(
            f"A pause here is {' or '.join(may_pause(visit.reader.role))}."
        )
    with transaction() as session:
        _admitted(session, visit, patient_id)
        since, until = days(session, patient_id, first, _date(last), now=visit.now)
        pause(
            session,
            patient_id,
            kind,
            since=since,
            until=until,
            reason=reason,
            actor=visit.reader.actor(),
            now=visit.now,
        )


def _resume(visit: Visit, patient_id: UUID, pause_id: UUID) -> None:
    with transaction() as session:
        _admitted(session, visit, patient_id)
        resume(
            session,
            patient_id,
            pause_id,
            kinds=may_pause(visit.reader.role),
            actor=visit.reader.actor(),
            now=visit.now,
        )


def _admitted(session: Session, visit: Visit, patient_id: UUID) -> None:
    """Raise NotFound unless the reader may see this patient."""
    seen = Sight(session, visit.reader, visit.now).row(
        "p.patient_id",
        "patient p",
        ("p.patient_id = :patient",),
        of="p.patient_id",
        given={"patient": patient_id},
    )
    if seen is None:
        raise NotFound("There is no such patient.")


def _steps(minutes: list[str], whom: list[str]) -> list[dict[str, object]]:
    """Return the steps of a form, in the order of their time."""
    if len(minutes) != len(whom):
        raise Unprocessable("Each step has minutes and somebody who is told.")
    steps: list[dict[str, object]] = []
    for after, way in zip(minutes, whom, strict=True):
        if not after.strip():
            continue
        channel, _, recipient = way.partition(" ")
        steps.append(
            {"minutes": _number(after), "channel": channel, "recipient": recipient}
        )
    return sorted(steps, key=lambda step: int(str(step["minutes"])))


def _number(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Unprocessable("Minutes are whole numbers, such as -15 or 30.") from None


def _time(text: str) -> time:
    try:
        return datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 (a local time)
    except ValueError:
        raise Unprocessable("Quiet hours are two times, such as 22:00.") from None


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise Unprocessable("A day is written as 2026-03-05.") from None
