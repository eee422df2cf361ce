"""What the patient's own page says of a dose, as its hours pass."""

from datetime import datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlmodel import Session, col, select

from backend.dashboards.frame import Frame
from backend.dashboards.render import render
from backend.dashboards.today import today_page
from backend.dashboards.views import TodayPage
from backend.dashboards.visible import Sight
from backend.people.readers import Reader
from backend.people.tables import PatientLanguage
from backend.regimens.tables import RegimenVersion, ScheduledDose
from backend.regimens.timing import AsNeeded
from backend.regimens.timing_json import to_json
from tests.backend.ingest.world import (
    World,
    a_world,
    doses_at_eight,
    eight,
    opening,
    send,
)
from tests.builders import written

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
DUE = eight()


@pytest.fixture
def world(session: Session) -> World:
    """A patient with a dose at 08:00 UTC of two days, windows four hours about them."""
    world = a_world(session)
    doses_at_eight(session, world, days=2)
    return world


def seen_at(session: Session, world: World, now: datetime) -> TodayPage:
    clinic = world.clinic.clinic_id
    reader = Reader(uuid4(), "patient", world.patient_id, clinic)
    return today_page(Sight(session, reader, now), zone="UTC")


def text_at(session: Session, world: World, now: datetime) -> str:
    return render(seen_at(session, world, now), Frame(now=now))


def hero(page: str) -> str:
    return page.partition('id="next"')[2].partition("</section>")[0]


def labelled(session: Session, world: World, label: str) -> None:
    dose = session.get_one(
        ScheduledDose,
        (world.patient_id, world.regimen.regimen_id, f"{DUE:%Y-%m-%d}T08:00"),
    )
    dose.label = label
    written(session, dose)


def test_a_dose_is_next_until_it_is_due_and_then_due_now(
    session: Session, world: World
) -> None:
    before, after = (text_at(session, world, DUE + n * MINUTE) for n in (-2, 2))

    assert "Due now" not in before
    assert ">08:00</time>" in hero(before)
    assert "Not due yet" in before
    assert 'Due now, <time datetime="2026-03-02T08:00:00+00:00">08:00' in hero(after)
    assert "Not due yet" not in after


@pytest.mark.parametrize("label", ["pending", "late", "unknown"])
def test_an_open_dose_stays_in_front_until_its_window_closes(
    session: Session, world: World, label: str
) -> None:
    labelled(session, world, label)

    open_, closed = (
        seen_at(session, world, DUE + 4 * HOUR + n * MINUTE).next_dose for n in (-1, 1)
    )

    assert open_ is not None
    assert open_.due_at == DUE
    assert closed is not None
    assert closed.due_at == DUE + 24 * HOUR


def test_of_a_dose_that_may_have_been_taken_nobody_is_told_to_take_it(
    session: Session, world: World
) -> None:
    labelled(session, world, "unknown")

    told = hero(text_at(session, world, DUE + HOUR))

    assert "Due now" not in told
    assert "08:00" in told
    assert "ask your clinic before you take it" in told


@pytest.mark.parametrize("label", ["on_time", "early", "missed"])
def test_a_dose_that_is_done_with_gives_way_to_the_next(
    session: Session, world: World, label: str
) -> None:
    labelled(session, world, label)

    told = hero(text_at(session, world, DUE + HOUR))

    assert "Due now" not in told
    assert "tomorrow 08:00" in told


def test_a_dose_whose_window_has_just_closed_is_not_called_due(
    session: Session, world: World
) -> None:
    told = text_at(session, world, DUE + 4 * HOUR + MINUTE)

    assert "Due now" not in told
    assert "Not due yet" not in told
    assert "Not recorded yet" in told


def test_a_dose_without_a_time_is_due_all_its_day_and_named_by_it_before(
    session: Session, world: World
) -> None:
    for dose in session.exec(select(ScheduledDose)).all():
        dose.due_at = None
        written(session, dose)

    today = hero(text_at(session, world, DUE))
    labelled(session, world, "taken")
    later = hero(text_at(session, world, DUE))

    assert "Some time today" in today
    assert "Some time today" not in later
    assert "Tue 3 Mar" in later


def test_a_dose_of_the_night_stays_listed_when_the_day_has_turned(
    session: Session, world: World
) -> None:
    dose = session.exec(
        select(ScheduledDose).order_by(col(ScheduledDose.due_at))
    ).first()
    assert dose is not None
    dose.dose_day -= timedelta(days=1)  # as one that is due before three
    written(session, dose)

    open_, closed = (
        [one.due_at for one in seen_at(session, world, DUE + n * HOUR).doses]
        for n in (3, 5)
    )

    assert open_ == [DUE]
    assert closed == []


def as_needed(session: Session, world: World, language: str = "en") -> None:
    version = session.get_one(
        RegimenVersion, (world.patient_id, world.regimen.regimen_id, 1)
    )
    version.timing = to_json(AsNeeded(2, 6 * HOUR))
    version.amount, version.unit = Decimal(500), "mg"
    spoken = session.exec(select(PatientLanguage)).one()
    spoken.language = language
    session.flush()


def part(page: str, name: str) -> str:
    return page.partition(f'id="{name}"')[2].partition("</section>")[0]


def test_what_is_taken_as_needed_is_read_before_it_is(
    session: Session, world: World
) -> None:
    as_needed(session, world)
    before = part(text_at(session, world, DUE), "as-needed")

    assert "500 mg, as needed, at most 2 doses in 24 hours" in before
    assert "One more dose is within your limits now" in before
    assert "0 of 2 in 24 hours" in before

    send(session, world, [opening(world, 1, DUE)], now=DUE + MINUTE)
    after = part(text_at(session, world, DUE + MINUTE), "as-needed")
    assert "Take no more before" in after
    assert ">14:00</time>" in after
    assert "1 of 2 in 24 hours" in after


def test_a_patient_reads_the_sentence_in_their_own_language(
    session: Session, world: World
) -> None:
    as_needed(session, world, "de-CH")
    text = part(text_at(session, world, DUE), "as-needed")

    assert 'lang="de"' in text
    assert "bei Bedarf, höchstens 2 Dosen in 24 Stunden" in text


def test_who_takes_nothing_as_needed_reads_nothing_of_it(
    session: Session, world: World
) -> None:
    assert "As needed" not in text_at(session, world, DUE)
