"""The numbers patients are known by, such as a hospital's."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.errors import Conflict
from backend.people.tables import IdentifierLookup, Patient, PatientIdentifier


class IdentifierTaken(Conflict):
    """The identifier names another patient of this clinic already."""


@dataclass(frozen=True, slots=True)
class Identifier:
    """A number a patient is known by, such as a hospital's: (system, value)."""

    system: str
    value: str


def identify(
    session: Session, patient: Patient, identifier: Identifier, *, since: datetime
) -> None:
    """Let an identifier name this patient; raises IdentifierTaken.

    Safe against a second writer: the lookup's key decides who was first.
    """
    session.connection().execute(
        insert(IdentifierLookup)
        .values(
            clinic_id=patient.clinic_id,
            system=identifier.system,
            value=identifier.value,
            patient_id=patient.patient_id,
        )
        .on_conflict_do_nothing()
    )
    owner = find(session, patient.clinic_id, identifier)
    if owner != patient.patient_id:
        raise IdentifierTaken("This identifier names another patient.")
    session.connection().execute(
        insert(PatientIdentifier)
        .values(
            patient_id=patient.patient_id,
            system=identifier.system,
            value=identifier.value,
            since=since,
        )
        .on_conflict_do_nothing()
    )


def find(session: Session, clinic_id: UUID, identifier: Identifier) -> UUID | None:
    """Return the patient whom an identifier names in a clinic now."""
    return session.exec(
        select(IdentifierLookup.patient_id).where(
            col(IdentifierLookup.clinic_id) == clinic_id,
            col(IdentifierLookup.system) == identifier.system,
            col(IdentifierLookup.value) == identifier.value,
        )
    ).one_or_none()
