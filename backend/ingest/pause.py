"""Spans in which nothing rings: a vacation, a stay in hospital.

On vacation the patient is out of reach of their device or wants no reminders; doses are
judged as ever. In hospital others give the doses, so that those days say nothing of how
they were taken: they are unknown, whatever a device at home did not record.
"""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Literal, get_args
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.clock import real_now
from backend.database.sets import fetch
from backend.doses.silence import DAY_STARTS
from backend.doses.tables import NonMonitoredSpan
from backend.errors import Conflict, NotFound, Unprocessable
from backend.ingest.accept import follow
from backend.people.hold import hold
from backend.people.zones import zone_at, zone_history
from backend.regimens.zones import start_of
from backend.reminders.plan import hush, replan
from backend.reminders.tables import ReminderPause
from backend.state.refresh import refresh

Kind = Literal["hospital", "vacation"]
KINDS: tuple[Kind, ...] = get_args(Kind)
LONGEST = timedelta(days=366)
AHEAD = timedelta(days=4)  # beyond this no dose is written yet


class PausedAlready(Conflict):
    """Another pause of that kind covers a part of this span."""


def pause(
    session: Session,
    patient_id: UUID,
    kind: str,
    *,
    since: datetime,
    until: datetime | None,
    reason: str = "",
    actor: Actor,
    now: datetime,
) -> UUID:
    """Let nothing ring in a span, which may have begun before; return the pause's id.

    Without `until` it lasts until `resume`. Raises Unprocessable, PausedAlready.
    """
    if kind not in KINDS:
        raise Unprocessable(f"A pause is one of {', '.join(KINDS)}.")
    if until is not None and not since < until <= since + LONGEST:
        raise Unprocessable("A pause ends after it begins, within a year.")
    if not now - LONGEST <= since <= now + LONGEST:
        raise Unprocessable("A pause begins within a year of today.")
    hold(session, [patient_id])
    _refuse_overlap(session, patient_id, kind, since, until)
    begun = ReminderPause(
        patient_id=patient_id,
        pause_id=uuid4(),
        kind=kind,
        since=since,
        until=until,
        reason=reason,
        by=actor.id,
        recorded_at=real_now(),
    )
    session.add(begun)
    session.flush()
    _follow(session, begun, until, now)
    detail = {"pause_id": begun.pause_id, "kind": kind}
    record(session, actor, "reminders_paused", patients=[patient_id], detail=detail)
    return begun.pause_id


def resume(
    session: Session,
    patient_id: UUID,
    pause_id: UUID,
    *,
    kinds: Collection[str] = KINDS,
    actor: Actor,
    now: datetime,
) -> bool:
    """End a pause now; False when it is over. One still to come never begins.

    `kinds` are those that the actor may end. Raises NotFound.
    """
    hold(session, [patient_id])
    found = session.get(ReminderPause, (patient_id, pause_id))
    if found is None or found.kind not in kinds:
        raise NotFound("There is no such pause.")
    if found.ended_at is not None or (found.until is not None and found.until <= now):
        return False
    found.ended_at, found.ended_by = max(found.since, now), actor.id
    session.flush()
    _follow(session, found, found.ended_at, now)
    detail = {"pause_id": pause_id, "kind": found.kind}
    record(session, actor, "reminders_resumed", patients=[patient_id], detail=detail)
    return True


def resume_all(
    session: Session, patient_id: UUID, kind: str, *, actor: Actor, now: datetime
) -> int:
    """End the pauses of a kind that last, and those to come; return how many."""
    known = session.exec(
        select(ReminderPause.pause_id).where(
            col(ReminderPause.patient_id) == patient_id, col(ReminderPause.kind) == kind
        )
    ).all()
    return sum(resume(session, patient_id, one, actor=actor, now=now) for one in known)


def _refuse_overlap(
    session: Session,
    patient_id: UUID,
    kind: str,
    since: datetime,
    until: datetime | None,
) -> None:
    rows = session.exec(
        select(ReminderPause).where(
            col(ReminderPause.patient_id) == patient_id, col(ReminderPause.kind) == kind
        )
    )
    for known in rows:
        ends = known.ended_at or known.until
        if (until is None or known.since < until) and (ends is None or since < ends):
            raise PausedAlready("A pause of that kind covers a part of this span.")


def _follow(
    session: Session, one: ReminderPause, until: datetime | None, now: datetime
) -> None:
    """Let reminders, and in hospital the labels of doses, follow from the span."""
    if one.kind == "hospital":
        days = _unmonitored(session, one, until, now)
        rows = fetch(
            session,
            """SELECT regimen_id, dose_day FROM scheduled_dose
            WHERE patient_id = :id AND dose_day BETWEEN :first AND :last""",
            id=one.patient_id,
            first=min(days),
            last=min(max(days), (now + AHEAD).date()),
        )
        facts = {(one.patient_id, row["regimen_id"], row["dose_day"]) for row in rows}
        follow(session, facts, patients=[one.patient_id], now=now, cause="hospital")
    replan(session, [one.patient_id], now=now)
    hush(session, one.patient_id)
    refresh(session, [one.patient_id], now=now)


def _unmonitored(
    session: Session, one: ReminderPause, until: datetime | None, now: datetime
) -> list[date]:
    """Write the days of the stay anew; return those between which labels may change."""
    touched: list[date] = []
    if one.span_id is not None:
        known = session.get_one(NonMonitoredSpan, (one.patient_id, one.span_id))
        known.voided_at = now
        touched += [known.first_day, known.last_day]
        one.span_id = None
    if until is None or until > one.since:
        zone = _zone(session, one.patient_id, now)
        first = _dose_day(one.since, zone)
        last = _dose_day(until or one.since + LONGEST, zone)
        span = NonMonitoredSpan(
            patient_id=one.patient_id,
            span_id=uuid4(),
            first_day=first,
            last_day=last,
            reason="hospital",
            recorded_at=now,
        )
        session.add(span)
        one.span_id = span.span_id
        touched += [first, last]
    session.flush()
    return touched


def _dose_day(at: datetime, zone: ZoneInfo) -> date:
    local = at.astimezone(zone)
    day = local.date()
    return day - timedelta(days=1) if local.time() < DAY_STARTS else day


def days(
    session: Session,
    patient_id: UUID,
    first: date,
    last: date | None,
    *,
    now: datetime,
) -> tuple[datetime, datetime | None]:
    """Return the span of local days, both included; an open end without a last one."""
    zone = _zone(session, patient_id, now)
    since = start_of(first, zone)
    return since, None if last is None else start_of(last + timedelta(days=1), zone)


def _zone(session: Session, patient_id: UUID, now: datetime) -> ZoneInfo:
    spans = zone_history(session, [patient_id])[patient_id]
    return ZoneInfo(zone_at(spans, now))


def may_pause(role: str) -> tuple[Kind, ...]:
    """Return the kinds of pause that a reader of this role may begin and end."""
    return ("vacation",) if role == "patient" else KINDS
