"""`prescribe` as a clinician types it: a file becomes a regimen, or a version."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import RowMapping

from backend.__main__ import main
from backend.clock import domain_now
from backend.database import transaction
from backend.database.sets import fetch
from tests.backend.dashboards.clinic import Clinic, a_clinic_at_work

Type = Callable[..., int]


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        return a_clinic_at_work(session)


@pytest.fixture
def typed(clinic: Clinic, tmp_path: Path) -> Type:
    """A function that types the command with a file that holds this JSON."""

    def type_(written: object, *options: str, by: str | None = None) -> int:
        file = tmp_path / "prescription.json"
        file.write_text(json.dumps(written), "utf-8")
        who = ["--by", by or clinic.clinician]
        return main(["prescribe", str(clinic.patient_id), str(file), *who, *options])

    return type_


def rows(statement: str) -> Sequence[RowMapping]:
    with transaction() as session:
        return fetch(session, statement)


def regimens() -> list[Mapping[str, object]]:
    return [
        dict(row)
        for row in rows(
            """SELECT g.drug, v.version, v.timing ->> 'kind' AS kind, v.amount, v.unit,
                v.least_apart_s
            FROM regimen_version v JOIN regimen g USING (patient_id, regimen_id)
            WHERE g.drug <> 'exemplin' ORDER BY v.version"""
        )
    ]


def tomorrow() -> str:
    return f"{domain_now() + timedelta(days=1):%Y-%m-%d}"


def dose(amount: int, repeat: Mapping[str, object], sequence: int) -> object:
    return {
        "sequence": sequence,
        "timing": {"repeat": {"timeOfDay": ["08:00:00"], **repeat}},
        "doseAndRate": [{"doseQuantity": {"value": amount, "code": "mg"}}],
    }


def a_taper() -> object:
    days = {"boundsDuration": {"value": 2, "code": "d"}}
    return {
        "resourceType": "MedicationRequest",
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "prednisone"},
        "dosageInstruction": [dose(40, days, 1), dose(30, days, 2)],
    }


def test_a_request_becomes_a_regimen_with_doses_and_reminders(
    typed: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(a_taper(), "--from", tomorrow(), "--criticality", "high") == 0

    first, said, *due = capsys.readouterr().out.splitlines()
    assert first.startswith("regimen ")
    assert first.endswith("/1")
    assert said.startswith("40 mg, mornings at 08:00, from ")
    assert ", 2 days; then 30 mg, mornings at 08:00, from " in said
    assert regimens() == [
        {
            "drug": "prednisone",
            "version": 1,
            "kind": "taper",
            "amount": None,
            "unit": None,
            "least_apart_s": None,
        }
    ]
    doses = rows(
        """SELECT d.amount, d.unit FROM scheduled_dose d JOIN regimen g
        USING (patient_id, regimen_id) WHERE g.drug = 'prednisone' ORDER BY d.due_at"""
    )
    amounts = [(int(row["amount"]), row["unit"]) for row in doses]
    assert amounts in ([(40, "mg"), (40, "mg")], [(40, "mg"), (40, "mg"), (30, "mg")])
    assert len(due) == len(amounts)
    planned = rows("SELECT dedup_key FROM outbox_message WHERE state = 'pending'")
    keys = [row["dedup_key"].split("/") for row in planned]
    reminded = {key[2] for key in keys if first[8:-2] in key}
    assert len(reminded) == len(amounts)
    assert rows("SELECT 1 FROM audit_row WHERE action = 'regimen_prescribed'")


def test_a_change_is_the_next_version_and_only_of_the_newest(
    typed: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    daily = {"kind": "clock_times", "times": ["08:00"]}
    how = ("--drug", "metformin", "--amount", "500", "--unit", "mg")
    assert typed(daily, *how) == 0
    named = capsys.readouterr().out.split()[1]
    twice = {"kind": "clock_times", "times": ["08:00", "20:00"]}
    follows = ("--replaces", named, "--reason", "not enough", *how[2:])

    assert typed(twice, *follows) == 0
    assert [row["version"] for row in regimens()] == [1, 2]
    assert typed(twice, *follows) == 2
    assert "changed meanwhile" in capsys.readouterr().err


def test_the_least_time_between_doses_is_kept_with_the_version(typed: Type) -> None:
    twice = {"kind": "clock_times", "times": ["08:00", "20:00"]}
    assert typed(twice, "--drug", "x", "--least-apart", "600") == 0

    assert [row["least_apart_s"] for row in regimens()] == [36_000]


def test_checking_says_the_same_and_writes_nothing(
    typed: Type, capsys: pytest.CaptureFixture[str]
) -> None:
    assert typed(a_taper(), "--from", tomorrow(), "--check") == 0

    assert capsys.readouterr().out.endswith("nothing was written\n")
    assert regimens() == []


@pytest.mark.parametrize(
    ("written", "options", "why"),
    [
        (a_taper(), (), "boundsDuration says how long but not from when"),
        ({"kind": "daily_count", "n": 1}, (), "names no drug"),
        ({"kind": "lunar"}, ("--drug", "x"), "no kind of timing"),
        ({"kind": "daily_count", "n": 1}, ("--drug", "x", "--amount", "?"), "a number"),
        (
            {"kind": "daily_count", "n": 1},
            ("--drug", "x", "--replaces", "it"),
            "REGIMEN/VERSION",
        ),
        (
            {"kind": "daily_count", "n": 1},
            ("--drug", "x", "--from", "2026-03-04", "--until", "2026-03-01"),
            "ends after it begins",
        ),
        (
            {"kind": "clock_times", "times": ["08:00", "20:00"]},
            ("--drug", "x", "--least-apart", "721"),
            "at most the time between two of them, 720 minutes",
        ),
        (
            {"kind": "clock_times", "times": ["08:00", "20:00"]},
            ("--drug", "x", "--least-apart", "9" * 20),
            "at most the time between two of them, 720 minutes",
        ),
        (
            {"kind": "daily_count", "n": 1},
            ("--drug", "x", "--after", "9" * 20),
            "between 0 s and a year",
        ),
        (
            {"kind": "daily_count", "n": 1},
            ("--drug", "x", "--before", "-1"),
            "between 0 s and a year",
        ),
        (
            {"kind": "as_needed", "most_in_24_hours": 2, "least_interval_s": None},
            ("--drug", "x", "--least-apart", "60"),
            "say how far apart",
        ),
    ],
)
def test_what_cannot_be_prescribed_is_refused_in_one_line(
    typed: Type,
    capsys: pytest.CaptureFixture[str],
    written: object,
    options: Sequence[str],
    why: str,
) -> None:
    assert typed(written, *options) == 2

    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert why in err
    assert regimens() == []


def test_only_a_clinician_of_the_clinic_prescribes(
    typed: Type, clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    daily = {"kind": "daily_count", "n": 1}

    assert typed(daily, "--drug", "x", by=clinic.operator) == 2
    assert "No clinician signs in as" in capsys.readouterr().err
    assert typed(daily, "--drug", "x", by=clinic.stranger) == 2
    assert "No patient of this clinic" in capsys.readouterr().err
