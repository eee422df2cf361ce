"""Writing down who there is: clinics, patients, clinicians, manufacturers.

Used by the demo, by imports and by an operator's commands. Times are domain time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID, uuid4

from sqlalchemy import func
from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM, Actor, record
from backend.errors import Conflict, NotFound, Unprocessable
from backend.people.care_team import join_team
from backend.people.consent import grant
from backend.people.identifiers import Identifier, identify
from backend.people.reachable import keep_reach
from backend.people.tables import (
    Clinic,
    Clinician,
    ContactPoint,
    Organization,
    Patient,
    PatientLanguage,
    PatientZone,
)
from backend.people.zones import checked

CHANNELS = ("sms", "voice", "email", "push")
FIRST_WORDING = "consent-1"


@dataclass(frozen=True, slots=True)
class Contact:
    """Where a patient can be reached: channel `sms`, `voice`, `email` or `push`.

    An address of `push` is a browser's subscription, as its JSON.
    """

    channel: str
    address: str
    rank: int = 1


@dataclass(frozen=True, slots=True)
class Newcomer:
    """All that is written down of a patient at registration.

    `consents` are (purpose, recipient), `team` the clinicians who care for them.
    """

    zone: str
    language: str = "en"
    given_name: str = ""
    family_name: str = ""
    birth_date: date | None = None
    identifiers: tuple[Identifier, ...] = ()
    contacts: tuple[Contact, ...] = ()
    consents: tuple[tuple[str, UUID], ...] = ()
    team: tuple[UUID, ...] = ()


def register_clinic(
    session: Session,
    name: str,
    zone: str,
    *,
    now: datetime,
    clinic_id: UUID | None = None,
) -> Clinic:
    """Write down a clinic; raises UnknownZone."""
    clinic = Clinic(
        clinic_id=clinic_id or uuid4(), name=name, zone=checked(zone), recorded_at=now
    )
    session.add(clinic)
    session.flush()
    record(session, SYSTEM, "clinic_registered", clinic_id=clinic.clinic_id)
    return clinic


def register_patient(
    session: Session,
    clinic_id: UUID,
    newcomer: Newcomer,
    *,
    actor: Actor,
    now: datetime,
    since: datetime | None = None,
    patient_id: UUID | None = None,
) -> Patient:
    """Write down a patient with everything in `newcomer`.

    Zone, language, contacts, consents and care team hold from `since` on, else from
    `now`. Raises IdentifierTaken, UnknownZone. State is the caller's to refresh.
    """
    begins = since or now
    patient = Patient(
        patient_id=patient_id or uuid4(),
        clinic_id=clinic_id,
        given_name=newcomer.given_name,
        family_name=newcomer.family_name,
        birth_date=newcomer.birth_date,
        recorded_at=now,
    )
    own = patient.patient_id
    session.add(patient)
    session.flush()
    session.add(
        PatientZone(
            patient_id=own,
            effective_from=begins,
            zone=checked(newcomer.zone),
            recorded_at=now,
        )
    )
    session.add(
        PatientLanguage(
            patient_id=own,
            effective_from=begins,
            language=newcomer.language,
            recorded_at=now,
        )
    )
    for contact in newcomer.contacts:
        _write_contact(session, own, contact, since=begins)
    for clinician_id in newcomer.team:
        join_team(session, own, clinician_id, since=begins)
    session.flush()
    for identifier in newcomer.identifiers:
        identify(session, patient, identifier, since=begins)
    for purpose, recipient_id in newcomer.consents:
        grant(
            session,
            own,
            purpose,
            recipient_id,
            version=1,
            wording=FIRST_WORDING,
            actor=actor,
            now=now,
            since=begins,
        )
    keep_reach(session, [own])
    record(session, actor, "patient_registered", patients=[own], clinic_id=clinic_id)
    return patient


def register_clinician(
    session: Session,
    clinic_id: UUID,
    name: str,
    *,
    role: str = "clinician",
    clinician_id: UUID | None = None,
) -> Clinician:
    """Write down somebody who works at a clinic."""
    clinician = Clinician(
        clinician_id=clinician_id or uuid4(), clinic_id=clinic_id, name=name, role=role
    )
    session.add(clinician)
    session.flush()
    return clinician


def register_organization(
    session: Session, name: str, gln: str, *, organization_id: UUID | None = None
) -> Organization:
    """Write down a manufacturer, or return the one known by this GLN."""
    known = session.exec(
        select(Organization).where(col(Organization.gln) == gln)
    ).first()
    if known is not None:
        return known
    organization = Organization(
        organization_id=organization_id or uuid4(), name=name, gln=gln
    )
    session.add(organization)
    session.flush()
    return organization


def of_clinic(
    session: Session, clinic_id: UUID, patient_ids: Iterable[UUID]
) -> set[UUID]:
    """Return which of these are patients of the clinic and not erased."""
    return set(
        session.exec(
            select(Patient.patient_id).where(
                col(Patient.patient_id).in_(set(patient_ids)),
                col(Patient.clinic_id) == clinic_id,
                col(Patient.erased_at).is_(None),
            )
        )
    )


def find_clinic(session: Session, named: str) -> Clinic:
    """Return the clinic with this name or id; raises NotFound or Conflict."""
    by_id = _uuid(named)
    found = session.exec(
        select(Clinic).where(
            func.lower(col(Clinic.name)) == named.strip().lower()
            if by_id is None
            else col(Clinic.clinic_id) == by_id
        )
    ).all()
    if not found:
        raise NotFound(f"No clinic is called {named}.")
    if len(found) > 1:
        raise Conflict(f"Several clinics are called {named}: give the id.")
    return found[0]


def add_contact(
    session: Session, patient_id: UUID, contact: Contact, *, since: datetime
) -> None:
    """Write down where a patient can be reached from `since` on."""
    _write_contact(session, patient_id, contact, since=since)
    keep_reach(session, [patient_id])


def _write_contact(
    session: Session, patient_id: UUID, contact: Contact, *, since: datetime
) -> None:
    if contact.channel not in CHANNELS:
        raise Unprocessable(f"A channel is one of {', '.join(CHANNELS)}.")
    session.add(
        ContactPoint(
            patient_id=patient_id,
            channel=contact.channel,
            address=contact.address,
            rank=contact.rank,
            since=since,
        )
    )


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None
