"""The row that says how a patient is reached never differs from what it is made of."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import Session

from backend.audit.record import SYSTEM
from backend.database import run
from backend.people.consent import grant, withdraw
from backend.people.reach import end_contact, speak
from backend.people.reachable import AS_KEPT, AT_THE_MOMENT, keep_reach
from backend.people.register import Contact, Newcomer, add_contact, register_patient
from backend.people.tables import Clinic, Patient
from backend.reminders.opt_out import opt_in, opt_out
from tests.builders import LONG_AGO, NOW, ZURICH, a_clinic, a_patient

MINUTE = timedelta(minutes=1)
PRODUCT = Path(__file__).parents[3] / "backend"
Change = Callable[[Session, Patient, datetime], object]
CHANNELS = st.sampled_from(["sms", "voice"])
NUMBERS = st.sampled_from(["+1", "+2", "+3"])
# A number or a consent may be written down for an instant that lies ahead.
AHEAD = st.sampled_from([0, 0, 0, 5, 60]).map(lambda minutes: minutes * MINUTE)


def _grant(purpose: str, version: int, ahead: timedelta) -> Change:
    return lambda session, patient, now: grant(
        session,
        patient.patient_id,
        purpose,
        patient.clinic_id,
        version=version,
        wording="consent-1",
        actor=SYSTEM,
        now=now,
        since=now + ahead,
    )


def _withdraw(purpose: str) -> Change:
    return lambda session, patient, now: withdraw(
        session, patient.patient_id, purpose, patient.clinic_id, actor=SYSTEM, now=now
    )


def _add(channel: str, number: str, rank: int, ahead: timedelta) -> Change:
    return lambda session, patient, now: add_contact(
        session,
        patient.patient_id,
        Contact(channel, number, rank),
        since=now + ahead,
    )


def _end(channel: str, number: str) -> Change:
    return lambda session, patient, now: end_contact(
        session, patient.patient_id, channel, number, actor=SYSTEM, now=now
    )


def _speak(language: str) -> Change:
    return lambda session, patient, now: speak(
        session, patient.patient_id, language, actor=SYSTEM, now=now
    )


def _opt_out(channel: str, number: str) -> Change:
    return lambda session, patient, now: opt_out(
        session, patient.patient_id, (channel, number), now=now
    )


def _opt_in(channel: str, number: str) -> Change:
    return lambda session, patient, now: opt_in(
        session, patient.patient_id, (channel, number), now=now
    )


PURPOSES = st.sampled_from(["reminders", "naming", "care"])
CHANGES = st.one_of(
    st.builds(_grant, PURPOSES, st.sampled_from([1, 2]), AHEAD),
    st.builds(_withdraw, PURPOSES),
    st.builds(_add, CHANNELS, NUMBERS, st.sampled_from([1, 2]), AHEAD),
    st.builds(_end, CHANNELS, NUMBERS),
    st.builds(_speak, st.sampled_from(["de", "en", "es"])),
    st.builds(_opt_out, CHANNELS, NUMBERS),
    st.builds(_opt_in, CHANNELS, NUMBERS),
)
STEPS = st.lists(st.tuples(CHANGES, st.sampled_from([1, 7, 90])), max_size=10)


def reached(
    session: Session, by: str, patient_id: UUID, at: datetime
) -> tuple[Any, ...]:
    """Return what is read of a patient, nothing where no row says it."""
    row = run(
        session,
        "SELECT reach.language, reach.addresses, reach.reminders, reach.naming "
        "FROM unnest(%(ids)s::uuid[]) AS q(patient_id) "
        f"{by} WHERE reach.patient_id IS NOT NULL",
        {"ids": [patient_id], "now": at},
    ).fetchone()
    return row or ()


def newcomer(session: Session, clinic: Clinic) -> Patient:
    person = Newcomer(
        zone=ZURICH,
        language="es",
        contacts=(Contact("sms", "+1"),),
        consents=(("reminders", clinic.clinic_id),),
    )
    return register_patient(
        session, clinic.clinic_id, person, actor=SYSTEM, now=LONG_AGO
    )


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=STEPS)
def test_any_changes_leave_the_row_equal_to_what_it_is_made_of(
    session: Session, steps: list[tuple[Change, int]]
) -> None:
    patient = newcomer(session, a_clinic(session))
    own, now = patient.patient_id, NOW

    for change, minutes in steps:
        change(session, patient, now)
        for at in now, now + 5 * MINUTE, now + 60 * MINUTE:
            kept = reached(session, AS_KEPT, own, at)
            assert kept in ((), reached(session, AT_THE_MOMENT, own, at))
        last = now + timedelta(days=1)
        assert reached(session, AS_KEPT, own, last) == reached(
            session, AT_THE_MOMENT, own, last
        )
        now += minutes * MINUTE


def test_a_newcomer_has_the_row_from_the_start(session: Session) -> None:
    clinic = a_clinic(session)
    own = newcomer(session, clinic).patient_id

    kept = reached(session, AS_KEPT, own, LONG_AGO)

    assert kept == ("es", {"sms": ["+1"]}, [clinic.clinic_id], [])


def test_before_the_last_change_the_history_is_asked(session: Session) -> None:
    patient = newcomer(session, a_clinic(session))
    own = patient.patient_id
    add_contact(session, own, Contact("sms", "+9", 1), since=NOW + MINUTE)

    assert reached(session, AS_KEPT, own, NOW) == ()
    assert reached(session, AT_THE_MOMENT, own, NOW)[1] == {"sms": ["+1"]}
    assert reached(session, AS_KEPT, own, NOW + MINUTE)[1] == {"sms": ["+9", "+1"]}


def test_rows_of_many_patients_are_written_at_once(session: Session) -> None:
    clinic = a_clinic(session)
    both = [a_patient(session, clinic).patient_id for _ in range(2)]

    keep_reach(session, both)

    assert all(reached(session, AS_KEPT, own, NOW) for own in both)


@pytest.mark.parametrize("row", ["Consent", "ContactPoint", "PatientLanguage"])
def test_whoever_writes_what_the_row_is_made_of_keeps_it(row: str) -> None:
    writes = (f"{row}(\n", f"update({row})", f"insert({row})")
    writers = [
        path.relative_to(PRODUCT).as_posix()
        for path in PRODUCT.rglob("*.py")
        if any(it in path.read_text() for it in writes)
    ]

    assert writers
    assert [
        it for it in writers if "keep_reach" not in (PRODUCT / it).read_text()
    ] == []
