"""Print implementation a monitor-day from a folder of a study's CSV files.

Files are found by the part of their name after the last underscore: events,
Regimen, EMInfo, and if there AddedOpenings and NonMonitoredPeriods.
"""

import csv
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path

import polars as pl

from analytics.adherence.electronic_monitoring import (
    DayPeriod,
    RegimenPeriod,
    Rule,
    implementation_by_day,
)
from analytics.commands.tables import Refused, rows, written

Row = Mapping[str, str]
Monitor = tuple[str, str]

IMPLEMENTATION = (
    "PatientCode",
    "Monitor",
    "Date",
    "RecordedOpenings",
    "AddedOpenings",
    "CorrectedOpenings",
    "ExpectedOpenings",
    "NonMonitored",
    "Implementation",
)


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--rule", choices=[rule.value for rule in Rule], default=Rule.DOSELOOP.value
    )
    parser.add_argument(
        "--day-start", type=time.fromisoformat, default=time(3), metavar="HH:MM"
    )


def run(arguments: Namespace) -> int:
    folder: Path = arguments.folder
    events, regimens = _by_monitor(folder, "events"), _by_monitor(folder, "Regimen")
    added = _by_monitor(folder, "AddedOpenings", optional=True)
    unseen = _by_monitor(folder, "NonMonitoredPeriods", optional=True)
    out = csv.writer(sys.stdout)
    out.writerow(IMPLEMENTATION)
    for monitor, spans in sorted(_by_monitor(folder, "EMInfo").items()):
        for span in map(_period, spans):
            for day in implementation_by_day(
                [datetime.fromisoformat(r["Date"]) for r in events.get(monitor, [])],
                [_regimen(row) for row in regimens.get(monitor, [])],
                added=[
                    (date.fromisoformat(row["Date"]), int(row["AddedOpenings"]))
                    for row in added.get(monitor, [])
                ],
                non_monitored=[_period(row) for row in unseen.get(monitor, [])],
                first_day=span.first_day,
                last_day=span.last_day,
                day_start=arguments.day_start,
                rule=arguments.rule,
            ):
                counts = (day.recorded, day.added, day.corrected, day.expected)
                done = None if day.implemented is None else float(day.implemented)
                cells = (day.day.isoformat(), *counts, day.non_monitored, done)
                out.writerow([*monitor, *map(written, cells)])
    return 0


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
