"""Prescriptions in versions: who may write them and what a change does to doses."""

from datetime import time, timedelta
from decimal import Decimal

import pytest
from sqlmodel import Session

from backend.errors import Unprocessable
from backend.people.tables import Clinic
from backend.regimens.prescribe import (
    NotAClinician,
    Prescription,
    SupersededVersion,
    change,
    prescribe,
)
from backend.regimens.schedule import materialise
from backend.regimens.timing import ClockTimes, DailyCount
from tests.backend.regimens.rows import TWICE, doses, keys, somebody
from tests.builders import NOW, a_clinic, a_clinician, a_patient

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.mark.parametrize("label", ["early", "paused", "late", "unknown"])
def test_what_is_decided_is_never_touched(session: Session, label: str) -> None:
    patient, regimen = somebody(session)
    clinician = a_clinician(session, session.get_one(Clinic, patient.clinic_id))
    materialise(session, [patient.patient_id], now=NOW)
    evening = next(row for row in doses(session) if row.due_at and row.due_at > NOW)
    evening.label = label
    before = evening.model_dump()
    change(
        session,
        patient.patient_id,
        regimen.regimen_id,
        Prescription(
            timing=ClockTimes((time(12),)),
            amount=Decimal(2),
            unit="1",
            effective_from=NOW,
        ),
        by=clinician.clinician_id,
        reason="once a day is enough",
        replaces=1,
        now=NOW,
    )

    kept = next(row for row in doses(session) if row.occurrence == before["occurrence"])
    assert kept.model_dump() == before


def test_a_change_of_prescription_makes_the_future_anew(session: Session) -> None:
    patient, regimen = somebody(session)
    clinician = a_clinician(session, session.get_one(Clinic, patient.clinic_id))
    materialise(session, [patient.patient_id], now=NOW)
    new_rules = Prescription(
        timing=ClockTimes((time(8),)),
        amount=Decimal(2),
        unit="1",
        effective_from=NOW + DAY,
    )
    version, made = change(
        session,
        patient.patient_id,
        regimen.regimen_id,
        new_rules,
        by=clinician.clinician_id,
        reason="once a day is enough",
        replaces=1,
        now=NOW,
    )

    assert version.version == 2
    assert [
        (row.occurrence[5:], row.version, row.amount) for row in doses(session)
    ] == [
        ("03-03T20:00", 1, 1),
        ("03-04T08:00", 1, 1),
        ("03-04T20:00", 1, 1),
        ("03-05T08:00", 1, 1),
        ("03-06T08:00", 2, 2),
        ("03-07T08:00", 2, 2),
    ]
    assert [key[2] for key in made.removed] == ["2026-03-05T20:00", "2026-03-06T20:00"]
    assert made.patients() == {patient.patient_id}


def test_fewer_untimed_doses_hold_from_the_day_of_the_change(session: Session) -> None:
    patient, regimen = somebody(session, DailyCount(3), since=NOW - HOUR)
    clinician = a_clinician(session, session.get_one(Clinic, patient.clinic_id))
    materialise(session, [patient.patient_id], now=NOW, ahead=DAY)
    fewer = Prescription(
        timing=DailyCount(1), amount=None, unit=None, effective_from=NOW
    )
    change(
        session,
        patient.patient_id,
        regimen.regimen_id,
        fewer,
        by=clinician.clinician_id,
        reason="",
        replaces=1,
        now=NOW,
    )

    assert keys(session) == ["03-04#1", "03-05#1", "03-06#1", "03-07#1"]


def test_a_change_must_build_on_the_newest_version(session: Session) -> None:
    patient, regimen = somebody(session)
    clinician = a_clinician(session, session.get_one(Clinic, patient.clinic_id))
    same = Prescription(timing=TWICE, amount=None, unit=None, effective_from=NOW)

    with pytest.raises(SupersededVersion):
        change(
            session,
            patient.patient_id,
            regimen.regimen_id,
            same,
            by=clinician.clinician_id,
            reason="",
            replaces=0,
            now=NOW,
        )


@pytest.mark.parametrize("role", ["technician", "operator"])
def test_only_a_clinician_of_the_clinic_prescribes(session: Session, role: str) -> None:
    patient, _ = somebody(session)
    clinic = session.get_one(Clinic, patient.clinic_id)
    colleague = a_clinician(session, clinic, role=role)
    stranger = a_clinician(session, a_clinic(session))
    asked = Prescription(timing=TWICE, amount=None, unit=None, effective_from=NOW)

    for by in (colleague.clinician_id, stranger.clinician_id, patient.patient_id):
        with pytest.raises(NotAClinician):
            prescribe(
                session, patient.patient_id, asked, drug="exemplin", by=by, now=NOW
            )


def test_a_prescription_makes_its_doses_at_once(session: Session) -> None:
    clinic = a_clinic(session)
    patient = a_patient(session, clinic)
    asked = Prescription(timing=TWICE, amount=None, unit=None, effective_from=NOW)
    regimen, made = prescribe(
        session,
        patient.patient_id,
        asked,
        drug="exemplin",
        criticality="critical",
        by=a_clinician(session, clinic).clinician_id,
        now=NOW,
    )

    assert regimen.criticality == "critical"
    assert [row.occurrence[5:] for row in made.new][:2] == [
        "03-04T20:00",
        "03-05T08:00",
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"until": NOW},
        {"amount": Decimal(0), "unit": "1"},
        {"amount": Decimal(1), "unit": None},
        {"window_after_s": -1},
    ],
)
def test_a_prescription_checks_itself(wrong: dict[str, object]) -> None:
    asked: dict[str, object] = {
        "timing": TWICE,
        "amount": None,
        "unit": None,
        "effective_from": NOW,
    }
    with pytest.raises(Unprocessable):
        Prescription(**(asked | wrong))  # pyright: ignore[reportArgumentType]
