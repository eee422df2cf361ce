import csv
from pathlib import Path

import pytest

from analytics.__main__ import main


def printed(capsys: pytest.CaptureFixture[str], *argv: str) -> list[dict[str, str]]:
    assert main(argv) == 0
    return list(csv.DictReader(capsys.readouterr().out.splitlines()))


def test_a_study_without_its_regimens_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x_events.csv").write_text("PatientCode,Monitor,Date\n")

    assert main(["electronic-monitoring", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "want one file *_Regimen.csv" in said
    assert said.count("\n") == 1


def test_a_wrong_option_is_one_line_and_exit_2(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["detect", "file.csv", "--colour"])

    assert left.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_detect_marks_the_second_day_of_a_change(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "daily.csv"
    lines = [f"p,2026-03-{n:02},{60 + n % 2 + 9 * (n > 28)}" for n in range(1, 31)]
    file.write_text("\n".join(["id,date,resting_hr", *lines, "p,2026-03-31,0"]))

    got = printed(capsys, "detect", str(file))

    assert len(got) == 30
    assert [row["date"] for row in got if row["finding"] == "True"] == ["2026-03-30"]
    assert got[0]["score"] == "NA"
