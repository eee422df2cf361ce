"""Who cares for a patient, and since when."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import update
from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.people.hold import hold
from backend.people.tables import CareTeamMember


def join_team(
    session: Session, patient_id: UUID, clinician_id: UUID, *, since: datetime
) -> None:
    """Let a clinician care for a patient from `since` on; no harm when they do."""
    on_it = session.exec(
        select(CareTeamMember).where(
            col(CareTeamMember.patient_id) == patient_id,
            col(CareTeamMember.clinician_id) == clinician_id,
            col(CareTeamMember.until).is_(None),
        )
    ).first()
    if on_it is None:
        session.add(
            CareTeamMember(
                patient_id=patient_id, clinician_id=clinician_id, since=since
            )
        )


def leave_team(
    session: Session,
    patient_id: UUID,
    clinician_id: UUID,
    *,
    actor: Actor,
    now: datetime,
) -> bool:
    """End a clinician's care for a patient; False when they were not on the team."""
    hold(session, [patient_id])
    ended = session.exec(
        update(CareTeamMember)
        .where(
            col(CareTeamMember.patient_id) == patient_id,
            col(CareTeamMember.clinician_id) == clinician_id,
            col(CareTeamMember.until).is_(None),
        )
        .values(until=now)
    )
    if ended.rowcount:
        record(
            session,
            actor,
            "care_team_left",
            patients=[patient_id],
            detail={"clinician_id": clinician_id},
        )
    return bool(ended.rowcount)
