import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from analytics.__main__ import main
from tests.analytics.golden import rows

Printed = Callable[..., list[dict[str, str]]]


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Printed:
    def run(*argv: str) -> list[dict[str, str]]:
        assert main(["electronic-monitoring", *argv]) == 0
        return list(csv.DictReader(capsys.readouterr().out.splitlines()))

    return run


@pytest.fixture
def times(tmp_path: Path) -> Callable[..., str]:
    def write(*lines: str, name: str = "times.csv") -> str:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    return write


Times = Callable[..., str]


def by_name(table: list[dict[str, str]]) -> dict[str, dict[str, str]]:
    return {row["measure"]: row for row in table}


def test_every_measure_is_printed_with_what_it_rests_on(
    printed: Printed, times: Times
) -> None:
    file = times("date", *(f"2026-03-{n:02}T08:00:00" for n in range(2, 12) if n != 5))

    got = by_name(printed(file, "--acts-for", "36h"))

    taking = got["taking adherence, capped"]
    assert float(taking["value"]) == 0.9
    assert taking["interval"] == "Wilson, effective n 10.0"
    assert (taking["doses"], taking["monitored_days"]) == ("9", "10")
    assert got["longest gap"]["low"] == "NA"
    assert got["therapeutic coverage"]["parameters"] == "acts_for_s=129600.0"
    assert float(got["therapeutic coverage"]["numerator"]) == pytest.approx(
        9.2917, abs=1e-4
    )


def test_each_patient_has_rows_and_spans_of_their_own(
    printed: Printed, times: Times
) -> None:
    file = times(
        "patient,when",
        *(f"b,2026-03-{n:02} 08:00" for n in range(2, 7)),
        *(f"a,2026-03-{n:02} 08:00" for n in (2, 6)),
    )
    spans = times("patient,start,end", "a,2026-03-03,2026-03-05", name="away.csv")

    got = printed(file, "--columns", "date=when", "--non-monitored", spans)

    taking = [r for r in got if r["measure"] == "taking adherence, capped"]
    assert [(r["id"], r["value"], r["unknown_days"]) for r in taking] == [
        ("a", "1", "3"),
        ("b", "1", "0"),
    ]


def test_two_monitors_of_a_patient_are_apart_and_away_together(
    printed: Printed, times: Times
) -> None:
    file = times(
        "PatientCode,Monitor,Date",
        *(f"a,X,2026-03-0{n}T08:00:00" for n in (2, 3, 6)),
        *(f"a,Y,2026-03-0{n}T08:00:00" for n in (2, 6)),
    )
    spans = times(
        "PatientCode,Monitor,StartDate,EndDate",
        "a,Y,2026-03-03,2026-03-03",
        name="away.csv",
    )
    everywhere = times("id,start,end", "a,2026-03-04,2026-03-05", name="all.csv")

    own = printed(file, "--non-monitored", spans)
    both = printed(file, "--non-monitored", everywhere)

    def taking(table: list[dict[str, str]]) -> list[tuple[str, str]]:
        return [
            (row["id"], f"{row['numerator']}/{row['denominator']}")
            for row in table
            if row["measure"] == "taking adherence, capped"
        ]

    assert taking(own) == [("a/X", "3/5"), ("a/Y", "2/4")]
    assert taking(both) == [("a/X", "3/3"), ("a/Y", "2/3")]


def test_times_with_an_offset_are_placed_on_the_patients_day(
    printed: Printed, times: Times
) -> None:
    file = times("date", "2026-03-02T01:30:00Z", "2026-03-03T02:30:00Z")

    [row, _] = printed(file, "--zone", "Europe/Zurich", "--table", "openings")
    periods = printed(file, "--zone", "Europe/Zurich", "--table", "periods")

    assert row == {"timestamps": "2026-03-02 02:30:00", "excluded": "0"}
    assert [(p["day"], p["opens"]) for p in periods] == [
        ("2026-03-01", "1"),
        ("2026-03-02", "0"),
        ("2026-03-03", "1"),
    ]


def test_twelve_hours_apart_is_two_periods_a_day(
    printed: Printed, times: Times
) -> None:
    file = times("date", "2026-03-02 23:00", "2026-03-03 11:00")

    got = printed(
        *(file, "--every", "12h", "--day-start", "22:00"),
        *("--weekdays", "mon", "--table", "periods"),
    )

    assert [",".join(row.values()) for row in got] == [
        "1,2026-03-02,2026-03-02 22:00:00,2026-03-03 09:59:59,1,0,TRUE,1,1",
        "2,2026-03-02,2026-03-03 10:00:00,2026-03-03 21:59:59,1,0,TRUE,1,1",
    ]


@pytest.mark.parametrize(
    ("lines", "argv", "why"),
    [
        (
            ["date", "2026-03-02", "noon"],
            [],
            "line 3, column date: 'noon' is not a time",
        ),
        (["time", "2026-03-02"], [], "want a column of times"),
        (["date"], [], "holds no opening"),
        (["date", "2026-03-02"], ["--columns", "date=when"], "no column 'when'"),
        (["date", "2026-03-02"], ["--every", "7h"], "divides a day"),
        (["date", "2026-03-02"], ["--from", "2026-03-05"], "lies after the last"),
        (["date", "2026-03-02"], ["--table", "patients"], "has no table patients"),
        (
            ["date", "2026-03-02"],
            ["--non-monitored", "none.csv"],
            "none.csv: No such file",
        ),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_2(
    lines: list[str],
    argv: list[str],
    why: str,
    times: Times,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["electronic-monitoring", times(*lines), *argv]) == 2

    said = capsys.readouterr().err
    assert why in said
    assert said.count("\n") == 1


def test_a_span_that_ends_before_it_starts_is_named(
    times: Times, capsys: pytest.CaptureFixture[str]
) -> None:
    spans = times("start,end", "2026-03-05,2026-03-04", name="away.csv")

    argv = [times("date", "2026-03-02"), "--non-monitored", spans]

    assert main(["electronic-monitoring", *argv]) == 2
    assert "line 2, column end: ends 2026-03-04" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "word"),
    [
        ("--every", "soon"),
        ("--doses-per-day", "0"),
        ("--zone", "Mars/Olympus"),
        ("--weekdays", "moonday"),
        ("--columns", "colour=red"),
        ("--rule", "mine"),
    ],
)
def test_a_wrong_option_says_so(
    option: str, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["electronic-monitoring", "times.csv", option, word])

    assert left.value.code == 2
    assert option in capsys.readouterr().err


def test_a_file_is_written_whole_or_not_at_all(
    times: Times, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, out = times("date", "2026-03-02"), tmp_path / "out.csv"

    assert main(["electronic-monitoring", file, "-o", str(out)]) == 0
    nowhere = str(tmp_path / "none" / "out.csv")
    assert main(["electronic-monitoring", file, "-o", nowhere]) == 2

    assert rows(out)[0]["measure"] == "taking adherence, capped"
    assert "No such file" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "times.csv"]


@pytest.mark.golden
def test_prints_the_tables_of_oncmap(
    golden: Callable[[str], Path], printed: Printed, times: Times
) -> None:
    run = "adherence/electronic_monitoring/oncmap_ecap2xls_daily1"
    told = golden(f"{run}_timestamps.csv")
    lines = "start,end", "2020-05-10,2020-05-20", "2020-06-06,2020-06-13"
    spans = times(*lines, name="away.csv")
    argv = (str(told), "--doses-per-day", "1", "--day-start", "00:00")
    argv += ("--from", "2020-03-21", "--to", "2020-07-27", "--non-monitored", spans)

    assert printed(*argv, "--table", "openings") == rows(told)
    assert printed(*argv, "--table", "periods") == rows(golden(f"{run}_periods.csv"))


@pytest.mark.golden
@pytest.mark.parametrize(
    ("table", "file"),
    [
        ("monitors", "out_by_monitor"),
        ("patients", "out_by_patient"),
        ("monitor-means", "out_summary_by_monitor"),
        ("patient-means", "out_summary_by_patient"),
    ],
)
def test_prints_the_tables_of_cleanadh(
    golden: Callable[[str], Path], printed: Printed, table: str, file: str
) -> None:
    folder = golden("adherence/electronic_monitoring")

    got = printed(str(folder), "--rule", "cleanadh", "--table", table)

    def key(row: dict[str, str]) -> tuple[str, ...]:
        done = row["Implementation"]
        worth = "NA" if done in ("", "NA") else f"{float(done):.12f}"
        return (*(row[name] for name in got[0] if name != "Implementation"), worth)

    assert sorted(map(key, got)) == sorted(
        map(key, rows(folder / f"cleanadh_{file}.csv"))
    )
