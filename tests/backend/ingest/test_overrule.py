"""What a clinician says of a record stands beside it, and what follows is computed."""

from datetime import date, timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session

from backend.database.sets import fetch
from backend.doses.days import Span
from backend.doses.figures import figures
from backend.errors import Forbidden, NotFound, Unprocessable
from backend.ingest.correct import void_dose
from backend.ingest.overrule import NothingToChange, overrule
from backend.people.readers import Reader
from backend.state.refresh import refresh
from tests.backend.ingest.world import (
    MONDAY,
    World,
    a_world,
    count,
    doses_at_eight,
    eight,
    heard,
    labels,
    opening,
    send,
    tell,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
RAW = "SELECT to_jsonb(e) - 'label' AS raw FROM dose_event e ORDER BY dose_event_id"


@pytest.fixture
def world(session: Session) -> World:
    """A dose at eight, taken; the box was heard until the evening."""
    world = a_world(session)
    doses_at_eight(session, world)
    now = eight() + 10 * HOUR
    send(session, world, [opening(world, 1, eight())], now=now)
    tell(session, world, [heard(world, 1, now)], now=now)
    return world


def the_clinician(world: World) -> Reader:
    clinician = world.clinician.clinician_id
    return Reader(uuid4(), "clinician", clinician, world.clinic.clinic_id)


def the_event(session: Session) -> UUID:
    return fetch(session, "SELECT dose_event_id FROM dose_event ORDER BY occurred_at")[
        0
    ]["dose_event_id"]


def say(session: Session, world: World, label: str | None, hours: int = 11) -> None:
    overrule(
        session,
        the_clinician(world),
        world.patient_id,
        the_event(session),
        label=label,
        reason="she told me",
        now=eight() + hours * HOUR,
    )


def test_a_look_inside_is_no_dose_until_it_is_taken_back(
    session: Session, world: World
) -> None:
    raw = fetch(session, RAW)
    assert labels(session, world) == {f"{MONDAY}T08:00": "on_time"}
    messages = count(session, "outbox_message")

    say(session, world, "curiosity")

    assert labels(session, world) == {f"{MONDAY}T08:00": "missed"}
    [change] = fetch(
        session,
        "SELECT before, after, because ->> 'cause' AS cause FROM label_change "
        "WHERE because ->> 'cause' = 'overruled'",
    )
    assert tuple(change.values()) == ("on_time", "missed", "overruled")

    say(session, world, None)

    assert labels(session, world) == {f"{MONDAY}T08:00": "on_time"}
    assert fetch(session, RAW) == raw
    assert count(session, "outbox_message") == messages
    rows = fetch(session, "SELECT label, reason FROM event_override ORDER BY at, label")
    assert [row["label"] for row in rows] == ["curiosity", None]
    [audit] = fetch(
        session, "SELECT count(*) AS n FROM audit_row WHERE action LIKE '%overrule%'"
    )
    assert audit["n"] == 2


def test_what_is_said_holds_when_more_arrives(session: Session, world: World) -> None:
    say(session, world, "refill")

    later = [opening(world, 2, eight() + HOUR / 2)]
    send(session, world, later, now=eight() + 12 * HOUR)

    assert labels(session, world) == {f"{MONDAY}T08:00": "on_time"}
    found = fetch(session, "SELECT label FROM dose_event ORDER BY occurred_at")
    assert [row["label"] for row in found] == ["refill", "therapeutic"]


def test_only_a_clinician_who_cares_for_the_patient_may_say_so(
    session: Session, world: World
) -> None:
    own = Reader(uuid4(), "patient", world.patient_id, world.clinic.clinic_id)
    stranger = Reader(uuid4(), "clinician", uuid4(), world.clinic.clinic_id)
    event = the_event(session)

    for reader, error in ((own, Forbidden), (stranger, NotFound)):
        with pytest.raises(error):
            overrule(
                session,
                reader,
                world.patient_id,
                event,
                label="prime",
                reason="x",
                now=eight(),
            )
    assert not count(session, "event_override")


def test_what_changes_nothing_is_refused(session: Session, world: World) -> None:
    with pytest.raises(Unprocessable):
        say(session, world, "extra")
    with pytest.raises(NothingToChange):
        say(session, world, None)
    say(session, world, "prime")
    with pytest.raises(NothingToChange):
        say(session, world, "prime")
    clinician = the_clinician(world)
    void_dose(session, clinician, the_event(session), reason="no", now=eight())
    with pytest.raises(NothingToChange):
        say(session, world, "pocket")


def test_the_state_row_has_the_figures_that_are_computed_when_asked(
    session: Session, world: World
) -> None:
    first = date.fromisoformat(str(MONDAY))
    doses_at_eight(session, world, first=first + DAY, days=5)
    last = eight(first + 5 * DAY)
    sent = [
        opening(world, 2, eight(first + DAY)),
        opening(world, 3, eight(first + 2 * DAY) + 2 * HOUR),
        opening(world, 4, eight(first + 2 * DAY) + 3 * HOUR),  # extra
        opening(world, 5, eight(first + 4 * DAY)),
    ]
    now = last + 10 * HOUR
    send(session, world, sent, now=now)
    tell(session, world, [heard(world, 5, now)], now=now)
    now = last + DAY
    refresh(session, [world.patient_id], now=now)
    say(session, world, "curiosity", hours=7 * 24)

    [state] = fetch(session, "SELECT adherence FROM patient_state")
    today = (now + DAY).date()
    [asked] = figures(
        session,
        the_clinician(world),
        ["taking"],
        span=Span(today - 30 * DAY, today - DAY),
        now=now,
        patients=[world.patient_id],
    )
    [taking] = asked.measures
    got = state["adherence"]
    assert (got["taken"], got["expected"]) == (taking.numerator, taking.denominator)
    assert got["known_days"] == taking.counts.monitored_days
    assert got["phase"] == "taking"
    refresh(session, [world.patient_id], now=eight() + 7 * 24 * HOUR)
    [again] = fetch(session, "SELECT adherence FROM patient_state")
    assert again == state
