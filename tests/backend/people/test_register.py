"""Patients, identifiers, zones, merges and the lock, against real rows."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM
from backend.audit.tables import AuditRow
from backend.database import transaction
from backend.errors import Conflict, NotFound
from backend.people.hold import hold
from backend.people.identifiers import Identifier, IdentifierTaken, find
from backend.people.merge import (
    AlreadyUndone,
    CannotMerge,
    merge,
    same_person,
    unmerge,
)
from backend.people.register import (
    Contact,
    Newcomer,
    find_clinic,
    of_clinic,
    register_clinic,
    register_organization,
    register_patient,
)
from backend.people.tables import (
    CareTeamMember,
    Clinic,
    Consent,
    ContactPoint,
    Patient,
    PatientIdentifier,
    PatientLanguage,
)
from backend.people.zones import UnknownZone, ZoneSpan, move, zone_at, zone_history
from tests.builders import LONG_AGO, NOW, ZURICH, a_clinic, a_clinician, a_patient

DAY = timedelta(days=1)
NUMBER = Identifier("hospital", "4711")


@pytest.fixture
def clinic(session: Session) -> Clinic:
    return a_clinic(session)


def newcomer(session: Session, clinic: Clinic, *numbers: Identifier) -> Patient:
    person = Newcomer(zone=ZURICH, given_name="Rosa", identifiers=numbers)
    return register_patient(
        session, clinic.clinic_id, person, actor=SYSTEM, now=LONG_AGO
    )


def test_a_registration_writes_down_all_there_is_to_know(
    session: Session, clinic: Clinic
) -> None:
    ada = a_clinician(session, clinic)
    patient = register_patient(
        session,
        clinic.clinic_id,
        Newcomer(
            zone=ZURICH,
            language="de",
            given_name="Rosa",
            identifiers=(NUMBER,),
            contacts=(Contact("sms", "+41790000001"),),
            consents=(("care", clinic.clinic_id),),
            team=(ada.clinician_id,),
        ),
        actor=SYSTEM,
        now=NOW,
        since=LONG_AGO,
    )
    own = patient.patient_id
    assert find(session, clinic.clinic_id, NUMBER) == own
    assert zone_history(session, [own]) == {own: [ZoneSpan(LONG_AGO, ZURICH)]}
    assert session.exec(select(PatientLanguage.language)).one() == "de"
    assert session.exec(select(ContactPoint.address)).one() == "+41790000001"
    assert session.exec(select(Consent.since)).one() == LONG_AGO
    assert session.exec(select(CareTeamMember.clinician_id)).one() == ada.clinician_id
    assert patient.recorded_at == NOW
    assert "patient_registered" in session.exec(select(AuditRow.action)).all()


def test_an_identifier_names_one_patient_of_a_clinic(
    session: Session, clinic: Clinic
) -> None:
    newcomer(session, clinic, NUMBER)
    with pytest.raises(IdentifierTaken):
        newcomer(session, clinic, NUMBER)
    newcomer(session, a_clinic(session), NUMBER)  # another clinic's numbers are its own


def test_a_zone_that_nobody_knows_is_refused(session: Session, clinic: Clinic) -> None:
    with pytest.raises(UnknownZone):
        register_clinic(session, "Nowhere", "Mars/Olympus", now=NOW)
    patient = newcomer(session, clinic)
    with pytest.raises(UnknownZone):
        move(
            session,
            patient.patient_id,
            "europe/zurich",
            effective_from=NOW,
            actor=SYSTEM,
            now=NOW,
        )


def test_the_zone_of_an_instant_is_the_last_one_begun(
    session: Session, clinic: Clinic
) -> None:
    patient, other = newcomer(session, clinic), newcomer(session, clinic)
    own = patient.patient_id
    for zone in ("Asia/Tokyo", "Pacific/Apia"):  # the second replaces the first
        move(session, own, zone, effective_from=NOW, actor=SYSTEM, now=NOW)
    spans = zone_history(session, [own, other.patient_id])
    assert [
        zone_at(spans[own], at)
        for at in (LONG_AGO - DAY, LONG_AGO, NOW - DAY, NOW, NOW + DAY)
    ] == [ZURICH, ZURICH, ZURICH, "Pacific/Apia", "Pacific/Apia"]
    assert len(spans[other.patient_id]) == 1
    with pytest.raises(NotFound):
        zone_at([], NOW)


def test_patients_of_other_clinics_are_not_of_the_clinic(
    session: Session, clinic: Clinic
) -> None:
    own, other = newcomer(session, clinic), newcomer(session, a_clinic(session))
    asked = [own.patient_id, other.patient_id, uuid4()]
    assert of_clinic(session, clinic.clinic_id, asked) == {own.patient_id}


def test_a_manufacturer_is_known_by_its_gln(session: Session) -> None:
    first = register_organization(session, "Acme", "7601234000001")
    assert register_organization(session, "ACME AG", "7601234000001") is first


def test_of_two_clinics_with_one_name_the_id_must_be_given(
    session: Session, clinic: Clinic
) -> None:
    a_clinic(session)
    with pytest.raises(Conflict):
        find_clinic(session, "Seefeld")
    assert find_clinic(session, str(clinic.clinic_id)) is clinic


# Merging


def merged(session: Session, patient: Patient, other: Patient) -> UUID:
    return merge(
        session,
        patient.patient_id,
        other.patient_id,
        by=uuid4(),
        reason="one insurance number",
        actor=SYSTEM,
        now=NOW,
    )


def test_a_merge_lets_the_numbers_of_one_file_name_the_other(
    session: Session, clinic: Clinic
) -> None:
    rosa, twin = newcomer(session, clinic), newcomer(session, clinic, NUMBER)
    merged(session, rosa, twin)
    assert find(session, clinic.clinic_id, NUMBER) == rosa.patient_id
    assert same_person(session, twin.patient_id) == {rosa.patient_id, twin.patient_id}
    history = session.exec(
        select(PatientIdentifier).order_by(col(PatientIdentifier.since))
    ).all()
    assert [(row.patient_id, row.since, row.until) for row in history] == [
        (twin.patient_id, LONG_AGO, NOW),
        (rosa.patient_id, NOW, None),
    ]


def test_an_unmerge_gives_back_what_the_merge_moved_and_nothing_else(
    session: Session, clinic: Clinic
) -> None:
    own = Identifier("hospital", "1")
    rosa, twin = newcomer(session, clinic, own), newcomer(session, clinic, NUMBER)
    merge_id = merged(session, rosa, twin)

    def undo() -> None:
        unmerge(
            session,
            rosa.patient_id,
            merge_id,
            by=uuid4(),
            actor=SYSTEM,
            now=NOW + DAY,
        )

    undo()
    assert find(session, clinic.clinic_id, NUMBER) == twin.patient_id
    assert find(session, clinic.clinic_id, own) == rosa.patient_id
    assert same_person(session, twin.patient_id) == {twin.patient_id}
    with pytest.raises(AlreadyUndone):
        undo()


def test_what_cannot_be_one_person_is_not_merged(
    session: Session, clinic: Clinic
) -> None:
    rosa, twin = newcomer(session, clinic), newcomer(session, clinic)
    foreigner = newcomer(session, a_clinic(session))
    erased = newcomer(session, clinic)
    erased.erased_at = NOW
    for one, other in ((rosa, rosa), (rosa, foreigner), (rosa, erased)):
        with pytest.raises(CannotMerge):
            merged(session, one, other)
    merged(session, rosa, twin)
    with pytest.raises(CannotMerge):
        merged(session, newcomer(session, clinic), twin)


# The lock


def test_who_holds_a_patient_keeps_others_waiting(db: object) -> None:
    with transaction() as session:
        own = a_patient(session, a_clinic(session)).patient_id
    order: list[str] = []
    begun = threading.Event()

    def second() -> None:
        with transaction() as session:
            begun.set()
            assert hold(session, [own]) == set()  # erased while this one waited
            order.append("second")

    with transaction() as session:
        assert hold(session, [own, uuid4()]) == {own}
        waiting = threading.Thread(target=second)
        waiting.start()
        begun.wait(10)
        session.get_one(Patient, own).erased_at = NOW
        order.append("first")
    waiting.join(10)
    assert order == ["first", "second"]


# Calls done once
