"""Cases small enough to be worked out by hand: a patient's events, in, rows, out.

Days are written as +n, counted from the patient's first event, of 1 January 2026.
"""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from fractions import Fraction
from math import isclose
from pathlib import Path

from analytics.__main__ import main

Supply = tuple[int, float] | tuple[int, float, str] | tuple[int, float, str, float]
Cell = str | int | float | Fraction  # NA, +n, a number of days, a share
FIRST = date(2026, 1, 1)


def worked(
    folder: Path,
    command: str,
    supplies: Iterable[Supply],
    columns: Iterable[str],
    first: date = FIRST,
) -> list[tuple[str, ...]]:
    """Return what a command prints in those columns, of events of one patient.

    An event is its day, its supply in days, and if it matters its class and daily dose.
    """
    path, out = folder / "events.csv", folder / "out.csv"
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["PATIENT_ID", "DATE", "DURATION", "CATEGORY", "PERDAY"])
        for day, days, *others in supplies:
            what, dose = [*others, "A", 1][:2] if len(others) < 2 else others
            table.writerow([1, first + timedelta(day), days, what, dose])
    name, *options = command.split("|")
    words = [word.strip() for option in options for word in option.split("=")]
    assert main([name.strip(), str(path), *words, "-o", str(out)]) == 0
    with out.open(newline="") as file:
        return [
            tuple(_day(row[name], first) for name in columns)
            for row in csv.DictReader(file)
        ]


def same(got: list[tuple[str, ...]], want: list[tuple[Cell, ...]]) -> bool:
    return len(got) == len(want) and all(
        len(one) == len(other) and all(map(_same, one, other))
        for one, other in zip(got, want, strict=True)
    )


def _same(got: str, want: Cell) -> bool:
    if isinstance(want, str) or got == "NA":
        return got == want
    return isclose(float(got), float(want), rel_tol=0, abs_tol=1e-9)


def _day(cell: str, first: date) -> str:
    try:
        return f"+{(date.fromisoformat(cell) - first).days}"
    except ValueError:
        return cell
