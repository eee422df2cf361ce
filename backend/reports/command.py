"""`python -m backend report`: tables of what is stored, and reports. Light to load."""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from backend.reports import emerge_command

IMPLEMENTATION_WORDS = """\
Print implementation a monitor-day of an imported study.

A row is a dose-day (03:00 to 03:00) on which a monitor was in use: recorded openings,
those that people added or took off, what was expected, whether the monitor was in use,
and 1.0 or 0.0 for implemented or not. What is not known or does not count is NA. A day
on which no dose was expected does not count, but with --rule cleanadh is implemented.
"""


RECONCILIATION_WORDS = """\
Print what providers took beyond what our ledger says.

A row is a message that a provider shows as accepted: `doubled`, more than once, or
`unexpected`, though it stands as not sent. The nightly comparison finds them; they fell
outside the bound within which nothing is doubled (docs/reminders.md).
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the tables that can be asked for."""
    tables = parser.add_subparsers(dest="table", required=True, metavar="TABLE")
    for name, table in TABLES.items():
        one = tables.add_parser(
            name,
            help=table.words.splitlines()[0],
            description=table.words,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        table.arguments(one)
        one.add_argument(
            "-o",
            "--output",
            type=Path,
            metavar="FILE",
            help="where to, instead of stdout; written whole or not at all",
        )


def run(asked: argparse.Namespace) -> int:
    """Print the table asked for and return the exit code."""
    return TABLES[asked.table].run(asked)


def _implementation_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--study", required=True, metavar="NAME")
    for name, to, means in (
        ("--from", "first", "first dose-day, else that of each monitor"),
        ("--to", "last", "last dose-day, included, else that of each monitor"),
    ):
        parser.add_argument(name, dest=to, metavar="D", help=means)
    parser.add_argument(
        "--rule",
        choices=["doseloop", "cleanadh"],
        default="doseloop",
        help="how a day on which no dose was expected counts",
    )


def _implementation(asked: argparse.Namespace) -> int:
    from analytics.adherence.dose_days import IMPLEMENTATION_COLUMNS, Rule
    from backend.clock import domain_now
    from backend.database import transaction
    from backend.database.sets import execute
    from backend.errors import Unprocessable
    from backend.regimens.fhir_time import read_day
    from backend.reports.implementation import implementation_report

    first = read_day(asked.first, "--from") if asked.first else None
    last = read_day(asked.last, "--to") if asked.last else None
    if first and last and first > last:
        raise Unprocessable(f"--from {first} lies after --to {last}")
    now = domain_now()
    with transaction() as session:
        # One state of the database from the first row to the last.
        session.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        execute(session, "SET LOCAL statement_timeout = 0")
        execute(session, "SET LOCAL idle_in_transaction_session_timeout = 0")
        days = implementation_report(
            session,
            asked.study,
            first=first,
            last=last,
            rule=Rule(asked.rule),
            now=now,
        )
        with _output(asked.output) as file:
            out = csv.writer(file, lineterminator="\n")
            out.writerow(IMPLEMENTATION_COLUMNS)
            out.writerows(day.cells() for day in days)
    return 0


def _reconciliation_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", metavar="D", help="found on or after")


def _reconciliation(asked: argparse.Namespace) -> int:
    from backend.database import transaction
    from backend.outbox.reconcile import FOUND, found_since
    from backend.regimens.fhir_time import read_day

    first = read_day(asked.first, "--from") if asked.first else None
    with transaction() as session:
        rows = found_since(session, first)
    with _output(asked.output) as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(FOUND)
        out.writerows([row[name] for name in FOUND] for row in rows)
    return 0


@contextmanager
def _output(path: Path | None) -> Generator[TextIO]:
    """Open the file, which takes its name when all is written, or give stdout."""
    if path is None:
        yield sys.stdout
        sys.stdout.flush()
        return
    from backend.errors import Unprocessable

    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("x", encoding="utf-8", newline="") as file:
            yield file
        unfinished.replace(path)
    except OSError as error:
        raise Unprocessable(f"cannot write {path}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table that can be asked for: what makes it, its options, its words."""

    run: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None]
    words: str


TABLES: Mapping[str, Table] = {
    "implementation": Table(
        _implementation, _implementation_arguments, IMPLEMENTATION_WORDS
    ),
    "reconciliation": Table(
        _reconciliation, _reconciliation_arguments, RECONCILIATION_WORDS
    ),
    "emerge": Table(emerge_command.run, emerge_command.arguments, emerge_command.WORDS),
}
