"""Compute on CSV files: python -m analytics COMMAND FILES > table.csv.

Rows are compared by key, in any order; missing values are NA.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path

import numpy as np
import polars as pl

from analytics.adherence.electronic_monitoring import (
    DayPeriod,
    RegimenPeriod,
    Rule,
    implementation_by_day,
)
from analytics.detectors.resting_heart_rate import THRESHOLD, scores

Cell = str | int | float | bool | None
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


def electronic_monitoring(arguments: argparse.Namespace) -> int:
    """Print implementation a monitor-day from a folder of a study's CSV files.

    Files are found by the part of their name after the last underscore: events,
    Regimen, EMInfo, and if there AddedOpenings and NonMonitoredPeriods.
    """
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
                out.writerow([*monitor, *map(_written, cells)])
    return 0


def detect(arguments: argparse.Namespace) -> int:
    """Print each person's daily score of resting heart rate, and where it is a finding.

    Reads columns id, date, resting_hr; a value of 0 or none is a day without one.
    """
    table = pl.read_csv(arguments.file, infer_schema=False).sort("id", "date")
    out = csv.writer(sys.stdout)
    out.writerow(("id", "date", "resting_hr", "score", "finding"))
    for rows in table.partition_by("id", maintain_order=True):
        known = [r for r in _rows(rows) if float(r["resting_hr"] or 0) > 0]
        days = np.array([date.fromisoformat(r["date"]).toordinal() for r in known])
        values = np.array([float(r["resting_hr"]) for r in known])
        for row, score in zip(known, scores(days, values).tolist(), strict=True):
            unknown = score != score  # NaN
            found = None if unknown else abs(score) >= THRESHOLD
            cells = (float(row["resting_hr"]), None if unknown else score, found)
            out.writerow([row["id"], row["date"], *map(_written, cells)])
    return 0


def _rows(table: pl.DataFrame) -> Iterator[Row]:
    for row in table.iter_rows(named=True):
        yield {name: value or "" for name, value in row.items()}


def _by_monitor(
    folder: Path, part: str, *, optional: bool = False
) -> dict[Monitor, list[Row]]:
    """Return the rows of the one file whose name ends in _part.csv, by monitor."""
    paths = [path for path in folder.glob("*.csv") if path.stem.split("_")[-1] == part]
    if not paths and optional:
        return {}
    if len(paths) != 1:
        raise SystemExit(f"want one file *_{part}.csv in {folder}, found {len(paths)}")
    grouped: dict[Monitor, list[Row]] = {}
    for row in _rows(pl.read_csv(paths[0], infer_schema=False)):
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


def _written(cell: Cell) -> str:
    if cell is None:
        return "NA"
    return f"{cell:.17g}" if isinstance(cell, float) else str(cell)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="analytics", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int]
    ) -> argparse.ArgumentParser:
        words = run.__doc__ or ""
        made = commands.add_parser(name, help=words.splitlines()[0], description=words)
        made.set_defaults(run=run)
        return made

    monitoring = command("electronic-monitoring", electronic_monitoring)
    monitoring.add_argument("folder", type=Path)
    monitoring.add_argument(
        "--rule", choices=[rule.value for rule in Rule], default=Rule.DOSELOOP.value
    )
    monitoring.add_argument(
        "--day-start", type=time.fromisoformat, default=time(3), metavar="HH:MM"
    )
    command("detect", detect).add_argument("file", type=Path)
    arguments = parser.parse_args(argv)
    return arguments.run(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
