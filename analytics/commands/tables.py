"""What all commands share: tables in, tables out, and errors in words for people."""

import csv
import os
import sys
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray
from polars.exceptions import ComputeError, PolarsError

Cell = str | int | float | bool | None

NEED_QUOTES = '"', ",", "\n", "\r"


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


def read(
    path: Path,
    columns: Sequence[str],
    *,
    numbers: Collection[str] = (),
    words: Collection[str] = (),
    everything: bool = False,
) -> pl.DataFrame:
    """Return those columns of a CSV as strings, what is empty or NA as null.

    With `everything` the others come too. Columns in `numbers` are numbers, unless one
    of their cells is not. Those in `words`, which have few different cells, are codes
    of them, see `coded`. Empty lines are left out. Raises MalformedTable where a
    column is absent or a line cannot be read, and Refused where the file cannot.
    """
    try:
        header = _header(path)
        for column in columns:
            if column not in header:
                there = ", ".join(header)
                raise MalformedTable(path, f"no column {column}; there are {there}")
        wanted = header if everything else list(dict.fromkeys(columns))
        rows = _parsed(path, wanted, numbers, words)
    except OSError as why:
        raise _unusable(path, why) from why
    except PolarsError as why:
        raise _ragged(path) or MalformedTable(path, str(why).splitlines()[0]) from why
    if all(rows.null_count().row(0)):
        nothing = rows.select(pl.all_horizontal(pl.all().is_null())).to_series()
        if int(nothing.sum()) == _empty_lines(path):
            return rows.filter(~nothing)
    return rows


def _header(path: Path) -> list[str]:
    """Return the names of columns as polars has them."""
    return pl.read_csv(path, n_rows=0, infer_schema=False, glob=False).columns


def _parsed(
    path: Path, columns: list[str], numbers: Collection[str], words: Collection[str]
) -> pl.DataFrame:
    """Return the columns; only strings are looked at for NA: the others need not be."""
    types: dict[str, pl.Categorical | pl.Float64] = {
        name: pl.Categorical(pl.Categories.random())
        for name in columns
        if name in words
    } | {name: pl.Float64() for name in columns if name in numbers}
    strings = [name for name in columns if name not in types]
    try:
        return pl.read_csv(
            path,
            columns=columns,
            schema_overrides=types,
            infer_schema=False,
            null_values=dict.fromkeys(strings, "NA"),
            glob=False,
        )
    except ComputeError:
        if not numbers:
            raise
        return _parsed(path, columns, (), words)


def coded(column: pl.Series) -> tuple[pl.Series, pl.Series]:
    """Return the different words of a column, and for each cell which one it has.

    What is missing, or NA, has a word that is null.
    """
    if not isinstance(column.dtype, pl.Categorical):
        column = column.cast(pl.String).cast(pl.Categorical(pl.Categories.random()))
    assert isinstance(column.dtype, pl.Categorical)
    words = column.dtype.categories.to_series()
    words = words.set(words == "NA", None)
    codes = column.to_physical()
    if codes.null_count():
        codes = codes.fill_null(len(words))
        words = words.extend(pl.Series([None], dtype=pl.String))
    return words, codes


def _unusable(path: Path | str, why: OSError) -> Refused:
    """Return the system's words; polars repeats the path after them."""
    return Refused(f"{path}: {why.strerror or str(why).partition(' (os error')[0]}")


def line_of(path: Path, row: int) -> int:
    """Return the line on which a row of data begins; quoted cells may hold lines."""
    begins = 1
    with path.open(newline="", encoding="utf-8-sig") as file:
        lines = csv.reader(file)
        left = row + 1  # the header is a row too
        for cells in lines:
            if cells:
                left -= 1
            if left < 0:
                return begins
            begins = lines.line_num + 1
    return begins


def _empty_lines(path: Path) -> int:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return sum(not cells for cells in csv.reader(file))


def _ragged(path: Path) -> MalformedTable | None:
    """Return what is wrong with the first line that cannot be read, if any."""
    line, width = 0, 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file)
            for cells in lines:
                line, width = lines.line_num, width or len(cells)
                if len(cells) > width:
                    why = f"{len(cells)} fields where the header has {width}"
                    return MalformedTable(path, why, line=line)
    except UnicodeDecodeError:
        return MalformedTable(path, "not UTF-8: convert it first")
    except csv.Error as why:
        return MalformedTable(path, str(why), line=line + 1)
    return None if width else MalformedTable(path, "empty: it needs a header")


@contextmanager
def writing(path: Path | None) -> Generator[BinaryIO]:
    """Yield a file that takes the place of `path` when all is written, or stdout.

    On an error nothing is left behind, and what was at `path` before stays.
    """
    if path is None:
        try:
            yield sys.stdout.buffer
            sys.stdout.flush()
        except OSError as why:  # as when `head` has read enough
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            raise _unusable("standard output", why) from why
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    except OSError as why:
        raise _unusable(path, why) from why
    finally:
        part.unlink(missing_ok=True)


def write(
    tables: Iterable[pl.DataFrame], path: Path | None, *, ids: pl.Series | None = None
) -> None:
    """Write tables of the same columns as one CSV, what is null as NA.

    With `ids` only the ids may hold what needs quotes: if none of them does, nobody
    looks for it in every cell.
    """
    plain = ids is not None and not (
        ids.str.contains_any([*NEED_QUOTES]).any()
        or any(mark in ids.name for mark in NEED_QUOTES)
    )
    with writing(path) as file:
        for number, table in enumerate(tables):
            table.write_csv(
                file,
                include_header=number == 0,
                null_value="NA",
                quote_style="never" if plain else "necessary",
            )


def numbers(values: NDArray[np.float64]) -> pl.Series:
    """Return numbers as a column; NaN is missing."""
    return pl.Series(values, nan_to_null=True)


def counts(values: NDArray[np.float64]) -> pl.Series:
    """Return numbers of days as a column, as integers if all are whole."""
    whole = np.rint(values)
    if np.array_equal(values, whole):
        return pl.Series(whole.astype(np.int64))
    column = numbers(values)
    all_whole = np.array_equal(values, whole, equal_nan=True)
    return column.cast(pl.Int64) if all_whole else column


class Words:
    """Different words, of which columns have many: a cell is the place of its word."""

    def __init__(self, words: pl.Series) -> None:
        # In a category of their own, words go by their place, as long as it is kept.
        self._words = words.cast(pl.Categorical(pl.Categories.random()))

    def of(self, *columns: str) -> pl.Expr:
        """Return the words in place of the places, for `DataFrame.with_columns`."""
        return pl.col(columns).cat.to(self._words.dtype)


class Calendar(Words):
    """The dates of the days that were given, and of those between, as they are written.

    Each day is put into words once: a writer of dates would do so for every cell.
    """

    def __init__(self, *given: NDArray[np.float64]) -> None:
        some = [days for days in given if len(days)]
        self._first = int(min((days.min() for days in some), default=0))
        last = int(max((days.max() for days in some), default=0))
        days = pl.Series(np.arange(self._first, last + 1, dtype=np.int32))
        super().__init__(days.cast(pl.Date).cast(pl.String))

    def places(self, days: NDArray[np.float64]) -> pl.Series:
        """Return the places of days; the part of a day is left out."""
        return places(days - self._first)

    def dates(self, days: NDArray[np.float64]) -> pl.Series:
        """Return the dates of days; the part of a day is left out."""
        return self.places(days).cat.to(self._words.dtype)


def places(numbers: NDArray[np.float64] | NDArray[np.int64]) -> pl.Series:
    """Return whole numbers, none of them negative, as a column."""
    return pl.Series(numbers.astype(np.uint32))


def dates(days: NDArray[np.float64]) -> pl.Series:
    """Return the dates of day numbers as they are written."""
    return Calendar(days).dates(days)


def chosen(values: pl.Series, rows: NDArray[np.int64]) -> pl.Series:
    """Return the values in those rows."""
    return values.gather(places(rows))


def written(cell: Cell) -> str:
    """Return a cell as it is printed: `NA` if missing, 17 significant digits."""
    if cell is None:
        return "NA"
    return f"{cell:.17g}" if isinstance(cell, float) else str(cell)


def rows(table: pl.DataFrame) -> Iterator[Mapping[str, str]]:
    """Yield the rows of a table of strings by column name, what is missing as ""."""
    for row in table.iter_rows(named=True):
        yield {name: value or "" for name, value in row.items()}
