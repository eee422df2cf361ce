"""What patients answer to reminders, and what follows from each answer."""

import pytest

from backend.reminders.wishes import Preference
from tests.stories.diary import ASKED, COMING, NOBODY, ONCE, a_diary
from tests.stories.life import labels

pytestmark = pytest.mark.usefixtures("db")


def test_taken_by_reply_ends_the_ladder_and_is_a_word_not_a_record() -> None:
    diary = a_diary()
    diary.until(2, "08:20")

    assert diary.says("Taken, thanks!") == "Thank you. Your dose is recorded."
    diary.until(2, "13:00")

    assert diary.lines() == [f"Mon 07:45 {COMING}", f"Mon 08:15 text: {ASKED}"]
    assert labels(diary.story, diary.life)["2026-03-02T08:00"] == "on_time"
    assert diary.story.rows("SELECT evidence FROM dose_event") == [
        {"evidence": "self_reported"}
    ]


@pytest.mark.soak
def test_taken_said_twice_is_one_dose() -> None:
    diary = a_diary()
    diary.until(2, "08:20")
    diary.says("taken")

    assert diary.says("taken") == "Thank you. Nothing is open right now."
    assert len(diary.story.rows("SELECT FROM dose_event")) == 1


def test_taken_after_the_worklist_takes_the_alert_back() -> None:
    diary = a_diary()
    diary.until(2, "09:30")
    assert diary.open_alerts() == [NOBODY]

    diary.says("taken")

    assert diary.open_alerts() == []


def test_not_taken_is_never_taken_and_goes_to_a_person() -> None:
    diary = a_diary()
    diary.until(2, "08:20")

    said = diary.says("not taken")

    assert said.startswith("Your clinic will read your message.")
    assert diary.open_alerts() == ["Patient wrote what is for a person"]
    assert diary.story.rows("SELECT FROM dose_event") == []
    diary.until(2, "08:31")
    assert diary.lines()[-1] == f"Mon 08:30 call: {ASKED}"


def test_a_snooze_holds_every_rung_of_its_dose_and_no_other() -> None:
    diary = a_diary()
    diary.until(2, "08:20")

    assert diary.says("snooze 40") == "We will remind you again at 09:00."
    diary.until(3)

    assert diary.lines() == [
        f"Mon 07:45 {COMING}",
        f"Mon 08:15 text: {ASKED}",
        f"Mon 09:00 text: {ASKED}",
        f"Mon 09:10 call: {ASKED}",
        f"Mon 09:40 worklist, high: {NOBODY}",
        f"Mon 19:45 {COMING}".replace("08:00", "20:00"),
        f"Mon 20:15 text: {ASKED.replace('08:00', '20:00')}",
        f"Mon 20:30 call: {ASKED.replace('08:00', '20:00')}",
        f"Mon 21:00 worklist, high: {NOBODY}".replace("08:00", "20:00"),
    ]


def test_a_snooze_survives_that_everything_is_planned_again() -> None:
    diary = a_diary()
    diary.until(2, "08:20")
    diary.says("snooze 40")
    diary.moves("Europe/Madrid")  # the same hours: nothing but the plan is made anew
    diary.prefers(Preference())

    diary.until(2, "08:59")
    assert len(diary.lines()) == 2
    diary.until(2, "09:01")
    assert diary.lines()[-1] == f"Mon 09:00 text: {ASKED}"


def test_a_snooze_ends_inside_the_window_and_not_for_ever() -> None:
    diary = a_diary(timing=ONCE)
    diary.until(2, "08:20")
    for _ in range(5):
        diary.says("snooze 5")

    assert diary.says("snooze 5").startswith("This dose cannot be put off any longer.")
    diary.until(2, "08:26")
    assert diary.lines()[-1] == f"Mon 08:25 text: {ASKED}"


def test_a_dose_left_out_with_a_reason_stops_the_rungs_and_is_told() -> None:
    diary = a_diary()
    diary.until(2, "08:20")

    said = diary.says("skip: feeling sick")
    diary.moves("Europe/Madrid")
    diary.until(2, "13:00")

    assert said.startswith("Recorded: you leave this dose out.")
    assert diary.lines()[2:] == [
        "Mon 08:20 worklist, high: Patient leaves out the 08:00 dose"
    ]
    assert labels(diary.story, diary.life)["2026-03-02T08:00"] == "unknown"
    assert diary.story.rows("SELECT occurrence, kind, reason FROM reminder_answer") == [
        {"occurrence": "2026-03-02T08:00", "kind": "skip", "reason": "feeling sick"}
    ]


@pytest.mark.soak
def test_help_goes_to_a_person_at_once_and_the_ladder_goes_on() -> None:
    diary = a_diary()
    diary.until(2, "08:20")

    said = diary.says("help")
    diary.until(2, "08:31")

    assert "emergency" in said
    assert diary.lines()[-2:] == [
        "Mon 08:20 worklist, high: Patient asks for help",
        f"Mon 08:30 call: {ASKED}",
    ]


def test_stop_ends_messages_to_that_number_until_start() -> None:
    diary = a_diary()
    diary.until(2, "08:20")

    assert diary.says("STOP").startswith("You will get no more messages here.")
    diary.until(2, "20:31")
    assert diary.lines()[2:] == [
        "Mon 08:20 worklist, medium: Patient wants no more messages by this channel",
        f"Mon 09:00 worklist, high: {NOBODY}",
    ]

    assert diary.says("start") == "You will get messages here again."
    diary.until(3, "08:00")
    assert diary.lines()[-1] == f"Tue 07:45 {COMING}"


def test_one_reply_answers_for_all_doses_of_the_message() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.until(2, "08:32")

    diary.says("taken")

    assert set(labels(diary.story, diary.life).values()) == {"on_time"}
    assert len(diary.story.rows("SELECT FROM dose_event")) == 2
