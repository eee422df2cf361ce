"""`people quiet-hours | pause | caregiver`, with all that follows, and wrongly."""

import pytest

from backend.database import transaction
from tests.backend.dashboards.clinic import Clinic, a_clinic_at_work
from tests.backend.desk.test_commands import audited, rows, typed


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        return a_clinic_at_work(session)


def test_the_desk_sets_quiet_hours(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    hours = ("--from", "22:00", "--until", "07:00")
    assert typed(clinic, "quiet-hours", "_", *hours) == 0
    assert typed(clinic, "quiet-hours", "_", "--from", "22:00") == 2
    assert typed(clinic, "quiet-hours", "_", "--from", "7:00", "--until", "7:00") == 2

    assert capsys.readouterr().out == "written\n"
    (row,) = rows("SELECT quiet_since, quiet_until FROM reminder_preference")
    assert tuple(row.values()) == ("22:00", "07:00")
    assert audited(clinic, "reminders_preferred")


def test_the_desk_pauses_and_ends_it(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    pause = ("pause", "begin", "_", "hospital")
    assert typed(clinic, *pause) == 0
    assert typed(clinic, *pause) == 2
    assert typed(clinic, "pause", "end", "_", "hospital") == 0
    assert typed(clinic, "pause", "end", "_", "hospital") == 0

    told = capsys.readouterr()
    assert told.out == "paused\nended\nnothing to end: no such pause\n"
    assert "covers a part of this span" in told.err
    assert audited(clinic, "reminders_paused")
    assert audited(clinic, "reminders_resumed")


def test_a_caregiver_is_named_and_told_only_after_a_consent(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ("caregiver", "add", "_", "Lena")
    consent = ("consent", "grant", "_", "caregiver", "--to", "lena")
    assert typed(clinic, *add, "--address", "0790000000") == 2
    assert typed(clinic, *consent) == 2
    assert typed(clinic, *add, "--address", "+41790000009") == 0
    assert typed(clinic, *consent) == 0
    assert typed(clinic, "caregiver", "end", "_", "Lena") == 0

    told = capsys.readouterr()
    assert "No caregiver is called lena." in told.err
    assert told.out.endswith("granted\nended\n")
    (row,) = rows("SELECT until IS NOT NULL AS ended FROM caregiver")
    assert row["ended"]
    assert audited(clinic, "caregiver_named")
