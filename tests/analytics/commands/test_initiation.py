"""The command on prescribing and dispensing data, against AdhereR and by hand."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from analytics.__main__ import main

Golden = Callable[[str], Path]
KEYS = ["ID", "ATC.CODE", "FORM", "UNIT", "episode.start"]
PRESCRIBED = """\
who,what,on
a,x,2026-01-01
a,x,2026-02-01
b,x,2026-01-01
c,x,2026-01-01
d,x,2026-03-25
a,y,2026-01-01
"""
DISPENSED = """\
who,what,given
a,x,2026-01-01
a,x,2026-03-01
b,x,2026-02-15
c,x,2025-12-01
a,z,2026-01-02
b,x,2026-03-31
"""
NAMED = "--columns", "id=who,prescribed=on,dispensed=given", "--medicine", "what"


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    paths = tmp_path / "prescribed.csv", tmp_path / "dispensed.csv"
    for path, text in zip(paths, (PRESCRIBED, DISPENSED), strict=True):
        path.write_text(text)
    return str(paths[0]), str(paths[1])


def test_the_reference_is_reproduced(golden: Golden, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    data = golden("adherence/data/durcomp_prescribing.csv").parent

    files = [
        str(data / f"durcomp_{name}.csv") for name in ("prescribing", "dispensing")
    ]
    assert main(["initiation", *files, "-o", str(out)]) == 0

    want = golden("adherence/cma/time_to_initiation_durcomp.csv")
    got, wanted = (
        pl.read_csv(path, infer_schema=False, null_values="NA").sort(KEYS)
        for path in (out, want)
    )
    assert got.columns == wanted.columns
    assert got.equals(wanted)


def test_each_prescription_is_answered_by_the_next_supply_of_its_medicine(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["initiation", *files, *NAMED]) == 0

    assert capsys.readouterr().out == (
        "who,what,episode.start,first.disp,time.to.initiation\n"
        "a,x,2026-01-01,2026-01-01,0\n"
        "a,x,2026-02-01,2026-03-01,28\n"
        "b,x,2026-01-01,2026-02-15,45\n"
        "c,x,2026-01-01,NA,NA\n"
        "d,x,2026-03-25,NA,NA\n"
        "a,y,2026-01-01,NA,NA\n"
    )


def test_who_is_not_new_or_was_not_observed_for_long_enough_is_unknown(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    # a/x in time; b/x and a/y too late or never; c/x before; d/x seen for six days only
    options = "--table", "summary", "--within", "1 month"

    assert main(["initiation", *files, *NAMED, *options]) == 0

    header, row = capsys.readouterr().out.splitlines()
    cells = dict(zip(header.split(","), row.split(","), strict=True))
    assert (cells["initiated"], cells["not.initiated"], cells["unknown"]) == (
        "1",
        "2",
        "2",
    )
    assert float(cells["initiation"]) == 1 / 3
    assert 0 < float(cells["low"]) < 1 / 3 < float(cells["high"]) < 1


def test_a_day_that_is_none_is_named(
    files: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(files[1]).write_text(DISPENSED.replace("2025-12-01", "soon"))

    assert main(["initiation", *files, *NAMED]) == 2

    said = capsys.readouterr().err
    assert "line 5, column given: 'soon' is not a date like %Y-%m-%d" in said
