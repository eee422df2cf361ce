"""Print how long after each prescription a medicine was first fetched.

One row a prescription: its id and medicine, episode.start, first.disp and
time.to.initiation in days; NA where none was fetched on or after that day. With --table
summary the share of new patients supplied --within a time, and its 95 % interval.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from analytics.adherence.dispensing import Index
from analytics.adherence.first_supply import first_supplies, initiation
from analytics.adherence.lengths import Days, Length
from analytics.commands.dispensings import Cells
from analytics.commands.options import length
from analytics.commands.tables import dates, numbers, read, write

NAMES = {"id": "ID", "prescribed": "DATE.PRESC", "dispensed": "DATE.DISP"}
MEDICINE = "ATC.CODE,FORM,UNIT"
EPOCH = date(1970, 1, 1)


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("prescribing", type=Path, metavar="PRESCRIBING.csv")
    parser.add_argument("dispensing", type=Path, metavar="DISPENSING.csv")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.csv")
    parser.add_argument(
        "--columns",
        type=_columns,
        default=NAMES,
        metavar="id=...,prescribed=...",
        help="the names of id, prescribed and dispensed where they are not "
        + ", ".join(NAMES.values()),
    )
    parser.add_argument(
        "--medicine",
        type=lambda text: text.split(","),
        default=MEDICINE.split(","),
        metavar="COLUMNS",
        help=f"columns that together name a medicine in both files; {MEDICINE}",
    )
    parser.add_argument(
        "--date-format", default="%Y-%m-%d", help="as for strftime; %%Y-%%m-%%d"
    )
    parser.add_argument("--table", choices=["times", "summary"], default="times")
    parser.add_argument(
        "--within",
        type=length,
        default=Length(30),
        metavar="LENGTH",
        help="summary: who fetched a first supply later has not initiated; 30 days",
    )
    parser.add_argument(
        "--observed-until",
        type=_day,
        metavar="D",
        help="summary: the last day of the data, as 2026-03-31; else the last supply",
    )


def _columns(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in text.split(","):
        key, _, name = part.partition("=")
        given[key] = name
    if not set(given) <= set(NAMES) or not all(given.values()):
        wanted = ",".join(f"{key}=..." for key in NAMES)
        raise ArgumentTypeError(f"{text!r}: write {wanted}, or some of them")
    return NAMES | given


def _day(text: str) -> float:
    try:
        return float((date.fromisoformat(text) - EPOCH).days)
    except ValueError as why:
        raise ArgumentTypeError(f"{text!r} is no day like 2026-03-31") from why


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows of a file: who and which medicine, and the day of each."""

    keys: pl.DataFrame
    day: Days


def run(arguments: Namespace) -> int:
    asked = _rows(arguments, arguments.prescribing, "prescribed")
    given = _rows(arguments, arguments.dispensing, "dispensed")
    prescribed, supplied = _numbered(asked.keys, given.keys)
    if arguments.table == "summary":
        table = _summary(arguments, prescribed, asked.day, supplied, given.day)
    else:
        first = first_supplies(prescribed, asked.day, supplied, given.day)
        table = asked.keys.with_columns(
            dates(asked.day).alias("episode.start"),
            numbers(first).cast(pl.Int32).cast(pl.Date).alias("first.disp"),
            numbers(first - asked.day).cast(pl.Int64).alias("time.to.initiation"),
        )
    write([table], arguments.output)
    return 0


def _rows(arguments: Namespace, path: Path, day: str) -> _Rows:
    """Return the rows; raises MalformedTable for a cell that cannot be used."""
    columns: list[str] = [arguments.columns["id"], *arguments.medicine]
    names = {column: column for column in columns} | {"date": arguments.columns[day]}
    cells = Cells(path, read(path, list(names.values())), names)
    keys = pl.DataFrame([cells.present(column) for column in columns])
    return _Rows(keys, cells.days(arguments.date_format))


def _numbered(one: pl.DataFrame, other: pl.DataFrame) -> tuple[Index, Index]:
    """Return a number for each row of both; what has the same cells has the same."""
    both = pl.concat([one, other]).select(pl.struct(pl.all()).rank("dense"))
    found = both.to_series().cast(pl.Int64).to_numpy()
    return found[: len(one)], found[len(one) :]


def _summary(
    arguments: Namespace,
    prescribed: Index,
    prescribed_on: Days,
    supplied: Index,
    supplied_on: Days,
) -> pl.DataFrame:
    """Return initiation over the first prescription of each patient's medicine.

    Who was supplied before it is not new: unknown.
    """
    order = np.lexsort((prescribed_on, prescribed))
    new = order[np.diff(prescribed[order], prepend=-1) != 0]
    begin = min(prescribed_on.min(initial=0.0), supplied_on.min(initial=0.0))
    ever = np.full(len(new), begin)
    last = arguments.observed_until
    if last is None:
        last = max(prescribed_on.max(initial=0.0), supplied_on.max(initial=0.0))
    found = initiation(
        prescribed_on[new],
        first_supplies(prescribed[new], ever, supplied, supplied_on),
        np.full(len(new), float(last)),
        within=arguments.within,
    )
    low, high = found.interval
    return pl.DataFrame(
        {
            "within": [str(found.within)],
            "initiated": [found.initiated],
            "not.initiated": [found.not_initiated],
            "unknown": [found.unknown],
            "initiation": numbers(np.array([found.value])),
            "low": numbers(np.array([low])),
            "high": numbers(np.array([high])),
        }
    )
