"""What all commands share: how a cell is written, and errors in words for people."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import polars as pl

Cell = str | int | float | bool | None


class Refused(Exception):
    """A command cannot do what was asked: what is wrong, where, and what to do."""


class MalformedTable(Refused):
    """A file does not hold what the command reads; `line` counts its header as 1."""

    def __init__(
        self,
        path: Path,
        why: str,
        *,
        line: int | None = None,
        column: str | None = None,
    ) -> None:
        places = [
            str(path),
            *([f"line {line}"] if line is not None else []),
            *([f"column {column}"] if column is not None else []),
        ]
        super().__init__(f"{', '.join(places)}: {why}")
        self.path, self.line, self.column = path, line, column


def written(cell: Cell) -> str:
    """Return a cell as it is printed: `NA` if missing, 17 significant digits."""
    if cell is None:
        return "NA"
    return f"{cell:.17g}" if isinstance(cell, float) else str(cell)


def rows(table: pl.DataFrame) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a table of strings by column name, what is missing as ""."""
    for row in table.iter_rows(named=True):
        yield {name: value or "" for name, value in row.items()}
