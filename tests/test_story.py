"""Whole stories: from what a box records to what people are told, and what stays."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlmodel import col, select

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.doses.tables import DoseEvent
from backend.people.consent import withdraw
from backend.people.erase import erase, tables_of_patients
from backend.people.readers import Reader, may_see
from tests.stories.clinic import HOUR, MINUTE, Story, a_box, a_story
from tests.stories.life import a_life, ever, give, labels, on_hand, take_back
from tests.stories.scenario import expected, load, names, outcome, played


@pytest.mark.parametrize("name", names())
def test_scenario(db: object, name: str) -> None:
    scenario = load(name)

    play = played(scenario)

    got, then = outcome(play), expected(scenario)
    assert {key: got[key] for key in then} == then


EIGHT = datetime(2026, 3, 2, 7, tzinfo=UTC)  # on the wall in Zurich


def test_a_box_read_by_two_bridges_gives_every_record_once(db: object) -> None:
    story = a_story(EIGHT - HOUR)
    box = a_box(story)
    life = a_life(story, box)
    story.until(EIGHT)
    box.open(story.now)

    first = story.read_box(box, by=story.bridges)
    again = story.send(box.recorded, by=story.bridges[1])
    story.until(EIGHT + 10 * HOUR)

    assert [one.verdict for one in (*first, *again)] == ["new", "known", "known"]
    assert labels(story, life) == {"2026-03-02T08:00": "on_time"}
    assert (on_hand(story, life), story.told) == (59, [])


def test_records_of_a_box_go_to_who_had_it_when_they_were_made(db: object) -> None:
    story = a_story(EIGHT - HOUR)
    box = a_box(story)
    rosa = a_life(story, box, phone="+41790000001")
    story.until(EIGHT + 5 * MINUTE)
    box.in_reach = False
    box.open(story.now)  # read only when the box is somebody else's
    story.until(EIGHT + 12 * HOUR)
    take_back(box, at=story.now)
    story.until(EIGHT + 20 * HOUR)
    emil = a_life(story, None, phone="+41790000002")
    with transaction() as session:
        give(session, box, emil, since=story.now)
    story.until(EIGHT + 24 * HOUR + 5 * MINUTE)
    box.open(story.now)
    box.in_reach = True
    story.meet()
    story.until(EIGHT + 34 * HOUR)

    assert labels(story, rosa)["2026-03-02T08:00"] == "on_time"
    assert labels(story, emil)["2026-03-03T08:00"] == "on_time"
    assert "missed" not in ever(story, rosa) | ever(story, emil)
    assert (on_hand(story, rosa), on_hand(story, emil)) == (59, 59)
    owners = story.rows("SELECT patient_id, sequence FROM dose_event ORDER BY sequence")
    assert [row["patient_id"] for row in owners] == [rosa.patient_id, emil.patient_id]


def test_an_erased_person_leaves_nothing_that_later_records_could_find(
    db: object,
) -> None:
    story = a_story(EIGHT - HOUR)
    box = a_box(story)
    life = a_life(story, box)
    story.until(EIGHT)
    story.open(box)
    box.open(story.now + HOUR)
    with transaction() as session:
        erase(session, life.patient_id, actor=SYSTEM, now=story.now)
        tables = tables_of_patients(session)

    story.until(EIGHT + 48 * HOUR)
    again = story.send(box.recorded)

    assert [one.verdict for one in again] == ["known", "known"]
    assert story.told == []
    for table in tables:
        left = story.rows(
            f"SELECT count(*) AS n FROM {table} WHERE patient_id = :id",
            id=life.patient_id,
        )
        assert left[0]["n"] == 0, table
    kept = story.rows("SELECT item, raw FROM device_record WHERE status = 'erased'")
    assert [(row["item"], row["raw"]) for row in kept] == [({}, None)]


def test_without_consent_to_care_the_clinic_sees_nothing_any_more(db: object) -> None:
    story = a_story(EIGHT - HOUR)
    box = a_box(story)
    life = a_life(story, box)
    story.until(EIGHT)
    story.open(box)
    assert seen(story, story.doctor) == [life.patient_id]

    with transaction() as session:
        withdraw(
            session,
            life.patient_id,
            "care",
            story.clinic.clinic_id,
            actor=SYSTEM,
            now=story.now,
        )

    assert seen(story, story.doctor) == []
    assert seen(story, story.reader("patient", life.patient_id)) == [life.patient_id]


def seen(story: Story, reader: Reader) -> list[UUID]:
    """Return whose doses this reader is shown."""
    with transaction() as session:
        return list(
            session.exec(
                select(DoseEvent.patient_id).where(
                    may_see(reader, col(DoseEvent.patient_id), now=story.now)
                )
            )
        )
