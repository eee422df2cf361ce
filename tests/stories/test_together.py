"""Doses due together: one message for all of them, whatever becomes of it."""

import pytest

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.ingest.pause import resume
from notifications.codes import GONE
from notifications.message import SendFailed
from tests.stories.diary import ASKED, BOTH, ONCE, WRONG, a_diary

pytestmark = pytest.mark.usefixtures("db")


def test_doses_due_together_go_in_one_message_and_leave_it_one_by_one() -> None:
    diary = a_diary("standard", timing=ONCE)
    second = diary.also_takes()
    diary.until(2, "08:31")

    assert diary.lines() == [f"Mon 08:30 text: {BOTH}"]

    diary.until(3, "08:10")
    diary.takes(second)
    diary.until(3, "08:40")

    assert diary.lines()[1:] == [f"Tue 08:30 text: {ASKED}"]
    assert diary.dropped()[0] == "Mon 08:35 late: said with another dose"


def test_what_fails_for_doses_due_together_goes_another_way_for_all_of_them() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.also_reads_mail()
    diary.story.phone.failing = [SendFailed("30003", retry=False)]
    diary.until(2, "09:00")

    assert diary.lines() == [f"Mon 08:30 mail: {BOTH}"]


def test_what_failed_long_after_it_went_is_told_another_way_for_all_of_them() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.also_reads_mail()
    diary.until(2, "08:40")
    diary.fails("30003")
    diary.until(2, "09:00")

    assert diary.lines() == [f"Mon 08:40 mail: {BOTH}"]


def test_a_dose_taken_meanwhile_is_not_told_of_the_other_way() -> None:
    diary = a_diary("standard", timing=ONCE)
    both = {diary.life.regimen.regimen_id, diary.also_takes()}
    diary.also_reads_mail()
    diary.until(2, "08:40")
    [spoke] = diary.story.rows(
        "SELECT CAST(params ->> 'regimen_id' AS uuid) AS regimen_id "
        "FROM outbox_message WHERE state = 'sent'"
    )
    (other,) = both - {spoke["regimen_id"]}
    diary.takes(other)
    diary.fails("30003")
    diary.until(2, "09:00")

    assert diary.lines() == [f"Mon 08:40 mail: {ASKED}"]


@pytest.mark.parametrize("busy", ["sms", "email"])
def test_a_message_that_goes_at_the_second_try_still_tells_of_all(busy: str) -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.also_reads_mail()
    again = SendFailed("20429", retry=True)
    if busy == "sms":
        diary.story.phone.failing = [again]
    else:
        diary.story.phone.failing = [SendFailed("30003", retry=False)]
        diary.story.mail.failing = [again]
    diary.until(2, "09:00")

    way = {"sms": "text", "email": "mail"}[busy]
    assert [line[10:] for line in diary.lines()] == [f"{way}: {BOTH}"]


def test_all_of_them_are_told_when_the_way_they_went_is_gone() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.also_reads_mail()
    diary.until(2, "08:40")
    diary.fails(GONE)
    diary.until(2, "09:00")

    assert diary.lines() == [f"Mon 08:40 mail: {BOTH}"]


def test_what_goes_again_later_survives_another_plan() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.until(2, "08:40")
    diary.fails("30003")
    diary.writes_ladder((30, "sms", "patient"))
    diary.until(2, "09:00")

    assert diary.lines() == [f"Mon 08:50 text: {BOTH}"]


@pytest.mark.parametrize("answer", ["skip", "later 60"])
def test_what_was_answered_meanwhile_does_not_go_another_way(answer: str) -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.also_reads_mail()
    diary.until(2, "08:40")
    diary.says(answer)
    diary.fails("30003")
    diary.until(2, "09:00")

    assert diary.lines() == []


def test_a_pause_holds_what_was_to_go_again() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.until(2, "08:40")
    diary.fails("30003")
    diary.pauses("vacation", 2, 3)
    diary.until(2, "09:30")

    assert diary.lines() == []


def test_a_pause_that_ends_at_once_lets_it_go() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.until(2, "08:40")
    diary.fails("30003")
    paused = diary.pauses("vacation", 2, 3)
    with transaction() as session:
        own, now = diary.life.patient_id, diary.story.now
        assert resume(session, own, paused, actor=SYSTEM, now=now)
    diary.until(2, "09:30")

    assert diary.lines() == [f"Mon 08:50 text: {BOTH}"]


def test_without_another_way_the_next_dose_speaks_for_itself() -> None:
    diary = a_diary("standard", timing=ONCE)
    diary.also_takes()
    diary.story.phone.failing = [SendFailed("30006", retry=False)]
    diary.until(2, "08:40")

    assert diary.lines() == [f"Mon 08:30 {WRONG}", f"Mon 08:35 text: {ASKED}"]
