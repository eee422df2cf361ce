"""Scheduled doses in a real database: ahead, anew, and in the past."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
from sqlmodel import Session, select

from backend.audit.record import SYSTEM
from backend.audit.tables import Decision
from backend.errors import NotFound
from backend.people.zones import move
from backend.regimens.schedule import expand_past, materialise, to_extend
from backend.regimens.tables import RegimenVersion
from backend.regimens.timing import AsNeeded, ClockTimes, DailyCount
from backend.regimens.timing_json import to_json
from backend.regimens.zones import TZDB_VERSION
from tests.backend.regimens.rows import TWICE, doses, keys, somebody
from tests.builders import NOW, a_clinic, a_patient, a_regimen

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# NOW is Wednesday 2026-03-04 10:00 in Zurich, UTC+1.


def test_doses_are_written_three_days_ahead_once(session: Session) -> None:
    patient, _ = somebody(session)

    first = materialise(session, [patient.patient_id], now=NOW)
    again = materialise(session, [patient.patient_id], now=NOW)

    assert keys(session) == [
        "03-03T20:00",  # a day back at most, for one who starts
        "03-04T08:00",
        "03-04T20:00",
        "03-05T08:00",
        "03-05T20:00",
        "03-06T08:00",
        "03-06T20:00",
        "03-07T08:00",
    ]
    assert len(first.new) == 8
    assert (again.new, again.changed, again.removed) == ([], [], [])


def test_a_dose_keeps_what_it_was_made_from(session: Session) -> None:
    patient, regimen = somebody(session)
    materialise(session, [patient.patient_id], now=NOW)
    dose = doses(session)[2]

    due = datetime(2026, 3, 4, 19, tzinfo=UTC)
    assert dose.due_at == due
    assert dose.local_time == "2026-03-04T20:00:00"
    assert (dose.zone, dose.tzdb) == ("Europe/Zurich", TZDB_VERSION)
    assert dose.dose_day == date(2026, 3, 4)
    assert (dose.amount, dose.unit, dose.version) == (Decimal(1), "1", 1)
    # 25 % of twelve hours on either side
    assert dose.window_from == due - 3 * HOUR
    assert dose.window_until == due + 3 * HOUR
    assert dose.check_at == dose.due_at
    assert dose.regimen_id == regimen.regimen_id


def test_windows_of_the_prescription_win(session: Session) -> None:
    patient, regimen = somebody(session)
    version = session.get_one(
        RegimenVersion, (patient.patient_id, regimen.regimen_id, 1)
    )
    version.window_before_s, version.window_after_s = 600, 7200
    materialise(session, [patient.patient_id], now=NOW)
    dose = doses(session)[0]

    assert dose.due_at is not None
    assert dose.window_from == dose.due_at - timedelta(minutes=10)
    assert dose.window_until == dose.due_at + 2 * HOUR


def test_an_untimed_dose_may_be_taken_all_its_dose_day(session: Session) -> None:
    patient, _ = somebody(session, DailyCount(2), since=NOW)
    materialise(session, [patient.patient_id], now=NOW, ahead=HOUR)

    assert keys(session) == ["03-04#1", "03-04#2"]
    dose = doses(session)[0]
    assert dose.due_at is None
    assert dose.window_from == datetime(2026, 3, 4, 2, tzinfo=UTC)
    assert dose.window_until == datetime(2026, 3, 5, 2, tzinfo=UTC)
    assert dose.check_at == dose.window_until


def test_a_worker_that_was_away_leaves_no_hole(session: Session) -> None:
    patient, _ = somebody(session)
    materialise(session, [patient.patient_id], now=NOW, ahead=DAY)
    materialise(session, [patient.patient_id], now=NOW + 6 * DAY, ahead=DAY)

    days = [row.dose_day for row in doses(session) if row.occurrence.endswith("20:00")]
    assert days == [date(2026, 3, 3) + number * DAY for number in range(8)]


def test_windows_do_not_depend_on_when_they_were_written(session: Session) -> None:
    patient, _ = somebody(session, ClockTimes((time(8), time(14))))
    for hours in range(0, 72, 7):
        made = materialise(session, [patient.patient_id], now=NOW + hours * HOUR)
        assert (made.changed, made.removed) == ([], [])

    windows = {
        (row.due_at - row.window_from, row.window_until - row.due_at)
        for row in doses(session)
        if row.due_at is not None
    }
    assert windows == {(4 * HOUR, 1.5 * HOUR), (1.5 * HOUR, 4 * HOUR)}


def test_a_move_makes_the_future_anew_and_leaves_the_past(session: Session) -> None:
    patient, _ = somebody(session)
    materialise(session, [patient.patient_id], now=NOW)
    past = [
        row.occurrence for row in doses(session) if row.due_at and row.due_at <= NOW
    ]
    move(
        session,
        patient.patient_id,
        "America/New_York",
        effective_from=NOW + HOUR,
        actor=SYSTEM,
        now=NOW,
    )
    made = materialise(session, [patient.patient_id], now=NOW)
    found = doses(session)

    assert [row.occurrence for row in found][: len(past)] == past
    assert {row.zone for row in found[: len(past)]} == {"Europe/Zurich"}
    coming = found[len(past) :]
    assert {row.zone for row in coming} == {"America/New_York"}
    # 08:00 comes again six hours later: that is half of twelve, so it is asked again.
    assert [(row.occurrence[5:], f"{row.due_at:%dT%H}") for row in coming] == [
        ("03-04T08:00@America/New_York", "04T13"),
        ("03-04T20:00", "05T01"),
        ("03-05T08:00", "05T13"),
        ("03-05T20:00", "06T01"),
        ("03-06T08:00", "06T13"),
        ("03-06T20:00", "07T01"),
    ]
    assert made.removed == [
        (row.patient_id, row.regimen_id, "2026-03-07T08:00") for row in coming[:1]
    ]
    assert len(made.changed) == 5
    decision = session.exec(select(Decision)).one()
    assert decision.rule == "travel"
    assert decision.outcome == {
        "effects": [
            {
                "change": "again",
                "occurrence": "2026-03-04T08:00@America/New_York",
                "zone": "America/New_York",
                "due_at": "2026-03-04T13:00:00+00:00",
            }
        ]
    }


def test_a_prescription_says_how_far_apart_doses_are_on_a_journey(
    session: Session,
) -> None:
    patient, regimen = somebody(session)
    key = patient.patient_id, regimen.regimen_id, 1
    session.get_one(RegimenVersion, key).least_apart_s = 8 * 3600
    move(
        session,
        patient.patient_id,
        "America/New_York",
        effective_from=NOW + HOUR,
        actor=SYSTEM,
        now=NOW,
    )
    materialise(session, [patient.patient_id], now=NOW)

    # 08:00 comes again after six hours, too soon for this drug.
    assert [key for key in keys(session) if key > "03-04"][:2] == [
        "03-04T08:00",
        "03-04T20:00",
    ]


def test_a_move_is_explained_once(session: Session) -> None:
    patient, _ = somebody(session)
    move(
        session,
        patient.patient_id,
        "America/New_York",
        effective_from=NOW + HOUR,
        actor=SYSTEM,
        now=NOW,
    )
    for hours in range(0, 24, 6):
        materialise(session, [patient.patient_id], now=NOW + hours * HOUR)

    assert len(session.exec(select(Decision)).all()) == 1


def test_an_end_takes_away_what_lay_behind_it(session: Session) -> None:
    patient, regimen = somebody(session)
    version = session.get_one(
        RegimenVersion, (patient.patient_id, regimen.regimen_id, 1)
    )
    materialise(session, [patient.patient_id], now=NOW)
    version.until = NOW + DAY
    made = materialise(session, [patient.patient_id], now=NOW)

    assert keys(session)[-1] == "03-05T08:00"
    assert len(made.removed) == 4


def test_those_who_run_short_of_doses_are_found_page_by_page(session: Session) -> None:
    clinic = a_clinic(session)
    short = [a_patient(session, clinic) for _ in range(3)]
    for patient in short:
        a_regimen(session, patient, timing=to_json(TWICE))
    guarded = a_patient(session, clinic)
    a_regimen(session, guarded, timing=to_json(AsNeeded(4)))
    wanted = sorted(patient.patient_id for patient in short)

    page = to_extend(session, now=NOW, most=2)
    assert page == wanted[:2]
    assert to_extend(session, now=NOW, after=page[-1], most=2) == wanted[2:]

    materialise(session, wanted, now=NOW)
    session.flush()
    assert to_extend(session, now=NOW) == []
    assert to_extend(session, now=NOW + 2 * DAY) == wanted


def test_past_days_are_expanded_and_what_exists_stays(session: Session) -> None:
    patient, regimen = somebody(session)
    whose = patient.patient_id, regimen.regimen_id
    materialise(session, [patient.patient_id], now=NOW)
    there = len(doses(session))
    first, last = date(2026, 2, 20), date(2026, 3, 4)

    assert expand_past(session, *whose, first=first, last=last) == 13 * 2 - 3
    assert expand_past(session, *whose, first=first, last=last) == 0
    assert keys(session)[0] == "02-20T08:00"
    assert len(doses(session)) == there + 13 * 2 - 3


def test_the_past_begins_with_the_prescription(session: Session) -> None:
    patient, regimen = somebody(session, DailyCount(1), since=NOW - 3 * DAY)
    whose = patient.patient_id, regimen.regimen_id

    assert (
        expand_past(session, *whose, first=date(2026, 1, 1), last=date(2026, 3, 3)) == 3
    )
    with pytest.raises(NotFound):
        expand_past(
            session,
            patient.patient_id,
            patient.patient_id,
            first=date(2026, 1, 1),
            last=date(2026, 1, 1),
        )
