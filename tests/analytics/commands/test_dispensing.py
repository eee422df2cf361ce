"""The commands on dispensing data against AdhereR's outputs, and what they refuse."""

import csv
from collections.abc import Callable
from math import isclose
from pathlib import Path

import pytest

from analytics.__main__ import main
from tests.analytics.golden import rows

Golden = Callable[[str], Path]
Rows = dict[tuple[str, ...], dict[str, str]]

VIGNETTE = "med_events.csv", "--date-format", "%m/%d/%Y"
HALF_A_YEAR_ON = "--observation-start", "182", "--observation-duration", "365"
EPISODES = (
    *("--max-gap", "180", "--carry-only-for-same-medication"),
    "--consider-dosage-change",
)
RUNS = {
    "cma1to9_vignette_fuw0_730_ow182_365": ("cma", *VIGNETTE, *HALF_A_YEAR_ON),
    "cma1to9_vignette_cma8window_ow374_294": (
        *("cma", *VIGNETTE),
        *("--observation-start", "374", "--observation-duration", "294"),
    ),
    "cma1to9_vignette_fuw30_ow30_365": (
        *("cma", *VIGNETTE, "--followup-start", "30"),
        *("--observation-start", "30", "--observation-duration", "365"),
    ),
    "cma1to9_default_full730": ("cma", *VIGNETTE),
    "cma1to9_atc_fuw0_730_ow182_365": (
        *("cma", "med_events_atc.csv", *HALF_A_YEAR_ON),
        # the reference has no CMA8 here: it crashes
        *("--measures", "CMA1,CMA2,CMA3,CMA4,CMA5,CMA6,CMA7,CMA9"),
    ),
    "event_gaps_cma7style_vignette": (
        *("gaps", *VIGNETTE, *HALF_A_YEAR_ON),
        *("--carryover-within", "--carryover-into"),
    ),
    "event_gaps_cma5style_vignette": (
        *("gaps", *VIGNETTE, *HALF_A_YEAR_ON),
        "--carryover-within",
    ),
    "event_gaps_nocarry_vignette": ("gaps", *VIGNETTE, *HALF_A_YEAR_ON),
    "episodes_vignette_T2_samemed_dose_medchange_gap180": (
        *("episodes", *VIGNETTE, *EPISODES),
        "--medication-change-starts-episode",
    ),
    "episodes_vignette_T3_nomedchange_gap180": ("episodes", *VIGNETTE, *EPISODES),
    "per_episode_vignette_CMA9_gap180_medchange": (
        *("per-episode", *VIGNETTE, "--max-gap", "180", "--measure", "CMA9"),
        "--medication-change-starts-episode",
    ),
    "per_episode_CMA1_gap10_fuwm90": (
        *("per-episode", *VIGNETTE, "--max-gap", "10", "--measure", "CMA1"),
        *("--followup-start", "-90", "--observation-duration", "365"),
    ),
    "sliding_vignette_CMA9_120_120": (
        *("sliding", *VIGNETTE, "--measure", "CMA9"),
        *("--window", "120", "--step", "120"),
    ),
    "sliding_vignette_CMA9_120_30": (
        *("sliding", *VIGNETTE, "--measure", "CMA9"),
        *("--window", "120", "--step", "30"),
    ),
}
KEYS = {"measure", "episode.ID", "window.ID"}


def table(path: Path) -> Rows:
    """Return rows by patient and what numbers them; gaps by what an event is."""
    found: Rows = {}
    for row in rows(path):
        names = ["PATIENT_ID", *(name for name in row if name in KEYS)]
        if "event.interval" in row:
            names += ["DATE", "PERDAY", "CATEGORY", "DURATION"]
        key = tuple(row[name] for name in names)
        while key in found:  # the same event twice
            key = *key, "again"
        found[key] = row
    return found


def equal(got: str, want: str) -> bool:
    try:
        return isclose(float(got), float(want), rel_tol=0, abs_tol=1e-9)
    except ValueError:
        return got == want


@pytest.mark.golden
@pytest.mark.parametrize("name", RUNS)
def test_the_reference_is_reproduced(golden: Golden, tmp_path: Path, name: str) -> None:
    command, file, *options = RUNS[name]
    data, out = golden(f"adherence/data/{file}"), tmp_path / "out.csv"

    assert main([command, str(data), *options, "-o", str(out)]) == 0

    got, want = table(out), table(golden(f"adherence/cma/{name}.csv"))
    assert got.keys() == want.keys()
    assert {
        (key, column, got[key][column], cell)
        for key, row in want.items()
        for column, cell in row.items()
        if not equal(got[key][column], cell)
    } == set()


EVENTS = """\
who,on,days,what,a_day
b,01.02.2026,30,x,1
a,15.02.2026,10,y,2
a,01.01.2026,30,x,1
"""
NAMED = (
    *("--columns", "id=who,date=on,duration=days,class=what,dose=a_day"),
    *("--date-format", "%d.%m.%Y"),
)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


def refused(
    capsys: pytest.CaptureFixture[str], path: Path, *options: str, command: str = "cma"
) -> str:
    """Return the one line that is said, without the path."""
    assert main([command, str(path), *options]) == 2
    out, said = capsys.readouterr()
    assert out == ""
    assert said.count("\n") == 1
    return said.rstrip("\n").replace(f"{path}", "FILE")


def test_other_names_of_columns_and_rows_in_any_order(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = "--observation-duration", "60"

    assert main(["cma", str(events), *NAMED, *window, "--measures", "CMA1,CMA2"]) == 0

    assert capsys.readouterr().out == (
        "who,CMA,measure\n"
        "b,NA,CMA1\n"
        f"a,{30 / 45!r},CMA1\n"
        "b,0.5,CMA2\n"
        f"a,{40 / 60!r},CMA2\n"
    )


def test_details_say_what_was_counted_and_why_there_is_no_value(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    window = "--observation-duration", "60", "--details"

    assert main(["cma", str(events), *NAMED, *window, "--measures", "CMA1"]) == 0

    first, *others = capsys.readouterr().out.splitlines()
    assert first == "who,CMA,measure,reason,events,supplied.days,observed.days"
    assert others == [
        "b,NA,CMA1,no_interval,1,NA,NA",
        f"a,{30 / 45!r},CMA1,NA,2,30,45",
    ]


def test_supply_that_outlasts_the_window_leaves_cma8_undefined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "events.csv"
    path.write_text("PATIENT_ID,DATE,DURATION\n1,2026-01-01,400\n")
    window = "--observation-start", "30", "--observation-duration", "90"

    assert (
        main(["cma", str(path), *window, "--measures", "CMA7,CMA8", "--details"]) == 0
    )

    assert capsys.readouterr().out.splitlines()[1:] == [
        "1,1.0,CMA7,NA,0,90,90",
        "1,NA,CMA8,oversupplied,0,NA,NA",
    ]


def test_a_table_without_events_has_a_header(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "none.csv"
    path.write_text("PATIENT_ID,DATE,DURATION\n")
    episodes = "--max-gap", "30"

    for options in (
        ("cma", str(path)),
        ("gaps", str(path)),
        ("episodes", str(path), *episodes),
        ("per-episode", str(path), *episodes, "--measure", "CMA9"),
        ("sliding", str(path), "--measure", "CMA8", "--window", "9", "--step", "9"),
    ):
        assert main(options) == 0
        assert capsys.readouterr().out.startswith("PATIENT_ID,")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (",30,", ",,", "line 2, column days: it is not a positive number"),
        (",10,", ",0,", "line 3, column days: '0' is not a positive number"),
        (",10,", ",ten,", "line 3, column days: 'ten' is not a positive number"),
        (",10,", ",inf,", "line 3, column days: 'inf' is not a positive number"),
        ("b,", ",", "line 2, column who: it is not given"),
        ("who,", "whom,", "no column who; there are whom, on, days, what, a_day"),
        (
            "01.01.2026",
            "32.01.2026",
            "line 4, column on: '32.01.2026' is not a date like %d.%m.%Y after 1900",
        ),
        (
            "01.01.2026",
            "01.01.26",
            "line 4, column on: '01.01.26' is not a date like %d.%m.%Y after 1900",
        ),
        (
            "b,01.02.2026,30,x,1\na,15.02.2026,10",
            '"b\nc",01.02.2026,30,x,1\na,15.02.2026,-1',
            "line 4, column days: '-1' is not a positive number",
        ),
        (EVENTS, "", "empty: it needs a header"),
    ],
)
def test_a_cell_that_cannot_be_used_is_named(
    events: Path,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    said: str,
) -> None:
    events.write_text(events.read_text().replace(old, new, 1))

    where = "FILE: " if not said.startswith("line") else "FILE, "
    assert refused(capsys, events, *NAMED) == f"analytics cma: {where}{said}"


def test_a_line_with_too_many_fields_is_named(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events.write_text(events.read_text().replace("y,2", "y,2,3"))

    said = refused(capsys, events, *NAMED, command="gaps")

    assert said == "analytics gaps: FILE, line 3: 6 fields where the header has 5"


def test_classes_and_doses_are_asked_for_where_they_count(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events.write_text(events.read_text().replace("y,2", ",0"))

    assert main(["cma", str(events), *NAMED]) == 0
    capsys.readouterr()
    for option, said in (
        ("--carry-only-for-same-medication", "column what: it is not given"),
        ("--consider-dosage-change", "column a_day: '0' is not a positive number"),
    ):
        said = f"analytics cma: FILE, line 3, {said}"
        assert refused(capsys, events, *NAMED, option) == said


def test_an_observation_outside_of_the_followup_names_a_patient(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, events, *NAMED, "--followup-duration", "60")

    assert said.startswith("analytics cma: patient b: the observation window is not")


def test_what_was_there_stays_when_a_command_fails(
    events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.csv"
    out.write_text("mine\n")
    events.write_text(events.read_text().replace(",10,", ",0,"))

    refused(capsys, events, *NAMED, "-o", str(out))

    assert out.read_text() == "mine\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.csv", "out.csv"]


def test_a_folder_that_is_not_there_is_said(
    events: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "nowhere" / "out.csv"

    said = refused(capsys, events, *NAMED, "-o", str(out))

    assert said == f"analytics cma: {out}: No such file or directory"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--followup-duration", "3 moons"), "'3 moons' is no length"),
        (("--followup-duration", "0"), "must be longer than 0 days"),
        (("--followup-start", "50 percent"), "is no length of time"),
        (("--followup-start", "1e99"), "is no length"),
        (("--followup-start", "9999999"), "out of range"),
        (("--measures", "CMA10"), "no measure 'CMA10'"),
        (("--measures", "CMA1,CMA1"), "twice"),
        (("--columns", "ids=who"), "write id=...,date=..."),
    ],
)
def test_an_option_that_makes_no_sense_is_one_line(
    events: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    said: str,
) -> None:
    try:
        left = main(["cma", str(events), *NAMED, *options])
    except SystemExit as exit_:
        left = exit_.code
    err = capsys.readouterr().err

    assert left == 2
    assert said in err
    assert err.count("\n") == 1


def test_empty_lines_are_no_rows(
    events: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cma", str(events), *NAMED]) == 0
    want = capsys.readouterr().out
    events.write_text(events.read_text().replace("\na", "\n\na") + "\n")

    assert main(["cma", str(events), *NAMED]) == 0
    assert capsys.readouterr().out == want


@pytest.mark.parametrize("who", ["Doe, J", 'the "first"', "two\nlines", "plain"])
@pytest.mark.parametrize(
    "command",
    [
        ("cma",),
        ("episodes", "--max-gap", "9"),
        ("per-episode", "--max-gap", "9", "--measure", "CMA9"),
        ("sliding", "--measure", "CMA7", "--window", "9", "--step", "90"),
    ],
)
def test_an_id_comes_back_as_it_was_given(
    tmp_path: Path, who: str, command: tuple[str, ...]
) -> None:
    path, out = tmp_path / "events.csv", tmp_path / "out.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["PATIENT_ID", "DATE", "DURATION"])
        table.writerows([[who, f"2026-03-{day:02}", "7"] for day in (1, 9, 31)])

    assert main([command[0], str(path), *command[1:], "-o", str(out)]) == 0

    with out.open(newline="") as file:
        assert {row["PATIENT_ID"] for row in csv.DictReader(file)} == {who}
