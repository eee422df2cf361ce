"""Who reads, and which patients they may see."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, and_, false
from sqlalchemy.orm import Mapped
from sqlmodel import col, select

from backend.audit.record import Actor
from backend.errors import Forbidden
from backend.people.consent import standing
from backend.people.tables import CareTeamMember

ROLES = ("patient", "clinician", "technician", "operator", "manufacturer")


@dataclass(frozen=True, slots=True)
class Reader:
    """Somebody signed in; `subject_id` is the patient, clinician or organization."""

    account_id: UUID
    role: str
    subject_id: UUID
    clinic_id: UUID | None

    def actor(self) -> Actor:
        """Return who this is in an audit row."""
        return Actor(self.role, self.account_id, self.clinic_id)


@dataclass(frozen=True, slots=True)
class Sender:
    """A bridge whose token was right; kind `gateway` or `cloud`."""

    bridge_id: UUID
    clinic_id: UUID
    kind: str

    def actor(self) -> Actor:
        """Return who this is in an audit row."""
        return Actor("bridge", self.bridge_id, self.clinic_id)


def may_see(
    reader: Reader, patient_id: Mapped[UUID] | ColumnElement[UUID], *, now: datetime
) -> ColumnElement[bool]:
    """Return the SQL condition under which `reader` sees the patient in that column.

    It belongs in the WHERE of every read of patient data. A clinician sees whose care
    team they are on now, while the patient's consent to care by their clinic stands;
    a patient themself; nobody else anybody.
    """
    match reader:
        case Reader(role="patient"):
            return patient_id == reader.subject_id
        case Reader(role="clinician", clinic_id=UUID() as clinic_id):
            return and_(
                on_care_team(reader.subject_id, patient_id, now=now),
                standing(patient_id, "care", clinic_id, now=now),
            )
        case _:
            return false()


def on_care_team(
    clinician_id: UUID,
    patient_id: Mapped[UUID] | ColumnElement[UUID],
    *,
    now: datetime,
) -> ColumnElement[bool]:
    """Return the SQL condition that the clinician cares for the patient now."""
    return (
        select(CareTeamMember.patient_id)
        .where(
            col(CareTeamMember.patient_id) == patient_id,
            col(CareTeamMember.clinician_id) == clinician_id,
            col(CareTeamMember.since) <= now,
            col(CareTeamMember.until).is_(None) | (col(CareTeamMember.until) > now),
        )
        .exists()
    )


def only(reader: Reader, *roles: str) -> Reader:
    """Return the reader; raises Forbidden when their role is none of `roles`."""
    if reader.role not in roles:
        raise Forbidden("This is not for your role.")
    return reader
