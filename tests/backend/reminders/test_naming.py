"""A drug is named to who chose that, in the language and by the channel they have."""

from datetime import timedelta

import pytest
from sqlmodel import select

from backend.database import transaction
from backend.people.tables import Consent, PatientLanguage
from tests.backend.reminders.test_reminders import MINUTE, REMIND, Home
from tests.builders import LONG_AGO, a_consent

pytestmark = pytest.mark.usefixtures("db")


def naming(home: Home, *, until: timedelta | None = None) -> None:
    with transaction() as session:
        a_consent(
            session,
            home.patient,
            "naming",
            home.patient.clinic_id,
            until=REMIND + until if until is not None else None,
        )


def test_a_drug_is_not_named_by_default() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)

    assert "exemplin" not in home.at(REMIND)[0]


def test_a_drug_is_named_to_who_chose_that() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    naming(home)

    said = home.at(REMIND)

    assert said == ["Your 08:00 dose of exemplin has not been recorded yet."]


def test_who_took_that_back_reads_no_drug_from_then_on() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    naming(home, until=timedelta(0))

    assert home.at(REMIND) == ["Your 08:00 dose has not been recorded yet."]


def test_a_consent_to_another_clinic_names_nothing() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    naming(home)
    with transaction() as session:
        wanted = select(Consent).where(Consent.purpose == "naming")
        session.exec(wanted).one().recipient_id = home.patient.patient_id

    assert "exemplin" not in home.at(REMIND)[0]


def test_the_channel_is_told_the_language_of_the_words() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    with transaction() as session:
        own = PatientLanguage.patient_id == home.patient.patient_id
        session.exec(select(PatientLanguage).where(own)).one().language = "de"
    assert LONG_AGO < REMIND

    home.at(REMIND)

    assert home.phone.got[0].language == "de"
