"""A table to a file, whole or not at all, or to standard output."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from analytics.commands.tables import Cell, writing, written


@dataclass(frozen=True, slots=True)
class Table:
    """Names of columns, and rows of as many cells."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def save(table: Table, path: Path | None) -> None:
    """Write the table as CSV to `path`, or print it. Raises Refused if it cannot."""
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerow(table.columns)
    out.writerows([*map(written, row)] for row in table.rows)
    with writing(path) as file:
        file.write(text.getvalue().encode())
