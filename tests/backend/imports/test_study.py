"""A study's files become patients, monitors, doses; changed rows become corrections."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.database.address import Addresses
from backend.database.sets import execute
from backend.errors import NotFound, Refused
from backend.imports.refusals import NothingImported
from backend.imports.study_known import OtherwiseImported
from backend.people.erase import erase
from backend.people.register import register_clinic
from backend.reports.implementation import implementation_report
from tests.backend.imports.studies import (
    NOW,
    SMALL,
    asked,
    contents,
    imported,
    write_study,
)

HOUR = timedelta(hours=1)


@pytest.fixture
def study(db: Addresses, tmp_path: Path) -> Path:
    return write_study(tmp_path)


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


def test_a_changed_regimen_is_a_new_version_and_past_days_are_judged_anew(
    study: Path,
) -> None:
    imported(study)
    write_study(
        study,
        Regimen=SMALL["Regimen"].replace("A,M1,1,2024-05-01", "A,M1,2,2024-05-01"),
    )

    imported(study, now=NOW + HOUR)

    assert reported() == AS_WRITTEN | {
        "A M1 2024-05-01": "1 0 1 2 False 0.0",
        "A M1 2024-05-02": "2 -1 1 2 False 0.0",
        "A M1 2024-05-03": "1 1 2 2 False 1.0",
    }
    assert asked(
        "SELECT version FROM regimen_version JOIN regimen USING (patient_id, "
        "regimen_id) WHERE drug = 'Exemplin' ORDER BY 1"
    ) == [(1,), (2,), (3,), (4,)]
    assert asked(
        "SELECT label, count(*) FROM scheduled_dose WHERE dose_day < '2024-05-03' "
        "AND patient_id IN (SELECT patient_id FROM regimen WHERE drug = 'Exemplin') "
        "GROUP BY 1 ORDER BY 1"
    ) == [("missed", 1), ("taken", 3)]
    before = contents()
    imported(study, now=NOW + 2 * HOUR)
    assert contents() == before


def test_a_changed_correction_voids_the_old_one_and_an_absent_one_stays(
    study: Path,
) -> None:
    imported(study)
    write_study(
        study,
        AddedOpenings="""PatientCode,Monitor,Date,AddedOpenings,Comments
A,M1,2024-05-02,-2,PharmaOpening
A,M1,2024-05-04,2,Pocket dose
""",
        NonMonitoredPeriods="""PatientCode,Monitor,StartDate,EndDate,Comments
A,M1,2024-05-05,2024-05-05,Hospital
""",
    )

    done, _ = imported(study, now=NOW + HOUR)

    assert done.written.rows == {"corrections of days": 2, "spans not monitored": 1}
    assert reported() == AS_WRITTEN | {
        "A M1 2024-05-02": "2 -2 0 1 False 0.0",
        "A M1 2024-05-04": "0 2 2 2 False 1.0",
    }
    assert asked(
        "SELECT dose_day::text, count, voided_at IS NOT NULL FROM dose_correction "
        "ORDER BY dose_day, recorded_at"
    ) == [
        ("2024-05-02", -1, True),
        ("2024-05-02", -2, False),
        ("2024-05-03", 1, False),
        ("2024-05-04", 2, False),
    ]
    assert asked(
        "SELECT reason, voided_at IS NOT NULL FROM non_monitored_span "
        "ORDER BY recorded_at"
    ) == [("Holiday", True), ("Hospital", False)]
    before = contents()
    imported(study, now=NOW + 2 * HOUR)
    assert contents() == before


def test_two_corrections_of_a_day_are_added_up(study: Path) -> None:
    write_study(
        study,
        AddedOpenings="""PatientCode,Monitor,Date,AddedOpenings,Comments
A,M1,2024-05-02,1,Pocket dose
A,M1,2024-05-02,1,Pocket dose
A,M1,2024-05-02,-1,PharmaOpening
""",
    )
    imported(study)
    before = contents()
    imported(study)

    assert contents() == before
    assert reported()["A M1 2024-05-02"] == "2 1 3 1 False 1.0"


def test_openings_follow_when_the_days_of_a_monitor_are_corrected(study: Path) -> None:
    imported(study)
    longer = SMALL["EMInfo"]
    shorter = longer.replace("2024-05-01,2024-05-05", "2024-05-02,2024-05-05")
    write_study(study, EMInfo=shorter)

    done, _ = imported(study, now=NOW + HOUR)

    assert done.written.rows == {"spans of use": 1}
    without = {day: row for day, row in AS_WRITTEN.items() if day != "A M1 2024-05-01"}
    assert reported() == without
    assert asked("SELECT reason FROM void") == [("outside the days of its monitor",)]
    assert asked("SELECT status FROM device_record WHERE status <> 'used'") == [
        ("unassigned",)
    ]
    before = contents()
    imported(study, now=NOW + HOUR)
    assert contents() == before

    write_study(study, EMInfo=longer)
    imported(study, now=NOW + 2 * HOUR)
    assert reported() == AS_WRITTEN
    assert asked("SELECT count(*) FROM dose_event WHERE voided_at IS NULL") == [(5,)]


def test_what_a_person_declared_void_stays_void(study: Path) -> None:
    imported(study)
    with transaction() as session:
        execute(session, "UPDATE dose_event SET voided_at = :now", now=NOW)

    imported(study, now=NOW + HOUR)

    assert asked("SELECT count(*) FROM dose_event WHERE voided_at IS NULL") == [(0,)]


def test_a_regimen_that_a_clinician_changed_is_left_to_them(study: Path) -> None:
    imported(study)
    with transaction() as session:
        execute(
            session,
            """INSERT INTO regimen_version (patient_id, regimen_id, version, timing,
                effective_from, until, prescribed_by, reason, recorded_at)
            SELECT patient_id, regimen_id, 9, timing, effective_from, until,
                gen_random_uuid(), 'by hand', :now FROM regimen_version
            WHERE version = 2""",
            now=NOW,
        )
    before = contents()
    imported(study)
    assert contents() == before
    write_study(study, Regimen=SMALL["Regimen"].replace("A,M1,1", "A,M1,3"))

    done, said = imported(study)

    assert (done.warned, contents()) == (1, before)
    assert "was changed here since it was imported" in said[0]


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


def test_somebody_who_was_erased_does_not_come_back(study: Path) -> None:
    imported(study)
    (row,) = asked("SELECT patient_id FROM identifier_lookup WHERE value = 'A'")
    with transaction() as session:
        erase(session, row[0], actor=SYSTEM, now=NOW)  # pyright: ignore[reportArgumentType]
    before = contents()

    done, said = imported(study)

    assert "a person who has been erased" in said[0]
    assert done.refused == 1 + 2 + 1 + 2 + 4  # its span and all that hangs on it
    assert contents() == before


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


def test_an_unknown_study_has_no_report(db: Addresses) -> None:
    with transaction() as session, pytest.raises(NotFound):
        implementation_report(session, "none", now=NOW)
