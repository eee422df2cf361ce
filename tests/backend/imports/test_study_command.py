"""`import study` and `report implementation` as somebody types them, also wrongly."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from backend.__main__ import main
from backend.database.address import Addresses
from tests.backend.imports.generated import generate
from tests.backend.imports.studies import (
    PROJECT,
    SMALL,
    ZURICH,
    asked,
    command,
    imported,
    write_study,
)

MEGABYTE = 2**20


def words(folder: Path, *more: str) -> tuple[str, ...]:
    return ("import", "study", str(folder), "--study", "trial", *more)


def peak(arguments: Sequence[str]) -> int:
    """Run a command, which must end well, and return the most memory it had."""
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", *arguments],
        cwd=PROJECT,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


def test_an_import_tells_what_was_new_and_what_was_refused(
    db: Addresses, tmp_path: Path
) -> None:
    write_study(tmp_path, events=SMALL["events"] + "A,M7,2024-05-01T08:00:00\n")

    strict = command(*words(tmp_path, "--zone", ZURICH, "--strict"))
    lenient = command(*words(tmp_path, "--zone", ZURICH))

    assert strict.returncode == 2
    assert strict.stderr.splitlines() == [
        "trial_events.csv:7: EMInfo knows no monitor 'M7' of patient 'A'",
        "import: 1 rows cannot be used, so nothing was imported.",
    ]
    assert lenient.returncode == 1
    assert lenient.stderr.splitlines()[-1] == (
        "5 openings read; new: 2 patients, 2 monitors, 2 regimens, 3 regimen versions, "
        "2 spans of use, 2 corrections of days, 1 spans not monitored, 5 openings; "
        "1 rows refused, 0 warnings"
    )


@pytest.mark.parametrize(
    ("part", "content", "zone", "why"),
    [
        ("events", "", ZURICH, "trial_events.csv: the file is empty"),
        ("events", "a,b\n1,2\n", ZURICH, "no column PatientCode, Monitor, Date"),
        ("Regimen", None, ZURICH, "no file Regimen.csv"),
        ("EMInfo", "\0", ZURICH, "trial_EMInfo.csv: its first line holds a NUL"),
        ("EMInfo", SMALL["EMInfo"], "Mars/Base", "no time zone is called 'Mars/Base'"),
    ],
)
def test_what_cannot_be_imported_at_all_is_one_line_and_exit_code_two(
    db: Addresses,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    part: str,
    content: str | None,
    zone: str,
    why: str,
) -> None:
    write_study(tmp_path, **{part: content})

    assert main([*words(tmp_path, "--zone", zone)]) == 2

    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    assert why in told
    assert asked("SELECT count(*) FROM clinic") == [(0,)]


def test_a_report_is_written_whole_or_not_at_all(
    db: Addresses, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported(write_study(tmp_path / "study"))
    table = ("report", "implementation", "--study", "trial")

    assert main([*table, "--from", "2024-05-02", "--to", "2024-05-02"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "PatientCode,Monitor,Date,RecordedOpenings,AddedOpenings,CorrectedOpenings,"
        "ExpectedOpenings,NonMonitored,Implementation",
        "A,M1,2024-05-02,2,-1,1,1,False,1.0",
        "B,M2,2024-05-02,0,0,0,0,False,NA",
    ]
    assert main([*table, "--rule", "cleanadh"]) == 0
    assert capsys.readouterr().out.splitlines()[-2] == (
        "B,M2,2024-05-02,0,0,0,0,False,1.0"
    )
    for wrong, why in (
        (("--from", "May"), "--from is a date like"),
        (("--from", "2024-05-02", "--to", "2024-05-01"), "lies after --to"),
        (("-o", str(tmp_path / "no" / "where.csv")), "cannot write"),
        (("--study", "none"), "No study of this name was imported."),
    ):
        assert main([*table, *wrong]) == 2
        told = capsys.readouterr()
        assert (told.out, len(told.err.splitlines())) == ("", 1)
        assert why in told.err
    assert [path.name for path in tmp_path.iterdir()] == ["study"]


@pytest.mark.slow
def test_two_hundred_thousand_openings_take_no_more_memory_than_two(
    db: Addresses, tmp_path: Path
) -> None:
    small = peak(words(write_study(tmp_path / "small"), "--zone", ZURICH))
    big = tmp_path / "big"
    big.mkdir()
    generate(big, rows=200_000)

    used = peak(("import", "study", str(big), "--study", "big", "--zone", ZURICH))

    assert used < small + 40 * MEGABYTE
    assert asked("SELECT count(*) FROM dose_event WHERE label = 'therapeutic'") == [
        (200_000 + 4,)
    ]


@pytest.mark.soak
def test_ten_million_openings_in_bounded_memory(db: Addresses, tmp_path: Path) -> None:
    rows = generate(tmp_path, rows=10_000_000)
    arguments = words(tmp_path, "--zone", ZURICH)

    assert peak(arguments) < 400 * MEGABYTE
    assert asked("SELECT count(*) FROM dose_event") == [(rows,)]
    assert peak(arguments) < 400 * MEGABYTE
    assert asked("SELECT count(*) FROM dose_event") == [(rows,)]
