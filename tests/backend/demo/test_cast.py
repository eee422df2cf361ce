"""The forty of the demo: invented, and out of everybody's reach."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import Session

from backend.clock import DomainClock
from backend.demo.cast import RECORD_NUMBERS, began, cast
from backend.demo.seed import dispensed, id_of, lives, seed
from backend.people.identifiers import Identifier, find
from backend.people.tables import Patient

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
YEAR = timedelta(days=365.25)
CLOCK = DomainClock(NOW, NOW, speed=1)
LEAD_AND_SAFETY_DAYS = 3 + 4  # what a product has unless somebody sets it
PEOPLE = list(cast(NOW))


def test_nobody_has_the_number_of_a_demo_patient() -> None:
    # Ofcom gives +44 7700 900000 to 900999 to nobody: they are for fiction.
    numbers = [one.phone for one in PEOPLE]

    assert len(set(numbers)) == len(PEOPLE)
    for number in numbers:
        assert number.startswith("+447700900")
        assert len(number) == len("+447700900000")


def test_everybody_has_a_record_number_and_a_birthday_of_their_own_and_keeps_them() -> (
    None
):
    later = list(cast(NOW + YEAR))

    assert [one.born_on for one in later] == [one.born_on for one in PEOPLE]
    assert [one.record_number for one in later] == [one.record_number for one in PEOPLE]
    assert len({one.record_number for one in PEOPLE}) == len(PEOPLE)
    assert len({one.born_on for one in PEOPLE}) == len(PEOPLE)
    for one in PEOPLE:
        assert 18 * YEAR < NOW.date() - one.born_on < 95 * YEAR


@pytest.mark.parametrize("hours", range(0, 240, 17))
def test_the_next_dose_of_who_can_sign_in_as_a_patient_orders_more(hours: int) -> None:
    now = NOW + timedelta(hours=hours)
    rosa = next(cast(now))
    box, _watch = lives([rosa], CLOCK, start=began(now), last=now)["devices"]
    taken = {event["at"][:10] for event in box["events"]}  # one dose a day
    got = sum(amount for _, amount in dispensed(rosa, now))

    assert got - len(taken) == LEAD_AND_SAFETY_DAYS


def test_the_clinic_knows_its_patients_by_number_and_birthday(session: Session) -> None:
    rosa = PEOPLE[0]

    seed(session, [rosa], password="none", now=NOW)

    number = Identifier(RECORD_NUMBERS, rosa.record_number)
    known = find(session, id_of("clinic"), number)
    assert known == id_of("patient 1")
    assert session.get_one(Patient, known).birth_date == rosa.born_on
