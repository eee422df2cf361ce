"""Small studies written to a folder, and what a whole database holds."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from backend.database import transaction
from backend.imports.study import Summary, import_study
from backend.reports.implementation import implementation_report

PROJECT = Path(__file__).parents[3]
NOW = datetime(2026, 3, 4, 9, tzinfo=UTC)
ZURICH = "Europe/Zurich"

SMALL: Mapping[str, str] = {
    "events": """PatientCode,Monitor,Date
A,M1,2024-05-01T08:00:00
A,M1,2024-05-02T08:00:00
A,M1,2024-05-02T20:00:00
A,M1,2024-05-04T02:30:00
B,M2,2024-05-01T09:00:00
""",
    "EMInfo": """PatientCode,Monitor,StartDate,EndDate,Comment
A,M1,2024-05-01,2024-05-05,
B,M2,2024-05-01,2024-05-03,
""",
    "Regimen": """PatientCode,Monitor,ExpectedOpenings,StartDate,EndDate,On,Off
A,M1,1,2024-05-01,2024-05-03,,
A,M1,2,2024-05-04,2024-05-05,,
B,M2,1,2024-05-01,2024-05-03,1.0,1.0
""",
    "EMCovariables": """PatientCode,Monitor,StartDate,EndDate,Cyclic,DCI
A,M1,2024-05-01,2024-05-05,0,Exemplin
""",
    "NonMonitoredPeriods": """PatientCode,Monitor,StartDate,EndDate,Comments
A,M1,2024-05-05,2024-05-05,Holiday
""",
    "AddedOpenings": """PatientCode,Monitor,Date,AddedOpenings,Comments
A,M1,2024-05-02,-1,PharmaOpening
A,M1,2024-05-03,1,Pocket dose
""",
}


def write_study(folder: Path, **parts: str | None) -> Path:
    """Write the small study with some files replaced or (None) left out."""
    folder.mkdir(exist_ok=True)
    for part, words in {**SMALL, **parts}.items():
        path = folder / f"trial_{part}.csv"
        path.unlink(missing_ok=True)
        if words is not None:
            path.write_text(words)
    return folder


def imported(folder: Path, **options: object) -> tuple[Summary, list[str]]:
    """Import a folder and return what was done and what was said."""
    said: list[str] = []
    chosen: dict[str, object] = {"name": "trial", "zone": ZURICH, "now": NOW} | options
    done = import_study(folder, **chosen, real=NOW, say=said.append)  # pyright: ignore[reportArgumentType]
    return done, said


def reported() -> dict[str, str]:
    """Return the report of the small study: code, monitor, day to the rest."""
    with transaction() as session:
        days = implementation_report(session, "trial", now=NOW)
        rows = [list(day.cells()) for day in days]
    return {" ".join(row[:3]): " ".join(row[3:]) for row in rows}


AS_WRITTEN = {
    "A M1 2024-05-01": "1 0 1 1 False 1.0",
    "A M1 2024-05-02": "2 -1 1 1 False 1.0",
    "A M1 2024-05-03": "1 1 2 1 False 1.0",  # 02:30 of the fourth is its night
    "A M1 2024-05-04": "0 0 0 2 False 0.0",
    "A M1 2024-05-05": "0 0 0 2 True NA",
    "B M2 2024-05-01": "1 0 1 1 False 1.0",
    "B M2 2024-05-02": "0 0 0 0 False NA",  # a day off
    "B M2 2024-05-03": "0 0 0 1 False 0.0",
}


def contents() -> dict[str, tuple[int, str]]:
    """Return the number of rows and a checksum of every table."""
    with transaction() as session:
        connection = session.connection()
        tables = connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') "
                "AND NOT relispartition AND relnamespace = 'public'::regnamespace"
            )
        ).scalars()
        found: dict[str, tuple[int, str]] = {}
        for table in tables.all():
            rows, checksum = connection.execute(
                text(
                    "SELECT count(*), md5(string_agg(md5(t::text), '' "
                    f'ORDER BY md5(t::text))) FROM "{table}" t'
                )
            ).one()
            found[table] = rows, checksum
        return found


def asked(query: str, **parameters: object) -> Sequence[tuple[object, ...]]:
    with transaction() as session:
        return [
            tuple(row) for row in session.connection().execute(text(query), parameters)
        ]


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the backend as somebody at a terminal would."""
    return subprocess.run(
        [sys.executable, "-m", "backend", *words],
        cwd=PROJECT,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
