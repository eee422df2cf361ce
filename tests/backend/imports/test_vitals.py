"""Wearable files in: what real ones hold, and what nobody should have put there."""

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sqlalchemy import text

from analytics.records import Series
from backend.__main__ import main
from backend.database import transaction
from backend.errors import Refused
from backend.imports.refusals import NothingImported, Refusals
from backend.imports.table import UnreadableFile
from backend.imports.vital_mapping import Layout, UnusableMapping, load
from backend.imports.vitals import Imported, import_vitals
from backend.people.identifiers import Identifier, find
from backend.people.tables import Clinic
from backend.vitals.read import read
from tests.builders import NOW, a_clinic

HEART = "8867-4"
MINUTES = """
person = "who"
at = "time"
zone = "Europe/Zurich"
vital = [{ column = "hr", code = "8867-4", unit = "/min", missing = [0] },
         { column = "temp", code = "8310-5", unit = "Cel" }]
"""


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        return a_clinic(session)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    mapping = tmp_path / "minutes.toml"
    mapping.write_text(MINUTES)
    return load(str(mapping))


class Importer:
    """Imports text as a file and keeps what was said of its rows."""

    def __init__(self, clinic: Clinic, layout: Layout, folder: Path) -> None:
        self._clinic, self._layout, self._folder = clinic, layout, folder
        self.said: list[str] = []

    def __call__(
        self, content: str | bytes, *, name: str = "f.csv", strict: bool = False
    ) -> Imported:
        path = self._folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        self.said.clear()
        return import_vitals(
            path,
            self._layout,
            clinic=self._clinic,
            source="acme",
            now=NOW,
            refusals=Refusals(self.said.append),
            strict=strict,
        )

    def stored(self, person: str, code: str = HEART) -> list[tuple[str, float]]:
        """What is stored of a person, as local times and values."""
        series = series_of(self._clinic, "acme", person, code)
        times = [datetime.fromtimestamp(at / 1e6, UTC) for at in series.times.tolist()]
        zone = self._layout.tz
        return [
            (at.astimezone(zone).strftime("%m-%d %H:%M"), value)
            for at, value in zip(times, series.values.tolist(), strict=True)
        ]


@pytest.fixture
def importer(clinic: Clinic, layout: Layout, tmp_path: Path) -> Importer:
    return Importer(clinic, layout, tmp_path)


def series_of(clinic: Clinic, source: str, person: str, code: str) -> Series:
    with transaction() as session:
        patient_id = find(session, clinic.clinic_id, Identifier(source, person))
        assert patient_id is not None
        return read(
            session,
            [patient_id],
            code,
            first=datetime(1990, 1, 1, tzinfo=UTC),
            until=NOW + timedelta(days=9999),
            reader=None,
            now=NOW,
        )[patient_id]


GOOD = "who,time,hr,temp\nro,2026-03-01T08:00,60,\nro,2026-03-01T08:01,61,36.6\n"


def test_rows_become_series_of_new_people(importer: Importer) -> None:
    assert importer(GOOD) == Imported(new=3, known=0, people=1)

    assert importer.stored("ro") == [("03-01 08:00", 60), ("03-01 08:01", 61)]
    assert importer.stored("ro", "8310-5") == [("03-01 08:01", 36.6)]


def test_the_same_rows_under_another_name_change_nothing(importer: Importer) -> None:
    importer(GOOD)

    lines = GOOD.splitlines()
    turned = "\n".join([lines[0], *reversed(lines[1:])])
    assert importer(turned, name="other.csv") == Imported(new=0, known=3, people=0)


def test_state_screening_and_audit_follow(importer: Importer) -> None:
    importer(GOOD)

    with transaction() as session:
        ask = session.connection().execute
        state = ask(text("SELECT vitals FROM patient_state")).scalar_one()
        assert state[HEART]["value"] == 61
        assert ask(text("SELECT count(*) FROM screen_due")).scalar_one() == 1
        done = ask(text("SELECT detail FROM audit_row WHERE action='vitals_imported'"))
        assert done.scalar_one()["samples"] == 3


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.replace("\n", "\r\n").encode(),
        GOOD.replace("ro,", '"ro",').replace("who", '"who"').encode(),
        GOOD.rstrip("\n").encode(),
        b"x,time,temp,who,hr\n,2026-03-01T08:00,,ro,60\n,2026-03-01T08:01,36.6,ro,61\n",
        GOOD.replace("08:00", "07:00Z").replace("60,\n", "60,NaN\n").encode(),
    ],
    ids=["bom", "crlf", "quotes", "no last newline", "other columns", "offsets, NaN"],
)
def test_the_same_rows_as_other_programs_write_them(
    importer: Importer, content: bytes
) -> None:
    assert importer(content) == Imported(new=3, known=0, people=1)
    assert importer.stored("ro") == [("03-01 08:00", 60), ("03-01 08:01", 61)]
    assert importer.said == []


BAD = [
    ("ro,2026-03-02,abc,", "hr: 'abc' is no number"),
    ("ro,2026-03-02,1_0,", "hr: '1_0' is no number"),
    ("ro,2026-03-02,600,", "hr: '600' is no heart rate (5 to 400 /min)"),
    ("ro,2026-03-02,inf,", "hr: 'inf' is no heart rate (5 to 400 /min)"),
    ("ro,2026-02-30,60,", "'2026-02-30' is no time that can be"),
    ("ro,,60,", "'' is no time that can be"),
    ("ro,2027-01-01,60,", "'2027-01-01' is in the future"),
    ("ro,1901-01-01,60,", "'1901-01-01' is before 1990"),
    (",2026-03-02,60,", "no person"),
    ("r" * 129 + ",2026-03-02,60,", "a person's id of more than 128 characters"),
    ("ro,2026-03-02,60", "want 4 cells, got 3"),
    ('ro,2026-03-02,"60,', "quotes that do not close as they should"),
    ("ro,2026-03-01T08:00,99,", "another value for this person and time in line 2"),
    ("ro,2026-03-02," + "6" * 100_000 + ",", "is longer than 65,536 characters"),
]


@pytest.mark.parametrize(("row", "why"), BAD, ids=[why[:30] for _, why in BAD])
def test_a_bad_row_is_told_by_line_and_the_others_are_kept(
    importer: Importer, row: str, why: str
) -> None:
    assert importer(f"{GOOD}{row}\nro,2026-03-01T08:02,62,\n").new == 4

    assert importer.said == [f"f.csv:4: {why}"]
    assert importer.stored("ro")[-1] == ("03-01 08:02", 62)


def test_bytes_that_are_no_text_spoil_their_row_only(importer: Importer) -> None:
    assert importer(GOOD.encode() + b"r\xff,2026-03-02,60,\n").new == 3
    assert importer.said == ["f.csv:4: is not UTF-8"]


def test_a_row_that_comes_twice_counts_as_known(importer: Importer) -> None:
    assert importer(GOOD + "ro,2026-03-01T08:00,60,\n") == Imported(3, 1, 1)
    assert importer.said == []


def test_strict_imports_all_or_nothing(importer: Importer) -> None:
    with pytest.raises(NothingImported, match="1 rows"):
        importer(GOOD + "ro,never,60,\n", strict=True)

    with transaction() as session:
        ask = session.connection().execute
        assert ask(text("SELECT count(*) FROM patient")).scalar_one() == 0
        assert ask(text("SELECT count(*) FROM vital_source")).scalar_one() == 0

    assert importer(GOOD, strict=True).new == 3


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "empty"),
        ("who,time,hr\n", "no column temp"),
        ("who,hr\n1,2\n", "no column"),
    ],
    ids=["empty", "a column short", "two short"],
)
def test_a_file_without_its_columns_is_refused(
    importer: Importer, content: str, why: str
) -> None:
    with pytest.raises(UnreadableFile, match=why):
        importer(content)


@pytest.mark.parametrize(
    ("time", "cell"),
    [
        ("unix", "1772348400"),
        ("unix_ms", "1772348400000"),
        ("%d.%m.%Y %I:%M %p", "01.03.2026 08:00 AM"),
    ],
)
def test_times_are_written_in_many_ways(
    clinic: Clinic, tmp_path: Path, time: str, cell: str
) -> None:
    mapping = tmp_path / "m.toml"
    mapping.write_text(f'time = "{time}"\n{MINUTES}')
    importer = Importer(clinic, load(str(mapping)), tmp_path)

    importer(f"who,time,hr,temp\nro,{cell},60,\n")

    assert importer.stored("ro") == [("03-01 08:00", 60)]


@pytest.mark.parametrize(
    ("mapping", "why"),
    [
        ("person =", "is not TOML"),
        (MINUTES.replace("8867-4", "1-1"), "no vital that is stored"),
        (MINUTES.replace("/min", "Hz"), "stored in /min"),
        (MINUTES.replace("who", "time"), "named twice"),
        (MINUTES.replace("vital", "vitals"), "vital"),
        (MINUTES.replace("Zurich", "Atlantis"), "No time zone"),
    ],
    ids=["no toml", "code", "unit", "twice", "key", "zone"],
)
def test_a_mapping_is_checked_before_anything_is_read(
    tmp_path: Path, mapping: str, why: str
) -> None:
    path = tmp_path / "m.toml"
    path.write_text(mapping)

    with pytest.raises(Refused, match=why):
        load(str(path))


def test_an_unknown_mapping_names_those_there_are() -> None:
    with pytest.raises(UnusableMapping, match="lifesnaps"):
        load("nothing-like-it")


@pytest.mark.golden
def test_lifesnaps_is_imported_whole(
    clinic: Clinic,
    golden: Callable[[str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = golden("vitals/resting_heart_rate/lifesnaps_daily.csv")
    command = ["import", "vitals", str(path), "--source", "lifesnaps"]

    assert main(command) == 0
    people = pl.read_csv(path, infer_schema_length=None)
    new = f"16,155 samples new, 0 known, {people['id'].n_unique()} people new"
    assert capsys.readouterr().err.strip() == f"{new}, 0 rows refused"
    assert main(command) == 0
    assert "0 samples new, 16,155 known, 0 people new" in capsys.readouterr().err

    for (person,), rows in people.drop_nulls("resting_hr").group_by("id"):
        series = series_of(clinic, "lifesnaps", str(person), "40443-4")
        days = rows.sort("date")
        assert np.array_equal(series.values, days["resting_hr"].to_numpy())
        dates = days["date"].str.to_datetime(time_unit="us").to_numpy()
        assert np.array_equal(series.times.astype("datetime64[us]"), dates)


def test_the_command_says_what_it_refused(
    clinic: Clinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "m.toml").write_text(MINUTES)
    (tmp_path / "f.csv").write_text(GOOD + "ro,never,60,\n")
    command = ["import", "vitals", str(tmp_path / "f.csv"), "--source", "acme"]
    command += ["--map", str(tmp_path / "m.toml"), "--clinic", clinic.name]

    assert main([*command, "--strict"]) == 2
    assert main(command) == 1
    said = capsys.readouterr().err
    assert "f.csv:4: 'never' is no time that can be" in said
    assert "3 samples new, 0 known, 1 people new, 1 rows refused" in said
    assert main([*command[:2], str(tmp_path / "no.csv"), *command[3:]]) == 2


LARGE = """
import sys
from pathlib import Path
from backend.imports.refusals import Refusals
from backend.imports.vital_mapping import load
from backend.imports.vitals import import_vitals, the_clinic
from backend.clock import real_now
done = import_vitals(
    Path(sys.argv[1]), load(sys.argv[2]), clinic=the_clinic(None), source="big",
    now=real_now(), refusals=Refusals(print),
)
# Not getrusage: that begins with what the parent had when it forked.
status = Path("/proc/self/status").read_text()
print(done.new, int(status.split("VmHWM:")[1].split()[0]) // 1024)
"""


def in_a_process(folder: Path, rows: int) -> tuple[int, int]:
    """Import so many minutes of 50 people; return the samples and the RSS in MiB."""
    mapping, path = folder / "m.toml", folder / "large.csv"
    mapping.write_text('time = "unix"\n' + MINUTES)
    with path.open("w") as file:
        file.write("who,time,hr,temp\n")
        for minute in range(rows // 50):
            at = 1_600_000_000 + 60 * minute
            file.writelines(f"p{who},{at},{60 + at % 40},\n" for who in range(50))
    done = subprocess.run(
        [sys.executable, "-c", LARGE, str(path), str(mapping)],
        check=True,
        capture_output=True,
        text=True,
    )
    samples, mebibytes = done.stdout.split()
    return int(samples), int(mebibytes)


def test_memory_does_not_grow_with_the_file(clinic: Clinic, tmp_path: Path) -> None:
    small, little = in_a_process(tmp_path, 50_000)
    large, more = in_a_process(tmp_path, 250_000)

    assert (small, large) == (50_000, 200_000)
    assert more < 500
    assert more < little + 100


@pytest.mark.soak
def test_ten_million_rows_fit_in_memory(clinic: Clinic, tmp_path: Path) -> None:
    samples, mebibytes = in_a_process(tmp_path, 10_000_000)

    assert samples == 10_000_000
    assert mebibytes < 500
