"""What a study's import stored, read back and held against its authors' own table."""

from collections.abc import Callable
from pathlib import Path

from backend.database.address import Addresses
from tests.analytics.golden import rows
from tests.backend.imports.studies import ZURICH, command, contents

STUDY = "adherence/electronic_monitoring"
MEASURED = (
    "RecordedOpenings",
    "AddedOpenings",
    "CorrectedOpenings",
    "ExpectedOpenings",
    "NonMonitored",
    "Implementation",
)


def test_a_study_imported_twice_reads_back_as_its_authors_have_it(
    db: Addresses, golden: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = golden(STUDY)
    words = ("import", "study", str(folder), "--study", "cleanadh", "--zone", ZURICH)
    first = command(*words)
    assert first.returncode == 0, first.stderr
    stored = contents()

    second = command(*words)
    assert second.returncode == 0
    assert "new: nothing" in second.stderr
    assert contents() == stored

    table = tmp_path / "table.csv"
    done = command(
        *("report", "implementation", "--study", "cleanadh", "--rule", "cleanadh"),
        *("--from", "2015-09-12", "--to", "2021-02-01", "-o", str(table)),
    )
    assert (done.returncode, done.stderr) == (0, "")

    wanted = {_key(row): _measured(row) for row in rows(folder / OUT)}
    got = {_key(row): _measured(row) for row in rows(table)}
    assert len(wanted) == 3367
    assert sum(row["ExpectedOpenings"] == "0" for row in wanted.values()) == 427
    assert sum(row["NonMonitored"] == "True" for row in wanted.values()) == 65
    assert got == wanted


OUT = "cleanadh_out_by_monitor.csv"


def _key(row: dict[str, str]) -> tuple[str, str, str]:
    return row["PatientCode"], row["Monitor"], row["Date"]


def _measured(row: dict[str, str]) -> dict[str, str]:
    return {name: row[name] or "NA" for name in MEASURED}
