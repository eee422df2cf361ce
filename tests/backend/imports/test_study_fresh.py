"""The quick way to settle a study's past says what the general way says."""

import random
from datetime import date, datetime, time, timedelta
from pathlib import Path

import pytest

from backend.database import transaction
from backend.database.address import Addresses
from backend.database.sets import execute, fetch
from backend.doses.rematch import rematch
from backend.people.hold import hold
from backend.regimens.schedule import expand_past
from tests.backend.imports.studies import NOW, asked, imported, write_study

DAY = timedelta(days=1)
ZONES = ("Europe/Zurich", "Europe/Helsinki", "America/New_York", "Australia/Lord_Howe")

DOSES = """
SELECT patient_id, regimen_id, occurrence, version, dose_day, due_at, local_time, zone,
    tzdb, window_from, window_until, amount, unit, label, dose_event_id, check_at
FROM scheduled_dose ORDER BY patient_id, regimen_id, occurrence
"""
EVENTS = "SELECT dose_event_id, label FROM dose_event ORDER BY dose_event_id"


def write_lives(folder: Path, seed: int, starts: date, days: int) -> None:
    """Write people who open early, late, twice, in bursts, at night and not at all."""
    chance = random.Random(seed)
    first = datetime.combine(starts, time())
    lines: dict[str, list[str]] = {
        "events": ["PatientCode,Monitor,Date"],
        "EMInfo": ["PatientCode,Monitor,StartDate,EndDate"],
        "Regimen": ["PatientCode,Monitor,ExpectedOpenings,StartDate,EndDate,On,Off"],
        "NonMonitoredPeriods": ["PatientCode,Monitor,StartDate,EndDate"],
    }
    for number in range(5):
        code = f"P{number},M{number}"
        last = first + (days - 1) * DAY
        middle = first + chance.randrange(1, days - 1) * DAY
        lines["EMInfo"].append(f"{code},{first:%F},{last - number % 2 * DAY:%F}")
        cycle = ",2,1" if number == 3 else ",,"
        for begin, end in ((first, middle - DAY), (middle, last)):
            n = chance.choice([0, 1, 1, 2, 3])
            lines["Regimen"].append(f"{code},{n},{begin:%F},{end:%F}{cycle}")
        lines["NonMonitoredPeriods"].append(f"{code},{middle:%F},{middle:%F}")
        at = first + timedelta(hours=1)
        while at < last + 2 * DAY:
            lines["events"].append(f"{code},{at.isoformat()}")
            at += timedelta(
                seconds=chance.choice([1, 200, 400, 599, 600, 601])
                if chance.random() < 0.4
                else chance.randrange(60, 40 * 3600)
            )
    write_study(
        folder,
        EMCovariables=None,
        AddedOpenings=None,
        **{part: "\n".join(rows) for part, rows in lines.items()},
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    "first", [date(2024, 3, 5), date(2024, 10, 1)], ids=["spring", "autumn"]
)
def test_the_quick_way_settles_as_the_general_way_does(
    db: Addresses, tmp_path: Path, zone: str, first: date
) -> None:
    write_lives(tmp_path, ZONES.index(zone), first, 35)
    done, _ = imported(tmp_path, zone=zone)
    assert done.openings > 100
    quick = asked(DOSES), asked(EVENTS)

    with transaction() as session:
        execute(session, "DELETE FROM scheduled_dose")
        execute(session, "UPDATE dose_event SET label = 'unmatched'")
        whose = fetch(session, "SELECT patient_id, regimen_id FROM regimen")
        hold(session, {row["patient_id"] for row in whose})
        days = [first + n * DAY for n in range(-2, 40)]
        for row in whose:
            key = row["patient_id"], row["regimen_id"]
            expand_past(session, *key, first=days[0], last=days[-1])
            rematch(session, [(*key, day) for day in days], now=NOW, cause="test")

    assert quick == (asked(DOSES), asked(EVENTS))
    labels = {row[1] for row in quick[1]}
    assert labels == {"therapeutic", "extra", "duplicate", "unmatched"}
