"""What a clinician does with an alert: acknowledge, snooze, close."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlmodel import Session, col, select

from backend.alerts.raise_ import log_event
from backend.alerts.tables import Alert
from backend.audit.record import record
from backend.errors import Conflict, NotFound, Unprocessable
from backend.people.hold import hold
from backend.people.readers import Reader, may_see, only

Outcome = Literal["adverse_reaction", "other_cause", "artefact", "resolved"]


class AlreadyClosed(Conflict):
    """Somebody closed this alert before."""


def acknowledge(
    session: Session, reader: Reader, alert_id: UUID, *, now: datetime
) -> Alert:
    """Mark that the reader works on it; a second time changes nothing."""
    alert = _held(session, reader, alert_id, now)
    if alert.state != "acknowledged":
        alert.state, alert.snoozed_until = "acknowledged", None
        alert.acknowledged_by, alert.acknowledged_at = reader.subject_id, now
        _done(session, reader, alert, "acknowledged", now)
    return alert


def snooze(
    session: Session,
    reader: Reader,
    alert_id: UUID,
    *,
    until: datetime,
    reason: str,
    now: datetime,
) -> Alert:
    """Let it rest until then; it holds for this (patient, rule) and nothing else."""
    if until <= now:
        raise Unprocessable("An alert can only be snoozed into the future.")
    alert = _held(session, reader, alert_id, now)
    alert.state, alert.snoozed_until, alert.note = "snoozed", until, reason
    _done(session, reader, alert, "snoozed", now, until=until.isoformat())
    return alert


def close(
    session: Session,
    reader: Reader,
    alert_id: UUID,
    *,
    outcome: Outcome,
    note: str = "",
    now: datetime,
) -> Alert:
    """Close it with what it turned out to be."""
    alert = _held(session, reader, alert_id, now)
    alert.state, alert.outcome, alert.note = "closed", outcome, note or None
    alert.closed_by, alert.closed_at = reader.subject_id, now
    _done(session, reader, alert, "closed", now, outcome=outcome)
    return alert


def _held(session: Session, reader: Reader, alert_id: UUID, now: datetime) -> Alert:
    """The alert, with its patient held; NotFound unless a clinician may see it."""
    only(reader, "clinician")
    wanted = (
        select(Alert)
        .where(Alert.alert_id == alert_id)
        .where(may_see(reader, col(Alert.patient_id), now=now))
    )
    alert = session.exec(wanted).one_or_none()
    if alert is None:
        raise NotFound("There is no such alert.")
    hold(session, [alert.patient_id])
    session.refresh(alert)
    if alert.state == "closed":
        raise AlreadyClosed("This alert is closed already.", outcome=alert.outcome)
    return alert


def _done(
    session: Session,
    reader: Reader,
    alert: Alert,
    what: str,
    now: datetime,
    **detail: object,
) -> None:
    alert.updated_at = now
    session.flush()
    log_event(
        session,
        alert.patient_id,
        alert.alert_id,
        what,
        now=now,
        actor_id=reader.subject_id,
        detail=detail,
    )
    record(
        session,
        reader.actor(),
        f"alert_{what}",
        patients=[alert.patient_id],
        detail={"alert_id": str(alert.alert_id)},
    )
