"""Implementation a monitor-day and a patient-day, from a folder of a study's CSV files.

Files are found by the part of their name after the last underscore: events, Regimen,
EMInfo, and if there AddedOpenings and NonMonitoredPeriods.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path

import polars as pl

from analytics.adherence.dose_days import (
    IMPLEMENTATION_COLUMNS,
    Day,
    DayPeriod,
    PatientDay,
    RegimenPeriod,
    Rule,
    implementation_by_day,
    implementation_by_patient,
)
from analytics.adherence.electronic_monitoring import implementation
from analytics.commands.output import Table
from analytics.commands.tables import Cell, Refused, rows

Row = Mapping[str, str]
Monitor = tuple[str, str]

PATIENT = ("PatientCode", "Date", "MonitorsNb", "Implementation", "RelativeDate")
SUMMARY = ("PatientCode", "Monitor", "Implementation")


def tables(folder: Path, *, rule: Rule, day_start: time) -> dict[str, Table]:
    """Return the tables of a study folder: `monitors`, `patients` and their means.

    Those of CleanADHdata (MIT) with its rule. A monitor worn in several spans is one.
    """
    days = _monitor_days(folder, rule=rule, day_start=day_start)
    patients: dict[str, list[list[Day]]] = {}
    for (patient, _), table in days.items():
        patients.setdefault(patient, []).append(table)
    by_patient = {p: implementation_by_patient(t) for p, t in patients.items()}
    return {
        "monitors": Table(
            IMPLEMENTATION_COLUMNS,
            [
                [*monitor, *_cells(day)]
                for monitor, table in days.items()
                for day in table
            ],
        ),
        "patients": Table(
            PATIENT,
            [
                [patient, *_patient_cells(day, table[0].day)]
                for patient, table in by_patient.items()
                for day in table
            ],
        ),
        "monitor-means": Table(
            SUMMARY, [[*m, implementation(table).value] for m, table in days.items()]
        ),
        "patient-means": Table(
            (SUMMARY[0], SUMMARY[2]),
            [[p, _mean(table)] for p, table in by_patient.items()],
        ),
    }


def _monitor_days(
    folder: Path, *, rule: Rule, day_start: time
) -> dict[Monitor, list[Day]]:
    events, regimens = _by_monitor(folder, "events"), _by_monitor(folder, "Regimen")
    added = _by_monitor(folder, "AddedOpenings", optional=True)
    unseen = _by_monitor(folder, "NonMonitoredPeriods", optional=True)
    found: dict[Monitor, list[Day]] = {}
    for monitor, spans in sorted(_by_monitor(folder, "EMInfo").items()):
        for span in map(_period, spans):
            found.setdefault(monitor, []).extend(
                implementation_by_day(
                    _openings(events.get(monitor, [])),
                    [_regimen(row) for row in regimens.get(monitor, [])],
                    added=[
                        (date.fromisoformat(row["Date"]), int(row["AddedOpenings"]))
                        for row in added.get(monitor, [])
                    ],
                    non_monitored=[_period(row) for row in unseen.get(monitor, [])],
                    first_day=span.first_day,
                    last_day=span.last_day,
                    day_start=day_start,
                    rule=rule,
                )
            )
    return found


def _cells(day: Day) -> list[Cell]:
    counts = day.recorded, day.added, day.corrected, day.expected
    done = None if day.implemented is None else float(day.implemented)
    return [day.day.isoformat(), *counts, day.non_monitored, done]


def _patient_cells(day: PatientDay, first: date) -> list[Cell]:
    done = None if day.implemented is None else float(day.implemented)
    return [day.day.isoformat(), day.monitors, done, (day.day - first).days + 1]


def _mean(days: Sequence[PatientDay]) -> float | None:
    known = [day.implemented for day in days if day.implemented is not None]
    return sum(known) / len(known) if known else None


def _openings(table: Sequence[Row]) -> list[datetime]:
    return [datetime.fromisoformat(row["Date"]) for row in table]


def _by_monitor(
    folder: Path, part: str, *, optional: bool = False
) -> dict[Monitor, list[Row]]:
    """Return the rows of the one file whose name ends in _part.csv, by monitor."""
    paths = [path for path in folder.glob("*.csv") if path.stem.split("_")[-1] == part]
    if not paths and optional:
        return {}
    if len(paths) != 1:
        raise Refused(f"want one file *_{part}.csv in {folder}, found {len(paths)}")
    grouped: dict[Monitor, list[Row]] = {}
    for row in rows(pl.read_csv(paths[0], infer_schema=False)):
        grouped.setdefault((row["PatientCode"], row["Monitor"]), []).append(row)
    return grouped


def _period(row: Row) -> DayPeriod:
    start, end = row["StartDate"], row["EndDate"]
    return DayPeriod(date.fromisoformat(start), date.fromisoformat(end))


def _regimen(row: Row) -> RegimenPeriod:
    period = _period(row)
    cycle = [int(float(row[name])) if row.get(name) else None for name in ("On", "Off")]
    expected = int(row["ExpectedOpenings"])
    return RegimenPeriod(period.first_day, period.last_day, expected, *cycle)
