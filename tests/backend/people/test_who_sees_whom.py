"""May_see, consent, care teams: the SQL conditions against real rows."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM
from backend.audit.tables import AuditRow
from backend.people.care_team import join_team, leave_team
from backend.people.consent import grant, standing, withdraw
from backend.people.readers import Reader, may_see, reader_of
from backend.people.tables import Clinic, Clinician, Consent, Patient
from tests.builders import (
    LONG_AGO,
    NOW,
    a_clinic,
    a_clinician,
    a_consent,
    a_manufacturer,
    a_patient,
    an_account,
)

SECOND = timedelta(seconds=1)


def sees(
    session: Session, reader: Reader, patient: Patient, now: datetime = NOW
) -> bool:
    column = col(Patient.patient_id)
    found = session.exec(
        select(column).where(
            column == patient.patient_id, may_see(reader, column, now=now)
        )
    )
    return found.one_or_none() is not None


def reading(session: Session, clinician: Clinician) -> Reader:
    return reader_of(an_account(session, clinician))


@pytest.fixture
def clinic(session: Session) -> Clinic:
    return a_clinic(session)


@pytest.fixture
def ada(session: Session, clinic: Clinic) -> Clinician:
    return a_clinician(session, clinic)


def test_a_clinician_sees_whom_they_care_for(
    session: Session, clinic: Clinic, ada: Clinician
) -> None:
    reader = reading(session, ada)
    assert sees(session, reader, a_patient(session, clinic, team=(ada,)))
    assert not sees(session, reader, a_patient(session, clinic))


def test_a_withdrawn_consent_closes_the_file_at_that_instant(
    session: Session, clinic: Clinic, ada: Clinician
) -> None:
    reader = reading(session, ada)
    patient = a_patient(session, clinic, team=(ada,))
    assert withdraw(
        session, patient.patient_id, "care", clinic.clinic_id, actor=SYSTEM, now=NOW
    )
    assert sees(session, reader, patient, NOW - SECOND)
    assert not sees(session, reader, patient, NOW)


def test_consent_to_another_clinic_opens_nothing(
    session: Session, clinic: Clinic, ada: Clinician
) -> None:
    patient = a_patient(session, clinic, team=(ada,), consents=())
    a_consent(session, patient, "care", a_clinic(session).clinic_id)
    a_consent(session, patient, "reminders", clinic.clinic_id)
    assert not sees(session, reading(session, ada), patient)


def test_who_left_the_care_team_sees_no_more(
    session: Session, clinic: Clinic, ada: Clinician
) -> None:
    reader = reading(session, ada)
    patient = a_patient(session, clinic, team=(ada,))
    left = leave_team(
        session, patient.patient_id, ada.clinician_id, actor=SYSTEM, now=NOW
    )
    assert left
    assert not sees(session, reader, patient, NOW)
    join_team(session, patient.patient_id, ada.clinician_id, since=NOW + SECOND)
    session.flush()
    assert not sees(session, reader, patient, NOW)
    assert sees(session, reader, patient, NOW + SECOND)


def test_a_patient_sees_themself_only(session: Session, clinic: Clinic) -> None:
    rosa, otto = a_patient(session, clinic), a_patient(session, clinic)
    reader = reader_of(an_account(session, rosa))
    assert sees(session, reader, rosa)
    assert not sees(session, reader, otto)


@pytest.mark.parametrize("role", ["technician", "operator"])
def test_who_runs_the_devices_sees_no_patient(
    session: Session, clinic: Clinic, role: str
) -> None:
    worker = a_clinician(session, clinic, role=role)
    patient = a_patient(session, clinic, team=(worker,))
    assert not sees(session, reading(session, worker), patient)


def test_a_manufacturer_sees_no_patient(session: Session, clinic: Clinic) -> None:
    maker = a_manufacturer(session)
    patient = a_patient(session, clinic)
    a_consent(session, patient, "supply", maker.organization_id)
    assert not sees(session, reader_of(an_account(session, maker)), patient)


def test_an_account_without_a_clinic_sees_nobody_even_as_clinician(
    session: Session, clinic: Clinic, ada: Clinician
) -> None:
    patient = a_patient(session, clinic, team=(ada,))
    stray = Reader(uuid4(), "clinician", ada.clinician_id, None)
    assert not sees(session, stray, patient)


def test_a_yes_can_be_given_withdrawn_and_given_again(
    session: Session, clinic: Clinic
) -> None:
    patient = a_patient(session, clinic, consents=())
    maker = a_manufacturer(session).organization_id
    own = patient.patient_id

    def yes(version: int, now: datetime) -> None:
        grant(
            session,
            own,
            "supply",
            maker,
            version=version,
            wording=f"supply-{version}",
            actor=SYSTEM,
            now=now,
        )

    def stands(now: datetime) -> bool:
        column = col(Patient.patient_id)
        return bool(
            session.exec(
                select(column).where(standing(column, "supply", maker, now=now))
            ).all()
        )

    yes(1, LONG_AGO)
    yes(1, LONG_AGO + SECOND)
    assert len(session.exec(select(Consent)).all()) == 1
    assert withdraw(session, own, "supply", maker, actor=SYSTEM, now=NOW)
    assert not withdraw(session, own, "supply", maker, actor=SYSTEM, now=NOW)
    yes(2, NOW + SECOND)
    assert [stands(NOW - SECOND), stands(NOW), stands(NOW + SECOND)] == [
        True,
        False,
        True,
    ]
    actions = session.exec(select(AuditRow.action)).all()
    assert sorted(actions) == [
        "consent_granted",
        "consent_granted",
        "consent_withdrawn",
    ]


def test_consent_has_no_purpose_that_nobody_defined(
    session: Session, clinic: Clinic
) -> None:
    with pytest.raises(ValueError, match="marketing"):
        standing(col(Patient.patient_id), "marketing", clinic.clinic_id, now=NOW)
