"""Keys pressed in a call, and the link by which mails end."""

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session, select

from backend.alerts.tables import Alert
from backend.audit.record import SYSTEM
from backend.clock import domain_now
from backend.database import transaction
from backend.outbox.tables import OutboxMessage
from backend.people.register import Contact
from backend.people.tables import Clinic, ContactPoint, Patient
from backend.reminders.tables import Caregiver, ReminderAnswer
from backend.reminders.wishes import name_caregiver
from notifications.wording import say
from tests.backend.inbound.clinic import ROSA, Twilio, came_in
from tests.builders import LONG_AGO, a_clinic, a_patient, written

MAILBOX = "rosa@example.org"
CARER = "+41790000777"
PATH = "/v1/unsubscribe"


def a_message(
    channel: str, address: str, *, language: str = "en", to: str = "patient"
) -> OutboxMessage:
    """Return a message that went to a patient of this language."""
    with transaction() as session:
        clinic = a_clinic(session)
        rosa = a_patient(session, clinic, language=language)
        session.add(
            ContactPoint(
                patient_id=rosa.patient_id,
                channel=channel,
                address=address,
                since=LONG_AGO,
            )
        )
        return _sent(session, clinic, rosa, channel, address, to)


def _sent(
    session: Session,
    clinic: Clinic,
    patient: Patient,
    channel: str,
    address: str,
    to: str,
) -> OutboxMessage:
    at = domain_now() - timedelta(minutes=10)
    return written(
        session,
        OutboxMessage(
            patient_id=patient.patient_id,
            clinic_id=clinic.clinic_id,
            dedup_key="k",
            kind="note",
            recipient_kind=to,
            recipient_id=patient.patient_id,
            channel=channel,
            address=address,
            due_at=at,
            valid_until=at + timedelta(hours=2),
            state="sent",
            attempt=1,
            reference="AB12CD",
            created_at=at,
        ),
    )


def open_mailboxes() -> list[str]:
    with transaction() as session:
        return [
            it.address
            for it in session.exec(select(ContactPoint)).all()
            if it.channel == "email" and it.until is None
        ]


@pytest.mark.parametrize("language", ["en", "de", "es"])
def test_a_key_is_answered_aloud_in_the_patients_language_and_the_call_ends(
    twilio: Twilio, language: str
) -> None:
    message = a_message("voice", ROSA, language=language)

    answered = twilio.keys(message.message_id, "3")

    spoken = answered.find("Say")
    assert spoken is not None
    assert spoken.text == say("answered_help", language)
    assert spoken.get("language", "").startswith(language)
    assert answered.find("Hangup") is not None


def test_a_slip_of_a_finger_is_asked_again_in_the_same_call(twilio: Twilio) -> None:
    message = a_message("voice", ROSA)

    answered = twilio.keys(message.message_id, "7")

    asking = answered.find("Gather")
    assert asking is not None
    assert asking.get("action") == (
        f"https://clinic.example/v1/twilio/keys?message={message.message_id}"
    )
    assert say("voice_again", "en") in (asking.findtext("Say") or "")


def test_a_key_is_kept_once_a_call(twilio: Twilio) -> None:
    message = a_message("voice", ROSA)

    for call in "CA1", "CA1", "CA2":
        twilio.keys(message.message_id, "1", call=call)

    assert [(row.provider_id, row.kind) for row in came_in()] == [
        ("CA1/1", "taken"),
        ("CA2/1", "taken"),
    ]


def test_keys_for_a_message_that_is_nobodys_end_the_call(twilio: Twilio) -> None:
    assert twilio.keys(uuid4(), "1").find("Hangup") is not None
    assert came_in() == []


def a_call_to_a_caregiver() -> OutboxMessage:
    message = a_message("voice", CARER, to="caregiver")
    with transaction() as session:
        found = session.get_one(OutboxMessage, message.message_id)
        found.recipient_id = name_caregiver(
            session,
            message.patient_id,
            "Lena",
            Contact("voice", CARER),
            language="de",
            actor=SYSTEM,
            now=LONG_AGO,
        )
    return message


@pytest.mark.parametrize(
    ("key", "answer", "on_the_worklist"),
    [
        ("1", "answered_checking", "A caregiver will see how the patient is"),
        ("2", "answered_caregiver_help", "A caregiver asks for help"),
        ("9", "answered_caregiver_stop", "A caregiver wants no more messages"),
    ],
)
def test_a_caregivers_key_is_a_caregivers_answer_and_says_nothing_of_the_dose(
    twilio: Twilio, key: str, answer: str, on_the_worklist: str
) -> None:
    message = a_call_to_a_caregiver()

    answered = twilio.keys(message.message_id, key)

    assert answered.findtext("Say") == say(answer, "de")
    with transaction() as session:
        assert [it.title for it in session.exec(select(Alert))] == [on_the_worklist]
        assert session.exec(select(ReminderAnswer)).all() == []
        ended = session.exec(select(Caregiver)).one().until is not None
    assert ended == (key == "9")


def test_a_caregivers_slip_of_a_finger_is_asked_again_with_a_caregivers_keys(
    twilio: Twilio,
) -> None:
    message = a_call_to_a_caregiver()

    answered = twilio.keys(message.message_id, "3")

    asked = answered.findtext("Gather/Say") or ""
    assert say("voice_again", "de") in asked
    assert say("voice_keys_caregiver", "de") in asked
    assert say("voice_keys", "de") not in asked


def test_a_caregiver_who_is_named_no_more_is_not_heard(twilio: Twilio) -> None:
    message = a_call_to_a_caregiver()
    twilio.keys(message.message_id, "9", call="CA1")

    again = twilio.keys(message.message_id, "1", call="CA2")

    assert again.find("Say") is None
    assert len(came_in()) == 1


def test_a_link_that_is_merely_followed_ends_nothing(twilio: Twilio) -> None:
    message = a_message("email", MAILBOX)

    shown = twilio.client.get(
        PATH, params={"message": str(message.message_id), "ref": "AB12CD"}
    )

    assert shown.status_code == 200
    assert say("unsubscribe_ask", "en") in shown.text
    assert open_mailboxes() == [MAILBOX]
    assert came_in() == []


def test_one_click_ends_the_mails_to_that_mailbox(twilio: Twilio) -> None:
    message = a_message("email", MAILBOX)

    for _ in range(2):
        done = _click(twilio, message.message_id, "AB12CD")
        assert (done, open_mailboxes()) == (200, [])

    assert [(row.kind, row.channel) for row in came_in()] == [("stop", "email")]


@pytest.mark.parametrize("reference", ["AB12CE", "ab12c!", "ÄÖÜÄÖÜ"])
def test_who_does_not_have_the_mail_ends_nothing(
    twilio: Twilio, reference: str
) -> None:
    message = a_message("email", MAILBOX)

    assert _click(twilio, message.message_id, reference) == 404
    assert _click(twilio, uuid4(), reference) == 404
    assert open_mailboxes() == [MAILBOX]


def _click(twilio: Twilio, message_id: UUID, reference: str) -> int:
    clicked = twilio.client.post(
        PATH,
        params={"message": str(message_id), "ref": reference},
        data={"List-Unsubscribe": "One-Click"},
    )
    return clicked.status_code
