"""A depot 28 days after the last: what is planned, moved, asked and taken back."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import uuid4

from sqlmodel import Session, col, select

from backend.alerts.tables import Alert
from backend.audit.record import SYSTEM
from backend.desk.change import live_in
from backend.doses.tables import DoseEvent
from backend.ingest.accept import follow
from backend.ingest.correct import void_dose
from backend.ingest.extend import schedule
from backend.outbox.tables import OutboxMessage
from backend.people.readers import Reader
from backend.regimens.prescribe import Prescription, change
from backend.regimens.tables import RegimenVersion, ScheduledDose
from backend.regimens.timing import AfterTaken
from backend.regimens.timing_json import to_json
from tests.backend.ingest.world import World, a_world, heard, opening, send, tell

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FIRST = date(2026, 3, 4)
DUE = datetime(2026, 3, 4, 9, tzinfo=UTC)  # 10:00 in Zurich
DEPOT = AfterTaken(28 * DAY, FIRST, time(10))
EVERY_48_H = AfterTaken(48 * HOUR, DUE)


def depot(session: Session, timing: AfterTaken = DEPOT) -> World:
    world = a_world(session)
    version = session.get_one(
        RegimenVersion, (world.patient_id, world.regimen.regimen_id, 1)
    )
    version.timing = to_json(timing)
    days = 3 if timing is DEPOT else 0.5
    version.window_before_s = version.window_after_s = int(days * 86400)
    session.flush()
    schedule(session, [world.patient_id], now=DUE - DAY)
    return world


def doses(session: Session) -> list[str]:
    """Return the doses of the chain: number, when due, label."""
    session.flush()
    session.expire_all()
    rows = session.exec(select(ScheduledDose).order_by(col(ScheduledDose.due_at)))
    return [
        f"{r.occurrence} {r.due_at:%m-%dT%H:%M} {r.label}" for r in rows if r.due_at
    ]


def waits(session: Session) -> list[tuple[str, str]]:
    session.expire_all()
    rows = session.exec(select(Alert))
    return [
        (one.state, str(one.finding["label"]))
        for one in rows
        if one.rule.startswith("next-dose-waits")
    ]


def inject(
    session: Session,
    world: World,
    number: int,
    at: datetime,
    *,
    now: datetime | None = None,
) -> None:
    heard_at = now or at + timedelta(minutes=1)
    send(session, world, [opening(world, number, at)], now=heard_at)


def later(session: Session, world: World, now: datetime) -> None:
    """Let a worker write what lies ahead."""
    schedule(session, [world.patient_id], now=now)


def test_the_next_dose_follows_the_one_taken_and_not_the_one_due(
    session: Session,
) -> None:
    world = depot(session)
    assert doses(session) == ["after#1 03-04T09:00 pending"]

    inject(session, world, 1, DUE + 2 * DAY)
    assert doses(session) == ["after#1 03-04T09:00 taken_late"]
    later(session, world, DUE + 28 * DAY)

    # 28 days after Friday 6 March, at ten by the wall: summer time has begun.
    assert doses(session)[1:] == ["after#2 04-03T08:00 pending"]


def test_hours_are_counted_from_the_instant_and_planned_at_once(
    session: Session,
) -> None:
    world = depot(session, EVERY_48_H)
    inject(session, world, 1, DUE + 90 * timedelta(minutes=1))

    assert doses(session)[1:] == ["after#2 03-06T10:30 pending"]
    pending = session.exec(
        select(OutboxMessage).where(OutboxMessage.state == "pending")
    ).all()
    assert [message.params["occurrence"] for message in pending] == ["after#2"]


def test_nothing_follows_a_dose_that_is_still_open(session: Session) -> None:
    world = depot(session)
    later(session, world, DUE + 2 * DAY)

    assert len(doses(session)) == 1
    assert waits(session) == []


def test_a_dose_that_ended_untaken_is_asked_of_a_person_once(session: Session) -> None:
    world = depot(session)
    over = DUE + 3 * DAY + HOUR
    tell(session, world, [heard(world, 0, over)], now=over)
    later(session, world, DUE + 40 * DAY)

    assert doses(session) == ["after#1 03-04T09:00 missed"]
    assert waits(session) == [("triggered", "missed")]


def test_a_dose_of_which_nobody_knows_is_asked_as_such(session: Session) -> None:
    world = depot(session)
    fact = world.patient_id, world.regimen.regimen_id, FIRST
    over = DUE + 3 * DAY + HOUR
    follow(session, [fact], patients=[fact[0]], now=over, cause="time_passed")

    assert doses(session) == ["after#1 03-04T09:00 unknown"]
    assert waits(session) == [("triggered", "unknown")]


def test_late_evidence_plans_the_next_and_takes_the_question_back(
    session: Session,
) -> None:
    world = depot(session)
    over = DUE + 4 * DAY
    tell(session, world, [heard(world, 0, over)], now=over)
    inject(session, world, 1, DUE + DAY, now=DUE + 27 * DAY)

    assert (
        doses(session)
        == [
            "after#1 03-04T09:00 taken_late",
            "after#2 04-02T08:00 pending",
        ][: len(doses(session))]
    )
    later(session, world, DUE + 28 * DAY)
    assert doses(session)[1:] == ["after#2 04-02T08:00 pending"]
    assert waits(session) == [("closed", "missed")]


def test_what_came_late_of_several_doses_is_matched_one_after_the_other(
    session: Session,
) -> None:
    world = depot(session, EVERY_48_H)
    hours = (1, 50, 97, 146)  # a box that was out of range for a week
    items = [opening(world, number, DUE + at * HOUR) for number, at in enumerate(hours)]
    send(session, world, items, now=DUE + 150 * HOUR)

    assert doses(session) == [
        "after#1 03-04T09:00 on_time",
        "after#2 03-06T10:00 on_time",
        "after#3 03-08T11:00 on_time",
        "after#4 03-10T10:00 on_time",
        "after#5 03-12T11:00 pending",
    ]


def test_an_opening_that_was_none_takes_the_next_dose_away(session: Session) -> None:
    world = depot(session, EVERY_48_H)
    inject(session, world, 1, DUE + HOUR)
    assert len(doses(session)) == 2
    event = session.exec(select(DoseEvent)).one()
    clinician = Reader(
        uuid4(), "clinician", world.clinician.clinician_id, world.clinic.clinic_id
    )
    void_dose(session, clinician, event.dose_event_id, reason="r", now=DUE + 2 * HOUR)

    assert [one.split()[0] for one in doses(session)] == ["after#1"]
    inject(session, world, 2, DUE + 4 * HOUR)
    assert doses(session)[1:] == ["after#2 03-06T13:00 pending"]


def test_a_person_decides_by_a_new_first_dose(session: Session) -> None:
    world = depot(session)
    over = DUE + 4 * DAY
    tell(session, world, [heard(world, 0, over)], now=over)
    change(
        session,
        world.patient_id,
        world.regimen.regimen_id,
        Prescription(
            timing=AfterTaken(28 * DAY, FIRST + 6 * DAY, time(10)),
            amount=None,
            unit=None,
            effective_from=over,
        ),
        by=world.clinician.clinician_id,
        reason="bring it forward",
        replaces=1,
        now=over,
    )
    later(session, world, over)

    assert doses(session) == [
        "after#1 03-04T09:00 missed",
        "after#2 03-10T09:00 pending",
    ]
    inject(session, world, 1, DUE + 6 * DAY)
    later(session, world, DUE + 33 * DAY)
    assert doses(session)[2:] == ["after#3 04-07T08:00 pending"]


def test_another_zone_moves_the_open_dose_by_its_wall(session: Session) -> None:
    world = depot(session)
    live_in(session, world.patient_id, "Asia/Tokyo", actor=SYSTEM, now=DUE - DAY)

    assert doses(session) == ["after#1 03-04T01:00 pending"]
