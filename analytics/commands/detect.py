"""Print each person's daily score of resting heart rate, and where it is a finding.

Reads columns id, date, resting_hr; a value of 0 or none is a day without one.
"""

import csv
import sys
from argparse import ArgumentParser, Namespace
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from analytics.commands.tables import rows, written
from analytics.detectors.resting_heart_rate import THRESHOLD, scores


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path)


def run(arguments: Namespace) -> int:
    table = pl.read_csv(arguments.file, infer_schema=False).sort("id", "date")
    out = csv.writer(sys.stdout)
    out.writerow(("id", "date", "resting_hr", "score", "finding"))
    for person in table.partition_by("id", maintain_order=True):
        known = [r for r in rows(person) if float(r["resting_hr"] or 0) > 0]
        days = np.array([date.fromisoformat(r["date"]).toordinal() for r in known])
        values = np.array([float(r["resting_hr"]) for r in known])
        for row, score in zip(known, scores(days, values).tolist(), strict=True):
            unknown = score != score  # NaN
            found = None if unknown else abs(score) >= THRESHOLD
            cells = (float(row["resting_hr"]), None if unknown else score, found)
            out.writerow([row["id"], row["date"], *map(written, cells)])
    return 0
