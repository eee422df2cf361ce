"""Rows with sensible defaults, for tests: name what matters, the rest is filled in.

Each takes the session first, adds its row, flushes and returns it.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from uuid import UUID, uuid4

from sqlmodel import Session, SQLModel

from backend.devices.tables import Assignment, Device
from backend.people.tables import (
    Account,
    Bridge,
    CareTeamMember,
    Clinic,
    Clinician,
    Consent,
    ContactPoint,
    Organization,
    Patient,
    PatientLanguage,
    PatientZone,
)
from backend.regimens.tables import Regimen, RegimenVersion
from backend.supply.tables import Product

NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)  # a Wednesday, far from any clock change
LONG_AGO = NOW - timedelta(days=365)
ZURICH = "Europe/Zurich"

R = TypeVar("R", bound=SQLModel)


def written(session: Session, row: R) -> R:
    session.add(row)
    session.flush()
    return row


def a_clinic(session: Session, *, name: str = "Seefeld", zone: str = ZURICH) -> Clinic:
    return written(session, Clinic(name=name, zone=zone, recorded_at=LONG_AGO))


def a_clinician(
    session: Session,
    clinic: Clinic,
    *,
    name: str = "Dr. Ada Meier",
    role: str = "clinician",
) -> Clinician:
    return written(session, Clinician(clinic_id=clinic.clinic_id, name=name, role=role))


def a_manufacturer(
    session: Session, *, name: str = "Acme Pharma", gln: str | None = None
) -> Organization:
    return written(session, Organization(name=name, gln=gln or str(uuid4().int)[:13]))


def a_patient(
    session: Session,
    clinic: Clinic,
    *,
    team: tuple[Clinician, ...] = (),
    consents: tuple[str, ...] = ("care", "reminders"),
    zone: str = ZURICH,
    language: str = "en",
    given_name: str = "Rosa",
    family_name: str = "Keller",
    phone: str | None = "+41790000001",
    since: datetime = LONG_AGO,
) -> Patient:
    """Return a patient the clinic cares for: consents to it, a zone, a phone."""
    patient = written(
        session,
        Patient(
            clinic_id=clinic.clinic_id,
            given_name=given_name,
            family_name=family_name,
            recorded_at=since,
        ),
    )
    own = patient.patient_id
    lives = PatientZone(
        patient_id=own, effective_from=since, zone=zone, recorded_at=since
    )
    speaks = PatientLanguage(
        patient_id=own, effective_from=since, language=language, recorded_at=since
    )
    session.add_all([lives, speaks])
    for clinician in team:
        session.add(
            CareTeamMember(
                patient_id=own, clinician_id=clinician.clinician_id, since=since
            )
        )
    for purpose in consents:
        a_consent(session, patient, purpose, clinic.clinic_id, since=since)
    if phone is not None:
        session.add(
            ContactPoint(patient_id=own, channel="sms", address=phone, since=since)
        )
    session.flush()
    return patient


def a_consent(
    session: Session,
    patient: Patient,
    purpose: str,
    recipient_id: UUID,
    *,
    since: datetime = LONG_AGO,
    until: datetime | None = None,
) -> Consent:
    return written(
        session,
        Consent(
            patient_id=patient.patient_id,
            purpose=purpose,
            recipient_id=recipient_id,
            version=1,
            wording="consent-1",
            since=since,
            until=until,
            recorded_at=since,
        ),
    )


def an_account(
    session: Session,
    subject: Patient | Clinician | Organization,
    *,
    login: str | None = None,
    password_hash: str = "unusable",
) -> Account:
    """Return an account; its password never fits unless a hash is given."""
    match subject:
        case Patient():
            role, owner, clinic_id = "patient", subject.patient_id, subject.clinic_id
        case Clinician():
            role, owner, clinic_id = (
                subject.role,
                subject.clinician_id,
                subject.clinic_id,
            )
        case Organization():
            role, owner, clinic_id = "manufacturer", subject.organization_id, None
    return written(
        session,
        Account(
            login=login or f"{role}-{owner}",
            password_hash=password_hash,
            role=role,
            subject_id=owner,
            clinic_id=clinic_id,
        ),
    )


def a_bridge(
    session: Session, clinic: Clinic, *, name: str = "ward 3", kind: str = "gateway"
) -> Bridge:
    return written(
        session,
        Bridge(clinic_id=clinic.clinic_id, name=name, kind=kind, created_at=LONG_AGO),
    )


def a_device(
    session: Session,
    clinic: Clinic,
    *,
    kind: str = "box",
    maker: str = "Acme",
    model: str = "Box 2",
    serial: str | None = None,
) -> Device:
    return written(
        session,
        Device(
            clinic_id=clinic.clinic_id,
            kind=kind,
            maker=maker,
            model=model,
            serial=serial or str(uuid4()),
            registered_at=LONG_AGO,
        ),
    )


def an_assignment(
    session: Session,
    device: Device,
    patient: Patient,
    *,
    regimen: Regimen | None = None,
    compartment: int = 0,
    since: datetime = LONG_AGO,
    until: datetime | None = None,
) -> Assignment:
    return written(
        session,
        Assignment(
            patient_id=patient.patient_id,
            device_id=device.device_id,
            compartment=compartment,
            regimen_id=regimen.regimen_id if regimen else None,
            since=since,
            until=until,
        ),
    )


def a_product(
    session: Session,
    manufacturer: Organization,
    *,
    gtin: str = "07612345678900",
    unit: str = "1",
    pack_size: Decimal = Decimal(30),
) -> Product:
    return written(
        session,
        Product(
            gtin=gtin,
            name="Exemplin 5 mg",
            drug="exemplin",
            strength="5 mg",
            unit=unit,
            pack_size=pack_size,
            manufacturer_id=manufacturer.organization_id,
        ),
    )


def a_regimen(
    session: Session,
    patient: Patient,
    *,
    timing: dict[str, object],
    product: Product | None = None,
    amount: Decimal | None = Decimal(1),
    unit: str | None = "1",
    effective_from: datetime = LONG_AGO,
    criticality: str = "standard",
) -> Regimen:
    """Return a regimen with one version; `timing` is JSON of backend.regimens."""
    regimen = written(
        session,
        Regimen(
            patient_id=patient.patient_id,
            clinic_id=patient.clinic_id,
            gtin=product.gtin if product else None,
            drug=product.drug if product else "exemplin",
            criticality=criticality,
            recorded_at=effective_from,
        ),
    )
    written(
        session,
        RegimenVersion(
            patient_id=patient.patient_id,
            regimen_id=regimen.regimen_id,
            version=1,
            timing=timing,
            amount=amount,
            unit=unit,
            effective_from=effective_from,
            prescribed_by=uuid4(),
            recorded_at=effective_from,
        ),
    )
    return regimen
