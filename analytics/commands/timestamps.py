"""Openings of monitors and spans without monitoring, read from CSV."""

from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, tzinfo
from pathlib import Path
from typing import TypeVar

import polars as pl

from analytics.adherence.dose_days import DayPeriod
from analytics.commands.tables import MalformedTable, line_of, read, rows

IDS = ("id", "PATIENT_ID", "PatientCode", "patient")
DATES = ("date", "timestamp", "timestamps", "Date", "at", "occurred_at")
MONITORS = ("monitor", "Monitor")
ROLES = frozenset({"id", "monitor", "date", "start", "end"})
STARTS, ENDS = ("start", "StartDate", "from"), ("end", "EndDate", "to")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Columns:
    """What the columns are called: `--columns id=…,monitor=…,date=…`."""

    names: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def of(cls, text: str) -> "Columns":
        """Return the names of `id=PATIENT,date=WHEN`. Raises ArgumentTypeError."""
        names: dict[str, str] = {}
        for part in filter(None, text.split(",")):
            role, equals, name = part.partition("=")
            if not equals or role not in ROLES:
                raise ArgumentTypeError(f"wants id=…,date=…,start=…, not {part!r}")
            names[role] = name
        return cls(names)

    def find(
        self, role: str, known: Sequence[str], table: pl.DataFrame, path: Path
    ) -> str | None:
        """Return the column of that role, None where the table has none."""
        named = self.names.get(role)
        if named is not None and named not in table.columns:
            there = ", ".join(table.columns)
            raise MalformedTable(path, f"no column {named!r}, only {there}", line=1)
        there = [name for name in known if name in table.columns]
        return named or (there[0] if there else None)

    def owner(
        self, table: pl.DataFrame, path: Path
    ) -> Callable[[Mapping[str, str]], str | None]:
        """Return how a row names its patient, and the monitor if there are several."""
        roles = (("id", IDS), ("monitor", MONITORS))
        found = [self.find(role, known, table, path) for role, known in roles]
        names = [name for name in found if name is not None]
        return lambda row: "/".join(row[name] for name in names) if names else None


def read_openings(
    path: Path,
    *,
    zone: tzinfo,
    columns: Columns,
    date_format: str | None = None,
) -> dict[str | None, list[datetime]]:
    """Return each patient's openings, aware; one patient None without a column of ids.

    Where a column names monitors, each is apart, as PATIENT/MONITOR. A time without an
    offset is of `zone`. Raises MalformedTable with line and column.
    """
    table = read(path, (), everything=True)
    whose = columns.owner(table, path)
    name = columns.find("date", DATES, table, path)
    if name is None:
        want = ", ".join(DATES)
        raise MalformedTable(
            path, f"want a column of times ({want}) or --columns date=…", line=1
        )

    def moment(text: str) -> datetime:
        if date_format:
            at = datetime.strptime(text, date_format)  # noqa: DTZ007 it may have no zone
        else:
            at = datetime.fromisoformat(text)
        return at if at.tzinfo else at.replace(tzinfo=zone)

    found: dict[str | None, list[datetime]] = {}
    for number, row in enumerate(rows(table)):
        at = _cell(moment, row[name], path, number, name, "a time")
        found.setdefault(whose(row), []).append(at)
    return found


def read_spans(path: Path, *, columns: Columns) -> dict[str | None, list[DayPeriod]]:
    """Return each patient's spans of dose-days without monitoring, both ends included.

    Of times the date counts. Under None stand those of a file without ids.
    """
    table = read(path, (), everything=True)
    whose = columns.owner(table, path)
    start = columns.find("start", STARTS, table, path)
    end = columns.find("end", ENDS, table, path)
    if start is None or end is None:
        raise MalformedTable(path, "want columns start and end", line=1)

    def day(text: str) -> date:
        return datetime.fromisoformat(text).date()

    found: dict[str | None, list[DayPeriod]] = {}
    for number, row in enumerate(rows(table)):
        first, last = (
            _cell(day, row[name], path, number, name, "a date") for name in (start, end)
        )
        if last < first:
            why = f"ends {last}, before it starts {first}"
            line = line_of(path, number)
            raise MalformedTable(path, why, line=line, column=end)
        found.setdefault(whose(row), []).append(DayPeriod(first, last))
    return found


def _cell(
    parse: Callable[[str], T],
    text: str,
    path: Path,
    number: int,
    column: str,
    what: str,
) -> T:
    try:
        return parse(text)
    except ValueError as error:
        why, line = f"{text!r} is not {what}", line_of(path, number)
        raise MalformedTable(path, why, line=line, column=column) from error
