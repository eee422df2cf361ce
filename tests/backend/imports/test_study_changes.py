"""What changes in a study's files becomes a correction; what people did here stays."""

from datetime import timedelta
from pathlib import Path

import pytest

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.database.address import Addresses
from backend.database.sets import execute
from backend.people.erase import erase
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


def test_a_drug_is_renamed_when_the_study_says_so_and_kept_when_it_says_nothing(
    study: Path,
) -> None:
    imported(study)
    write_study(study, EMCovariables=None)
    assert not imported(study)[0].written.rows

    write_study(study, EMCovariables=SMALL["EMCovariables"].replace("Exem", "Dex"))
    assert imported(study)[0].written.rows == {"regimens": 1}
    assert asked("SELECT drug FROM regimen ORDER BY 1") == [("Dexplin",), ("M2",)]


def test_a_regimen_that_goes_on_has_its_doses_ahead(study: Path) -> None:
    ends = {"EMInfo": "2024-05-05,\n", "Regimen": "2024-05-05,,\n"}
    going = {
        part: SMALL[part].replace(end, end.replace("2024-05-05", "2027-01-01"))
        for part, end in ends.items()
    }
    write_study(study, **going)

    imported(study)

    assert asked(
        "SELECT label, min(dose_day)::text, max(dose_day)::text FROM scheduled_dose "
        "WHERE dose_day > '2024-05-05' GROUP BY 1 ORDER BY 1"
    ) == [
        ("pending", "2026-03-04", "2026-03-07"),
        ("unknown", "2024-05-06", "2026-03-03"),
    ]
    before = contents()
    imported(study)
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
