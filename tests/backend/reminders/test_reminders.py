"""A dose of 08:00 in Zurich, its box, its reminder at 08:30."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from sqlmodel import Session, select

from backend.database import transaction
from backend.devices.tables import Assignment, DeviceContact, DeviceEvent
from backend.outbox.deliver import deliver
from backend.outbox.tables import OutboxMessage
from backend.people.tables import Consent, ContactPoint, Patient, PatientLanguage
from backend.regimens.tables import Regimen, RegimenVersion, ScheduledDose
from backend.reminders.plan import cancel_for, plan, renew, replan
from backend.reminders.word import word
from tests.backend.outbox.phone import Clock, Phone
from tests.builders import (
    a_clinic,
    a_device,
    a_patient,
    a_regimen,
    an_assignment,
    written,
)

pytestmark = pytest.mark.usefixtures("db")

DUE = datetime(2026, 3, 4, 7, 0, tzinfo=UTC)  # 08:00 in Zurich
NIGHT = DUE - timedelta(hours=8)
REMIND = DUE + timedelta(minutes=30)
CLOSES = DUE + timedelta(hours=4)
MINUTE = timedelta(minutes=1)


class Home:
    """One patient with one box and one dose."""

    def __init__(
        self,
        *,
        planned_at: datetime = NIGHT,
        consents: tuple[str, ...] = ("care", "reminders"),
        phone: str | None = "+41790000001",
    ) -> None:
        self.phone = Phone()
        with transaction() as session:
            clinic = a_clinic(session)
            self.patient = a_patient(session, clinic, consents=consents, phone=phone)
            self.regimen = a_regimen(session, self.patient, timing={})
            box = a_device(session, clinic)
            an_assignment(session, box, self.patient, regimen=self.regimen)
            self.box_id = box.device_id
            self.dose = written(session, a_dose(self.patient, self.regimen))
            self.planned = plan(session, [self.dose], now=planned_at)

    def heard(self, until: datetime) -> None:
        with transaction() as session:
            session.merge(DeviceContact(device_id=self.box_id, heard_until=until))

    def clash(self, at: datetime) -> None:
        """Let the box have sent a record then that it had sent otherwise before."""
        with transaction() as session:
            session.add(
                DeviceEvent(
                    device_id=self.box_id,
                    event_id="1/7",
                    kind="conflict",
                    occurred_at=at,
                    recorded_at=at + MINUTE,
                    epoch=1,
                    sequence=7,
                )
            )

    def label(self, label: str) -> None:
        with transaction() as session:
            self._dose(session).label = label

    def at(self, now: datetime) -> list[str]:
        """Deliver what is due then and return what the phone has got by now."""
        deliver({"sms": self.phone}, now=now, real=Clock(), word=word)
        return [message.body.split(" Ref")[0] for message in self.phone.got]

    def message(self) -> OutboxMessage:
        with transaction() as session:
            return session.exec(select(OutboxMessage)).one()

    def cancel(self, because: str) -> int:
        key = (self.patient.patient_id, self.regimen.regimen_id, self.dose.occurrence)
        with transaction() as session:
            return cancel_for(session, [key], because=because, now=DUE)

    def _dose(self, session: Session) -> ScheduledDose:
        return session.exec(select(ScheduledDose)).one()


def a_dose(
    patient: Patient, regimen: Regimen, *, due_at: datetime | None = DUE
) -> ScheduledDose:
    return ScheduledDose(
        patient_id=patient.patient_id,
        regimen_id=regimen.regimen_id,
        occurrence="20260304T0800",
        version=1,
        dose_day=DUE.date(),
        due_at=due_at,
        local_time="08:00",
        zone="Europe/Zurich",
        tzdb="2026a",
        window_from=DUE - timedelta(hours=4),
        window_until=CLOSES,
    )


def test_a_box_that_was_heard_and_said_nothing_makes_the_dose_late() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)

    assert home.at(REMIND - MINUTE) == []
    assert home.at(REMIND) == ["Your 08:00 dose has not been recorded yet."]
    assert home.at(REMIND + MINUTE) == ["Your 08:00 dose has not been recorded yet."]
    message = home.message()
    assert (message.kind, message.state) == ("late", "sent")
    assert message.why["label"] == "pending"
    assert message.why["heard_until"] == (REMIND - MINUTE).isoformat()


def test_a_box_that_was_not_heard_makes_us_ask_once_and_say_since_when() -> None:
    home = Home()
    home.heard(DUE - timedelta(minutes=50))

    [text] = home.at(REMIND)

    assert text == (
        "We have not heard from your box since 07:10 and do not know about your "
        "08:00 dose. If you have not taken it, ask your clinic before you take it late."
    )
    assert home.message().kind == "ask"
    assert home.at(CLOSES) == [text]


def test_a_box_that_was_never_heard_makes_us_ask_without_a_time() -> None:
    [text] = Home().at(REMIND)

    assert text.startswith("We have no record of your 08:00 dose")


@pytest.mark.parametrize("label", ["on_time", "early", "late_taken", "paused"])
def test_a_dose_that_needs_no_reminder_gets_none(label: str) -> None:
    home = Home()
    home.label(label)

    assert home.at(REMIND) == []
    assert home.message().state == "cancelled"
    assert home.message().why["cancelled"] == f"dose is {label}"


def test_a_dose_that_was_taken_cancels_it_at_once() -> None:
    home = Home()

    assert home.cancel("dose_recorded") == 1
    assert home.message().state == "cancelled"
    assert home.at(REMIND) == []


def test_after_the_window_nobody_is_told_anything() -> None:
    home = Home()

    assert home.at(CLOSES) == []
    assert home.message().state == "expired"


def test_history_never_rings() -> None:
    home = Home(planned_at=REMIND)

    assert home.planned == 0
    assert home.at(REMIND) == []


def test_planning_again_changes_nothing() -> None:
    home = Home()
    with transaction() as session:
        assert plan(session, [home.dose], now=NIGHT) == 0
        assert replan(session, [home.patient.patient_id], now=NIGHT) == 0


def test_without_consent_or_contact_there_is_none() -> None:
    assert Home(consents=("care",)).planned == 0
    assert Home(phone=None).planned == 0


def test_who_consents_later_gets_those_that_are_ahead() -> None:
    home = Home(consents=("care",))
    with transaction() as session:
        patient = home.patient
        session.add(
            Consent(
                patient_id=patient.patient_id,
                purpose="reminders",
                recipient_id=patient.clinic_id,
                version=1,
                wording="consent-1",
                since=NIGHT,
                recorded_at=NIGHT,
            )
        )
        session.flush()
        assert replan(session, [patient.patient_id], now=NIGHT) == 1


def test_consent_withdrawn_overnight_is_heeded() -> None:
    home = Home()
    with transaction() as session:
        for consent in session.exec(select(Consent)):
            consent.until = NIGHT + MINUTE

    assert home.at(REMIND) == []
    assert home.message().why["cancelled"] == "no consent to reminders"


def test_language_and_number_are_those_of_the_moment() -> None:
    home = Home()
    own = home.patient.patient_id
    home.heard(REMIND)
    with transaction() as session:
        session.exec(select(ContactPoint)).one().until = NIGHT + MINUTE
        session.add(
            ContactPoint(patient_id=own, channel="sms", address="+4369912", since=NIGHT)
        )
        session.add(
            PatientLanguage(
                patient_id=own, effective_from=NIGHT, language="de", recorded_at=NIGHT
            )
        )

    assert home.at(REMIND) == ["Ihre Dosis von 08:00 Uhr ist noch nicht erfasst."]
    assert home.phone.got[0].to == "+4369912"


def test_of_two_boxes_the_one_that_was_not_heard_decides() -> None:
    home = Home()
    home.heard(REMIND)
    with transaction() as session:
        clinic = a_clinic(session)
        second = a_device(session, clinic)
        an_assignment(session, second, home.patient, regimen=home.regimen)

    home.at(REMIND)

    assert home.message().kind == "ask"


@pytest.mark.parametrize("order", list(permutations((1, 2, 3))))
def test_of_any_number_of_boxes_the_one_heard_least_counts(
    order: tuple[int, ...],
) -> None:
    home = Home()
    home.heard(REMIND - order[0] * MINUTE)
    with transaction() as session:
        clinic = a_clinic(session)
        for minutes in order[1:]:
            box = a_device(session, clinic)
            an_assignment(session, box, home.patient, regimen=home.regimen)
            heard = REMIND - minutes * MINUTE
            session.add(DeviceContact(device_id=box.device_id, heard_until=heard))

    assert home.at(REMIND) == ["Your 08:00 dose has not been recorded yet."]
    why = home.message().why
    assert why["devices"] == 3
    assert why["heard_until"] == (REMIND - 3 * MINUTE).isoformat()


def test_a_record_without_a_time_makes_us_ask_though_the_box_was_heard() -> None:
    """The dose may be that record: saying that there is none may lead to a second."""
    home = Home()
    home.heard(REMIND - MINUTE)
    home.clash(DUE + 2 * MINUTE)

    [text] = home.at(REMIND)

    assert text == (
        "We cannot tell whether your 08:00 dose was recorded. If you have not taken "
        "it, ask your clinic before you take it late."
    )
    assert (home.message().kind, home.message().why["torn"]) == ("ask", True)


def test_a_hole_of_another_day_leaves_the_words_alone() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    home.clash(NIGHT - timedelta(days=2))

    assert home.at(REMIND) == ["Your 08:00 dose has not been recorded yet."]


def test_a_box_that_was_handed_on_meanwhile_may_hold_the_dose() -> None:
    home = Home()
    home.heard(DUE - 10 * MINUTE)
    with transaction() as session:
        first = session.exec(select(Assignment)).one()
        first.until = DUE + 10 * MINUTE
        second = a_device(session, a_clinic(session))
        an_assignment(
            session, second, home.patient, regimen=home.regimen, since=first.until
        )
        session.add(
            DeviceContact(device_id=second.device_id, heard_until=REMIND - MINUTE)
        )

    home.at(REMIND)

    assert home.message().kind == "ask"
    heard = home.message().why["heard_until"]
    assert heard == (DUE - 10 * MINUTE).isoformat()


def test_a_dose_that_stands_as_unknown_is_never_called_late() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    home.label("unknown")

    [text] = home.at(REMIND + timedelta(minutes=20))

    assert text.startswith("We cannot tell")


def test_a_dose_moved_to_later_is_reminded_of_later() -> None:
    home = Home()
    later = DUE + timedelta(hours=2)
    with transaction() as session:
        dose = session.exec(select(ScheduledDose)).one()
        dose.due_at = later
    assert home.at(REMIND) == []

    with transaction() as session:
        dose = session.exec(select(ScheduledDose)).one()
        assert plan(session, [dose], now=REMIND) == 1
    assert home.at(later + timedelta(minutes=29)) == []
    assert len(home.at(later + timedelta(minutes=30))) == 1


def test_a_dose_without_a_time_has_no_reminder() -> None:
    Home()
    with transaction() as session:
        session.delete(session.exec(select(OutboxMessage)).one())
        dose = session.exec(select(ScheduledDose)).one()
        dose.due_at = None
        session.flush()
        assert plan(session, [dose], now=NIGHT) == 0


def test_the_delay_is_the_prescribers() -> None:
    home = Home(phone=None)
    with transaction() as session:
        session.exec(select(RegimenVersion)).one().remind_after_s = 3600
        session.add(
            ContactPoint(
                patient_id=home.patient.patient_id,
                channel="sms",
                address="+1",
                since=NIGHT,
            )
        )
        session.flush()
        replan(session, [home.patient.patient_id], now=NIGHT)

    assert home.message().due_at == DUE + timedelta(hours=1)


def test_what_is_due_already_is_not_withdrawn_by_whoever_plans_anew() -> None:
    home = Home()
    home.heard(REMIND - MINUTE)
    with transaction() as session:
        renew(session, [home.patient.patient_id], now=REMIND + MINUTE)

    assert home.at(REMIND + MINUTE) == ["Your 08:00 dose has not been recorded yet."]


def test_a_word_that_goes_with_the_dose_is_no_late_one() -> None:
    home = Home()
    with transaction() as session:
        session.exec(select(RegimenVersion)).one().remind_after_s = 0
        session.flush()
        renew(session, [home.patient.patient_id], now=NIGHT)

    assert home.at(DUE) == ["Your 08:00 dose is coming up."]
    assert home.at(REMIND) == ["Your 08:00 dose is coming up."]
