"""What people text back, and what becomes of it."""

import logging
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import Session, select

from backend.alerts.tables import Alert
from backend.clock import domain_now
from backend.database import transaction
from backend.outbox.tables import OutboxMessage
from backend.people.tables import Patient
from notifications.wording import say
from tests.backend.inbound.clinic import ROSA, TOKEN, Twilio, came_in, words
from tests.builders import a_clinic, a_patient, written

PATH = "/v1/twilio/messages"
FORM = {"MessageSid": "SM1", "From": ROSA, "Body": "TAKEN"}


def a_household(*languages: str) -> list[UUID]:
    """Return patients who share one phone, in order of when they were written to."""
    with transaction() as session:
        clinic = a_clinic(session)
        people = [a_patient(session, clinic, language=it) for it in languages]
        return [one.patient_id for one in people]


def written_to(
    patient_id: UUID, *, reference: str = "AB12CD", ago: timedelta = timedelta(hours=1)
) -> UUID:
    with transaction() as session:
        return _message(session, patient_id, reference, ago).message_id


def _message(
    session: Session, patient_id: UUID, reference: str, ago: timedelta
) -> OutboxMessage:
    at = domain_now() - ago
    return written(
        session,
        OutboxMessage(
            patient_id=patient_id,
            clinic_id=session.get_one(Patient, patient_id).clinic_id,
            dedup_key=reference,
            kind="note",
            recipient_id=patient_id,
            channel="sms",
            address=ROSA,
            due_at=at,
            valid_until=at + timedelta(hours=2),
            state="sent",
            attempt=1,
            reference=reference,
            created_at=at,
        ),
    )


def worklist() -> list[UUID]:
    with transaction() as session:
        return [it.patient_id for it in session.exec(select(Alert)).all()]


@pytest.mark.parametrize(
    ("token", "at", "header"),
    [
        ("wrong", "https://clinic.example", True),
        (TOKEN, "http://127.0.0.1", True),
        (TOKEN, "https://evil.example", True),
        (TOKEN, "https://clinic.example", False),
    ],
    ids=["another token", "the socket's address", "a foreign address", "no signature"],
)
def test_what_twilio_did_not_sign_is_refused_and_not_kept(
    twilio: Twilio, token: str, at: str, *, header: bool
) -> None:
    a_household("en")

    refused = twilio.post(PATH, FORM, token=token, at=at, header=header)

    assert refused.status_code == 403
    assert came_in() == []


def test_a_signature_for_the_host_header_does_not_fit(twilio: Twilio) -> None:
    refused = twilio.client.post(
        PATH, data=FORM, headers={"Host": "clinic.example", "X-Twilio-Signature": "x"}
    )

    assert refused.status_code == 403


def test_a_field_that_was_changed_breaks_the_signature(twilio: Twilio) -> None:
    answered = twilio.post(PATH, FORM)
    head = {"X-Twilio-Signature": answered.request.headers["X-Twilio-Signature"]}

    changed = twilio.client.post(PATH, data={**FORM, "Body": "SKIP"}, headers=head)

    assert (answered.status_code, changed.status_code) == (200, 403)


def test_an_answer_is_kept_with_the_message_it_answers(twilio: Twilio) -> None:
    [rosa] = a_household("en")
    message = written_to(rosa)

    twilio.answer("Taken 👍")

    [row] = came_in()
    assert (row.patient_id, row.message_id) == (rosa, message)
    assert (row.kind, row.body, row.address) == ("taken", "Taken 👍", ROSA)


def test_what_comes_twice_is_kept_once_and_answered_alike(twilio: Twilio) -> None:
    a_household("en")

    first, again = twilio.answer("hello?"), twilio.answer("hello?")
    other = twilio.answer("hello?", sid="SM2")

    assert first == again == other == say("reply_unclear", "en")
    assert len(came_in()) == 2


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_the_answer_is_in_the_patients_language(twilio: Twilio, language: str) -> None:
    a_household(language)

    assert twilio.answer("???") == say("reply_unclear", language)


@pytest.mark.parametrize("body", ["not taken", "STOP please", "", "🤷"])
def test_what_is_unclear_is_a_persons_to_read(twilio: Twilio, body: str) -> None:
    [rosa] = a_household("en")

    twilio.answer(body)

    assert worklist() == [rosa]


def test_a_possible_opt_out_is_for_review_and_ends_nothing(twilio: Twilio) -> None:
    a_household("en")

    twilio.answer("STOP please")

    with transaction() as session:
        [alert] = session.exec(select(Alert)).all()
    assert "opt-out" in str(alert.finding)
    assert twilio.answer("hello", sid="SM2") == say("reply_unclear", "en")


def test_an_unknown_sender_is_kept_for_a_person_and_answered_once(
    twilio: Twilio, caplog: pytest.LogCaptureFixture
) -> None:
    a_household("en")
    stranger = "+4366099999"

    with caplog.at_level(logging.INFO):
        first = twilio.answer("TAKEN my secret", sender=stranger)
        then = twilio.answer("hello?", sender=stranger, sid="SM2")

    assert (first, then) == (say("reply_stranger", "en"), "")
    assert [(row.patient_id, row.address) for row in came_in()] == [
        (None, stranger),
        (None, stranger),
    ]
    assert worklist() == []
    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert stranger not in logged
    assert "secret" not in logged


def test_of_two_who_share_a_phone_the_one_who_was_written_to_answers(
    twilio: Twilio,
) -> None:
    anna, _ = a_household("en", "en")
    written_to(anna)

    twilio.answer("TAKEN")

    assert [row.patient_id for row in came_in()] == [anna]


def test_of_two_who_were_both_written_to_a_person_finds_out_who_answers(
    twilio: Twilio,
) -> None:
    both = a_household("en", "en")
    for patient_id in both:
        written_to(patient_id, reference=f"REF{both.index(patient_id)}00")

    twilio.answer("TAKEN")

    assert sorted(worklist()) == sorted(both)
    assert {row.kind for row in came_in()} == {"unclear"}


def test_a_quoted_reference_says_which_of_two_answers(twilio: Twilio) -> None:
    anna, bert = a_household("en", "en")
    written_to(anna, reference="AB12CD")
    message = written_to(bert, reference="EF34GH")

    twilio.answer("taken ef34gh")

    [row] = came_in()
    assert (row.patient_id, row.message_id, row.kind) == (bert, message, "taken")


def test_a_reference_that_was_never_sent_there_is_unclear(twilio: Twilio) -> None:
    [rosa] = a_household("en")
    written_to(rosa)

    twilio.answer("taken ZZ99ZZ")

    assert came_in()[0].kind == "unclear"
    assert worklist() == [rosa]


def test_stop_is_about_the_number_and_so_about_all_who_share_it(
    twilio: Twilio,
) -> None:
    both = a_household("en", "en")

    assert twilio.answer("STOP") == say("reply_stop", "en")

    assert {row.patient_id for row in came_in()} == set(both)


def test_where_twilio_has_answered_an_opt_out_we_say_nothing_besides(
    twilio: Twilio,
) -> None:
    a_household("en")

    assert words(twilio.text("STOP", OptOutType="STOP")) == ""
    assert came_in()[0].kind == "stop"


def test_two_machines_do_not_talk_with_each_other_for_ever(twilio: Twilio) -> None:
    a_household("en")

    said = [twilio.answer("I am driving", sid=f"SM{turn}") for turn in range(25)]

    assert all(said[:20])
    assert not any(said[20:])
    assert len(came_in()) == 25


def test_without_a_token_there_is_no_such_place(
    twilio: Twilio, monkeypatch: pytest.MonkeyPatch
) -> None:
    from backend.settings import settings

    monkeypatch.delenv("DOSELOOP_TWILIO_TOKEN")
    settings.cache_clear()

    assert twilio.text("TAKEN").status_code == 404
