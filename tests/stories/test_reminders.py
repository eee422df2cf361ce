"""A week of reminders on a clock moved by hand: each line of a ladder, each answer."""

from datetime import UTC, datetime, time, timedelta

import pytest

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.ingest.pause import resume
from backend.reminders.adapt import adapt
from backend.reminders.wishes import Preference
from notifications.message import SendFailed
from tests.stories.clinic import DAY, Box, a_box, a_story, plain
from tests.stories.diary import (
    ASKED,
    CARE,
    COMING,
    DAUGHTER,
    NOBODY,
    ONCE,
    WRONG,
    Diary,
    a_daughter,
    a_diary,
)
from tests.stories.life import a_life, labels

pytestmark = pytest.mark.usefixtures("db")


def test_a_critical_dose_that_nobody_answers_climbs_to_the_worklist() -> None:
    diary = a_diary()
    a_daughter(diary)

    diary.until(2, "13:00")

    assert diary.lines() == [
        f"Mon 07:45 {COMING}",
        f"Mon 08:15 text: {ASKED}",
        f"Mon 08:30 call: {ASKED}",
        f"Mon 08:45 {CARE}",
        f"Mon 09:00 worklist, high: {NOBODY}",
    ]
    assert [message.to for message in diary.story.calls.got] == ["+41790000001"]


@pytest.mark.soak
def test_without_a_consent_that_names_them_a_caregiver_hears_nothing() -> None:
    diary = a_diary()
    a_daughter(diary, consented=False)

    diary.until(2, "13:00")

    assert {message.to for message in diary.story.phone.got} == {"+41790000001"}
    assert "Mon 09:00 worklist, high: " + NOBODY in diary.lines()


def test_a_consent_taken_back_overnight_keeps_the_caregiver_out() -> None:
    diary = a_diary()
    who = a_daughter(diary)
    diary.until(2, "08:20")
    diary.withdraws("caregiver", who)

    diary.until(2, "13:00")

    assert DAUGHTER not in {message.to for message in diary.story.phone.got}
    assert "Mon 08:45 caregiver: no consent to tell the caregiver" in diary.dropped()


def test_quiet_hours_wait_for_morning_and_tell_the_worklist_what_did_not_go() -> None:
    diary = a_diary(
        "high",
        timing={"kind": "clock_times", "times": ["05:45", "22:00"]},
        clock="04:00",
    )
    diary.prefers(Preference(quiet=(time(22), time(7))))

    diary.until(3, "03:00")

    five = ASKED.replace("08:00", "05:45")
    assert diary.lines() == [
        f"Mon 07:00 text: {five}",
        f"Mon 07:30 call: {five}",
        "Mon 07:45 worklist, medium: No record of the 05:45 dose, and no answer",
        "Mon 21:45 text: Your 22:00 dose is coming up.",
        "Mon 23:28 worklist, medium: No record of the 22:00 dose, and no answer",
    ]
    assert diary.dropped() == [
        "Mon 05:30 nudge: quiet hours",
        "Mon 22:30 late: quiet hours",
        "Mon 23:00 call: quiet hours",
    ]


@pytest.mark.soak
def test_a_critical_drug_breaks_through_quiet_hours() -> None:
    diary = a_diary(timing={"kind": "clock_times", "times": ["23:00"]})
    diary.prefers(Preference(quiet=(time(22), time(7))))

    diary.until(3, "00:30")

    assert [line[:14] for line in diary.lines()] == [
        "Mon 22:45 text",
        "Mon 23:15 text",
        "Mon 23:30 call",
        "Tue 00:00 work",
    ]


def test_on_vacation_nothing_rings_until_it_is_over() -> None:
    diary = a_diary("high", timing=ONCE)
    diary.pauses("vacation", 3, 4)

    diary.until(5, "09:30")

    assert [line[:9] for line in diary.lines()] == [
        "Mon 07:45", "Mon 08:30", "Mon 09:00", "Mon 10:00",
        "Thu 07:45", "Thu 08:30", "Thu 09:00",
    ]  # fmt: skip
    assert diary.dropped()[0] == "Tue 07:45 nudge: paused"


def test_who_comes_home_early_is_reminded_again() -> None:
    diary = a_diary("high", timing=ONCE)
    paused = diary.pauses("hospital", 1, None)
    diary.until(3, "08:20")
    assert diary.lines() == []
    assert set(labels(diary.story, diary.life).values()) <= {"unknown", "pending"}

    with transaction() as session:
        own = diary.life.patient_id
        assert resume(session, own, paused, actor=SYSTEM, now=diary.story.now)
        assert not resume(session, own, paused, actor=SYSTEM, now=diary.story.now)
    diary.until(3, "09:10")

    assert [line[:9] for line in diary.lines()] == ["Tue 08:30", "Tue 09:00"]


@pytest.mark.soak
def test_a_busy_provider_delays_and_a_dead_one_leaves_it_to_the_next_rung() -> None:
    diary = a_diary(timing=ONCE)
    diary.story.phone.failing = [SendFailed("20429", retry=True)]
    diary.until(2, "08:00")
    diary.story.phone.failing = [SendFailed("21211", retry=False)]
    diary.until(2, "13:00")

    assert diary.lines() == [
        f"Mon 07:45 {COMING}",
        f"Mon 08:15 {WRONG}",
        f"Mon 08:30 call: {ASKED}",
        f"Mon 09:00 worklist, high: {NOBODY}",
    ]


@pytest.mark.soak
def test_an_answer_nobody_heard_of_is_asked_for_before_it_goes_again() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.story.phone.failing = [SendFailed("timeout", retry=None)]

    diary.until(2, "08:40")

    assert [plain(it.body) for it in diary.story.phone.got] == [ASKED]


def test_a_clinician_may_write_another_ladder_and_what_waits_follows() -> None:
    diary = a_diary("high", timing=ONCE)

    assert diary.writes_ladder((10, "sms", "patient"), (20, "sms", "patient")) == 1
    diary.until(2, "13:00")

    assert diary.lines() == [f"Mon 08:10 text: {ASKED}", f"Mon 08:20 text: {ASKED}"]
    assert "Mon 07:45 nudge: ladder changed" in diary.dropped()
    assert diary.writes_ladder(replaces=1) == 2
    diary.until(3, "08:00")
    assert diary.lines()[-1] == f"Tue 07:45 {COMING}"


def test_a_week_of_one_patient() -> None:
    """Monday forgotten, Tuesday answered, Wednesday snoozed, Thursday left out,

    Friday and Saturday away, Sunday as it should be.
    """
    diary = a_diary("high", timing=ONCE)
    diary.until(3, "08:35")
    diary.says("taken")
    diary.until(4, "08:35")
    diary.says("SNOOZE 30")
    diary.until(4, "09:10")
    diary.says("i took it")
    diary.until(5, "07:50")
    diary.says("skip")
    diary.pauses("vacation", 6, 7)
    diary.until(8, "07:55")
    diary.says("taken")
    diary.until(9)

    assert diary.lines() == [
        f"Mon 07:45 {COMING}",
        f"Mon 08:30 text: {ASKED}",
        f"Mon 09:00 call: {ASKED}",
        f"Mon 10:00 worklist, medium: {NOBODY}",
        f"Tue 07:45 {COMING}",
        f"Tue 08:30 text: {ASKED}",
        f"Wed 07:45 {COMING}",
        f"Wed 08:30 text: {ASKED}",
        f"Wed 09:05 text: {ASKED}",
        f"Thu 07:45 {COMING}",
        "Thu 07:50 worklist, medium: Patient leaves out the 08:00 dose",
        f"Sun 07:45 {COMING}",
    ]
    assert [*labels(diary.story, diary.life).values()] == [
        "unknown", "on_time", "taken_late", "unknown", "unknown", "unknown", "on_time",
    ]  # fmt: skip
    gaps = [it.dies_in for it in diary.story.phone.got]
    assert min(gaps) > timedelta(0)


def test_reminders_follow_a_habit_a_little_each_day_until_switched_off() -> None:
    """The box is opened at 08:40 every day, and reminded of at 08:30 in vain."""
    diary, box = a_late_riser()
    diary.prefers(Preference(adaptive=True))
    for day in (2, 3, 4):
        diary.until(day, "06:30")
        assert adapt(diary.story.now) == 1
        assert adapt(diary.story.now) == 0  # once a day, however often it is asked
        diary.story.open(box, at=diary.at(day, "08:40"))
    assert diary.lines() == [
        f"Mon 07:59 {COMING}",
        f"Tue 07:59 {COMING}",
        f"Wed 07:59 {COMING}",
    ]
    moves = diary.story.rows(
        "SELECT outcome ->> 'shift_s' AS shift, undone_at FROM decision "
        "WHERE rule = 'reminder-time' ORDER BY at"
    )
    assert [int(move["shift"]) // 60 for move in moves] == [15, 30, 40]

    diary.prefers(Preference())
    diary.until(5, "08:35")

    assert [line[:9] for line in diary.lines()[3:]] == ["Thu 07:45", "Thu 08:30"]
    undone = diary.story.rows(
        "SELECT FROM decision WHERE rule = 'reminder-time' AND undone_at IS NOT NULL"
    )
    assert len(undone) == 3


@pytest.mark.soak
def test_a_regimen_whose_times_are_fixed_follows_no_habit() -> None:
    diary, _ = a_late_riser()
    diary.prefers(Preference(adaptive=True))
    diary.writes_ladder(fixed=True)

    assert adapt(diary.story.now) == 0


def a_late_riser() -> tuple[Diary, Box]:
    """Return who opened their box at 08:40 for the 08:00 dose of the last ten days."""
    begins = datetime(2026, 3, 2, 5, tzinfo=UTC)
    story = a_story(begins)
    box = a_box(story)
    life = a_life(story, box, criticality="high", since=begins - 10 * DAY)
    diary = Diary(story, life)
    for day in range(10):
        box.open(diary.at(2, "08:40") - (10 - day) * DAY)
    story.meet()
    return diary, box
