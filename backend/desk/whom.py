"""Whom a command means: the operator, and the patient and others of their clinic."""

from uuid import UUID

from sqlalchemy import func
from sqlmodel import Session, col, select

from backend.audit.record import Actor
from backend.errors import NotFound, Unprocessable
from backend.people.accounts import find_account
from backend.people.consent import PURPOSES
from backend.people.hold import hold
from backend.people.identifiers import Identifier, find
from backend.people.register import of_clinic
from backend.people.tables import Account, Clinician, Organization
from backend.reminders.tables import Caregiver


def operator(session: Session, login: str) -> tuple[Actor, UUID]:
    """Return who acts, and of which clinic; raises NotFound for anybody else."""
    found = find_account(session, login)
    if (
        found is None
        or found.role != "operator"
        or found.disabled_at is not None
        or found.clinic_id is None
    ):
        raise NotFound(f"No operator signs in as {login}.")
    return Actor(found.role, found.account_id, found.clinic_id), found.clinic_id


def prescriber(session: Session, login: str) -> tuple[Actor, UUID, UUID]:
    """Return who acts, of which clinic, and the clinician that they are.

    Raises NotFound for anybody else.
    """
    found = find_account(session, login)
    if (
        found is None
        or found.role != "clinician"
        or found.disabled_at is not None
        or found.clinic_id is None
    ):
        raise NotFound(f"No clinician signs in as {login}.")
    actor = Actor(found.role, found.account_id, found.clinic_id)
    return actor, found.clinic_id, found.subject_id


def patient(session: Session, named: str, clinic_id: UUID) -> UUID:
    """Return a patient of the clinic by id or SYSTEM=NUMBER, held; raises NotFound."""
    found = _uuid(named)
    if found is None:
        system, _, value = named.rpartition("=")
        found = find(session, clinic_id, Identifier(system, value))
    theirs = of_clinic(session, clinic_id, [found] if found else [])
    if found is None or found not in hold(session, theirs):
        raise NotFound(f"No patient of this clinic is {named}.")
    return found


def recipient(
    session: Session,
    purpose: str,
    named: str | None,
    patient_id: UUID,
    clinic_id: UUID,
) -> UUID:
    """Return who is allowed something: the clinic, a caregiver or a manufacturer.

    By name or id, a manufacturer also by GLN. Raises Unprocessable for a purpose that
    nobody defined.
    """
    if purpose not in PURPOSES:
        raise Unprocessable(f"A purpose is one of {', '.join(PURPOSES)}.")
    if purpose in ("care", "reminders", "naming"):
        return clinic_id
    if named is None:
        whom = "caregiver" if purpose == "caregiver" else f"manufacturer of {purpose}"
        raise Unprocessable(f"Name the {whom} with --to.")
    if purpose == "caregiver":
        return caregiver(session, patient_id, named)
    lowered = func.lower(col(Organization.name)) == named.strip().lower()
    by_id = col(Organization.organization_id) == _uuid(named)
    wanted = lowered | (col(Organization.gln) == named.strip()) | by_id
    found = session.exec(select(Organization.organization_id).where(wanted)).all()
    if len(found) != 1:
        many = "Several manufacturers are" if found else "No manufacturer is"
        raise NotFound(f"{many} called {named}.")
    return found[0]


def caregiver(session: Session, patient_id: UUID, named: str) -> UUID:
    """Return somebody the patient named, by name or id; raises NotFound."""
    lowered = func.lower(col(Caregiver.name)) == named.strip().lower()
    found = session.exec(
        select(Caregiver.caregiver_id).where(
            col(Caregiver.patient_id) == patient_id,
            col(Caregiver.until).is_(None),
            lowered | (col(Caregiver.caregiver_id) == _uuid(named)),
        )
    ).all()
    if len(found) != 1:
        many = "Several caregivers are" if found else "No caregiver is"
        raise NotFound(f"{many} called {named}.")
    return found[0]


def clinician(session: Session, named: str, clinic_id: UUID) -> UUID:
    """Return a clinician of the clinic by sign-in name or id; raises NotFound."""
    account: Account | None = find_account(session, named)
    wanted = account.subject_id if account else _uuid(named)
    found = session.exec(
        select(Clinician.clinician_id).where(
            col(Clinician.clinician_id) == wanted,
            col(Clinician.clinic_id) == clinic_id,
            col(Clinician.role) == "clinician",
        )
    ).one_or_none()
    if found is None:
        raise NotFound(f"No clinician of this clinic is {named}.")
    return found


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
