"""A study's files become patients, monitors, doses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.database import transaction
from backend.database.address import Addresses
from backend.errors import NotFound, Refused
from backend.imports.refusals import NothingImported
from backend.imports.study import InUse
from backend.imports.study_known import OtherwiseImported
from backend.people.register import register_clinic
from backend.reports.implementation import implementation_report
from tests.backend.imports.studies import (
    AS_WRITTEN,
    NOW,
    SMALL,
    asked,
    contents,
    imported,
    reported,
    write_study,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def study(db: Addresses, tmp_path: Path) -> Path:
    return write_study(tmp_path)


def test_a_study_is_read_back_as_it_was_written(study: Path) -> None:
    done, said = imported(study)

    assert (done.openings, done.refused, said) == (5, 0, [])
    assert reported() == AS_WRITTEN


def test_the_past_is_matched_and_nobody_hears_of_it(study: Path) -> None:
    imported(study)

    assert asked(
        "SELECT dose_day::text, label FROM scheduled_dose s JOIN regimen USING "
        "(patient_id, regimen_id) WHERE drug = 'Exemplin' ORDER BY occurrence"
    ) == [
        ("2024-05-01", "taken"),
        ("2024-05-02", "taken"),
        ("2024-05-03", "taken"),
        ("2024-05-04", "missed"),
        ("2024-05-04", "missed"),
        ("2024-05-05", "unknown"),
        ("2024-05-05", "unknown"),
    ]
    assert asked("SELECT bool_or(live) FROM dose_event") == [(False,)]
    for table in "outbox_message", "alert", "screen_due", "reorder":
        assert asked(f"SELECT count(*) FROM {table}") == [(0,)]
    assert asked("SELECT count(*) FROM patient_state") == [(2,)]


def test_importing_again_changes_no_row_of_any_table(study: Path) -> None:
    imported(study)
    before = contents()

    done, _ = imported(study, now=NOW + HOUR)

    assert not done.written.rows
    assert contents() == before


def test_neither_the_order_of_rows_nor_the_names_of_files_matter(study: Path) -> None:
    imported(study)
    before = contents()
    for path in list(study.iterdir()):
        header, *rows = path.read_text().splitlines()
        path.unlink()
        turned = "\r\n".join([header, *reversed(rows), rows[0]])
        if "AddedOpenings" not in path.name:  # there, twice is twice
            path.with_name(f"other_{path.name}").write_text(turned)

    done, said = imported(study)

    assert not done.written.rows
    assert said == []
    assert contents() == before


def test_a_time_that_two_rows_of_a_monitor_share_is_one_opening(study: Path) -> None:
    write_study(study, events=SMALL["events"] + "A,M1,2024-05-01T08:00:00.000\n")

    imported(study)

    assert asked("SELECT count(*) FROM device_record") == [(5,)]


def test_an_opening_outside_the_days_of_its_monitor_is_kept_for_nobody(
    study: Path,
) -> None:
    write_study(study, events=SMALL["events"] + "B,M2,2024-06-01T08:00:00\n")

    done, _ = imported(study)

    assert (done.openings, done.refused) == (6, 0)
    assert asked("SELECT count(*) FROM dose_event") == [(5,)]
    assert asked(
        "SELECT item->>'evidence', item->>'occurred_at' FROM device_record "
        "WHERE status = 'unassigned'"
    ) == [("container_opened", "2024-06-01T06:00:00+00:00")]


def test_a_correction_outside_the_days_of_its_monitor_is_a_warning(study: Path) -> None:
    write_study(
        study, AddedOpenings=SMALL["AddedOpenings"] + "B,M2,2024-06-01,1,late\n"
    )

    done, said = imported(study, strict=True)

    assert (done.refused, done.warned) == (0, 1)
    assert said == [
        "trial_AddedOpenings.csv:4: warning: 2024-06-01 is no day of monitor 'M2'"
    ]
    assert asked("SELECT count(*) FROM dose_correction") == [(3,)]


def test_times_that_clocks_skip_or_repeat(study: Path) -> None:
    write_study(
        study,
        events="""PatientCode,Monitor,Date
A,M1,2024-03-31T02:30:00
A,M1,2024-03-31T02:40:00
A,M1,2024-10-27T02:30:00
A,M1,2024-10-27T02:30:00+01:00
""",
        EMInfo="PatientCode,Monitor,StartDate,EndDate\nA,M1,2024-03-01,2024-11-01\n",
        Regimen=SMALL["Regimen"].replace("B,M2", "A,M1"),
        NonMonitoredPeriods=None,
        AddedOpenings=None,
    )

    imported(study)

    rows = asked("SELECT occurred_at, uncertainty_s FROM dose_event ORDER BY sequence")
    assert rows == [
        (datetime(2024, 3, 31, 1, tzinfo=UTC), 3600.0),  # 03:00, after the gap
        (datetime(2024, 3, 31, 1, tzinfo=UTC), 3600.0),
        (datetime(2024, 10, 27, 0, 30, tzinfo=UTC), 3600.0),  # the first pass
    ]


@pytest.mark.parametrize(
    ("part", "row", "why"),
    [
        ("events", "A,M9,2024-05-01T08:00", "knows no monitor 'M9' of patient 'A'"),
        ("events", "B,M1,2024-05-01T08:00", "knows no monitor 'M1' of patient 'B'"),
        ("events", "A,M1,2024-13-01T08:00", "want a time like"),
        ("events", "A,M1,01.05.2024 08:00", "want a time like"),
        ("events", "A,M1,2024-05-01", "want a time like"),
        ("events", "A,M1,9999-12-31T23:59", "want a time like"),
        ("events", "A,M1,2026-03-05T08:00", "is still to come"),
        ("events", "A,M1", "want 3 cells, got 2"),
        ("events", ",M1,2024-05-01T08:00", "want codes of 1 to 200 characters"),
        (
            "EMInfo",
            "C,M1,2024-05-05,2024-05-09,",
            "is in use by 'A' on some of its days",
        ),
        ("EMInfo", "A,M1,2024-05-05,2024-05-09,", "an earlier row has this monitor"),
        ("EMInfo", "C,M3,2024-05-05,2024-05-01,", "before it starts"),
        ("EMInfo", "C,M3,2024-05-05,9999-12-31,", "want a day like"),
        ("Regimen", "C,M3,1,2024-05-05,2024-05-06,,", "knows no monitor 'M3'"),
        ("Regimen", "A,M1,-1,2024-05-05,2024-05-06,,", "want 0 to 100"),
        ("Regimen", "A,M1,1.5,2024-05-05,2024-05-06,,", "want a whole number"),
        ("Regimen", "A,M1,1,2024-05-05,2024-05-06,0,7", "want On of 1 or more"),
        ("Regimen", "A,M1,1,2024-05-05,2024-05-06,21,", "want a whole number"),
        ("NonMonitoredPeriods", "A,M1,2024-05-05,,x", "want a day like"),
        ("AddedOpenings", "A,M1,2024-05-05,many,x", "want a whole number"),
        ("AddedOpenings", "A,M1,2024-05-05,999,x", "want at most 100"),
        ("EMCovariables", "A,M1,2024-05-05,2024-05-06,0,", "want a DCI"),
    ],
)
def test_a_bad_row_is_refused_and_the_good_ones_are_kept_or_nothing_if_strict(
    study: Path, part: str, row: str, why: str
) -> None:
    write_study(study, **{part: SMALL[part] + row + "\n"})
    line = SMALL[part].count("\n") + 1
    before = contents()
    with pytest.raises(NothingImported, match="1 rows cannot be used"):
        imported(study, strict=True)
    assert contents() == before

    done, said = imported(study)

    assert done.refused == 1
    assert said[0].startswith(f"trial_{part}.csv:{line}: ")
    assert why in said[0]
    assert reported() == AS_WRITTEN


def test_only_events_monitors_and_regimens_are_needed(study: Path) -> None:
    optional = ("EMCovariables", "NonMonitoredPeriods", "AddedOpenings")
    write_study(study, **dict.fromkeys(optional))
    done, _ = imported(study)
    assert done.openings == 5

    for part in ("events", "EMInfo", "Regimen"):
        write_study(study, **{part: None})
        with pytest.raises(Refused, match=f"no file {part}.csv"):
            imported(study)
        write_study(study)


def test_two_files_that_claim_to_be_the_same_are_refused(study: Path) -> None:
    (study / "other_events.csv").write_text(SMALL["events"])

    with pytest.raises(Refused, match="several files are the events"):
        imported(study)


@pytest.mark.parametrize(
    "options",
    [{"zone": "Europe/Atlantis"}, {"name": "a b"}, {"name": ""}, {"clinic": "nowhere"}],
)
def test_a_wrong_zone_name_or_clinic_is_refused_before_anything_is_written(
    study: Path, options: dict[str, object]
) -> None:
    before = contents()
    with pytest.raises(Refused):
        imported(study, **options)
    assert contents() == before


def test_a_study_keeps_its_zone_and_its_clinic(study: Path) -> None:
    with transaction() as session:
        for name in ("Seefeld", "Enge"):
            register_clinic(session, name, "Europe/Zurich", now=NOW)
    imported(study, clinic="seefeld")
    before = contents()

    imported(study)
    with pytest.raises(OtherwiseImported, match="zone Europe/Zurich"):
        imported(study, zone="Europe/London")
    with pytest.raises(OtherwiseImported, match="another clinic"):
        imported(study, clinic="Enge")

    assert contents() == before


def test_two_studies_may_use_the_same_codes(study: Path) -> None:
    imported(study)
    imported(study, name="other")

    assert asked("SELECT count(*) FROM patient") == [(4,)]
    assert asked("SELECT count(*) FROM device_record") == [(10,)]


def test_an_interrupted_import_is_finished_by_the_next(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.imports.study.PATIENTS_AT_ONCE", 1)

    def stop(_what: str, done: int, _of: int) -> None:
        if (_what, done) == ("storing", 1):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        imported(study, progress=stop)
    assert asked("SELECT count(*) FROM patient") == [(1,)]

    imported(study)

    assert reported() == AS_WRITTEN


def test_a_study_is_imported_by_one_at_a_time(
    study: Path,
) -> None:
    def meanwhile(*_: object) -> None:
        with pytest.raises(InUse, match="by another process"):
            imported(study)

    imported(study, progress=meanwhile)

    assert asked("SELECT count(*) FROM clinic") == [(1,)]


def test_an_unknown_study_has_no_report(db: Addresses) -> None:
    with transaction() as session, pytest.raises(NotFound):
        implementation_report(session, "none", now=NOW)
