"""CSV files as rows of cells, one at a time, whatever somebody put into them.

A row that cannot be read is refused by its line and the next one is read: an unclosed
quote or a line without end spoils nothing but itself. Memory does not grow with the
file, nor with its longest line.
"""

import csv
from collections.abc import Callable, Iterator, Sequence
from io import TextIOWrapper
from pathlib import Path
from typing import BinaryIO, NamedTuple

from backend.errors import Unprocessable
from backend.imports.refusals import Refusals, quoted

LONGEST_LINE = 65_536
TOLD_EVERY = 20_000  # lines
MOST_LINES = 20  # that one quoted cell may run over


class UnreadableFile(Unprocessable):
    """A file that cannot be imported as a whole; the message names it and says why."""


class Row(NamedTuple):
    """The cells of the columns asked for, in that order; '' where there are none."""

    line: int
    cells: Sequence[str]


def read_rows(
    path: Path,
    columns: Sequence[str],
    optional: Sequence[str] = (),
    *,
    refusals: Refusals,
    progress: Callable[[int], None] = lambda _octets: None,
) -> Iterator[Row]:
    """Yield the rows of a CSV file: comma, UTF-8 (a byte order mark is skipped).

    Columns are found by their name in the first line, in any order; others are left
    alone. `progress` is told now and then how many octets were read. Raises
    UnreadableFile for a file without its columns.
    """
    try:
        with path.open("rb") as octets:
            lines = _Lines(octets, progress)
            yield from _rows(lines, path.name, columns, optional, refusals)
    except OSError as error:
        raise UnreadableFile(f"{path.name}: {error.strerror}") from error


def _rows(
    lines: "_Lines",
    name: str,
    columns: Sequence[str],
    optional: Sequence[str],
    refusals: Refusals,
) -> Iterator[Row]:
    header = _header(lines, name)
    places = _places(header, columns, optional, name)
    width = len(header)
    straight = places == list(range(width))
    for line, cells in _records(lines, width, name, refusals):
        if len(cells) != width:
            refusals.refuse(name, line, f"want {width} cells, got {len(cells)}")
        elif straight:
            yield Row(line, cells)
        else:
            yield Row(line, [cells[at] if at is not None else "" for at in places])


def _header(lines: "_Lines", name: str) -> list[str]:
    text = lines.next()
    fault = _fault(text)
    if fault:
        raise UnreadableFile(f"{name}: its first line {fault}")
    try:
        cells = next(csv.reader([text], strict=True), list[str]())
    except csv.Error as error:
        raise UnreadableFile(f"{name}: its first line: {error}") from error
    if not any(cells):
        raise UnreadableFile(f"{name}: the file is empty")
    return [cell.strip() for cell in cells]


def _places(
    header: Sequence[str], columns: Sequence[str], optional: Sequence[str], name: str
) -> list[int | None]:
    """Return where in a row each column stands, None for an optional one."""
    if not any(header):
        raise UnreadableFile(f"{name}: the file is empty")
    missing = [column for column in columns if column not in header]
    if missing:
        seen = quoted(",".join(header))
        raise UnreadableFile(
            f"{name}: no column {', '.join(missing)} in its first line, {seen}"
        )
    twice = [column for column in (*columns, *optional) if header.count(column) > 1]
    if twice:
        raise UnreadableFile(f"{name}: more than one column {twice[0]}")
    wanted = (*columns, *optional)
    return [header.index(column) if column in header else None for column in wanted]


class _Lines:
    """The lines of a file with their numbers; some may be given back."""

    def __init__(self, octets: BinaryIO, progress: Callable[[int], None]) -> None:
        self._octets, self._progress = octets, progress
        self._file = TextIOWrapper(
            octets, encoding="utf-8-sig", errors="surrogateescape", newline=""
        )
        self._back: list[str] = []
        self.number = 0

    def next(self) -> str:
        """Return the next line, '' at the end; of one too long only the beginning."""
        text = self._back.pop() if self._back else self._file.readline(LONGEST_LINE + 1)
        self.number += bool(text)
        if not text or self.number % TOLD_EVERY == 0:
            self._progress(self._octets.tell())
        return text

    def skip_rest(self) -> None:
        """Read on to the end of a line that was longer than the longest."""
        while part := self._file.readline(LONGEST_LINE):
            if part.endswith(("\n", "\r")):
                return

    def give_back(self, lines: Sequence[str]) -> None:
        self._back.extend(reversed(lines))
        self.number -= len(lines)


def _records(lines: _Lines, width: int, name: str, refusals: Refusals) -> Iterator[Row]:
    """Yield each record that can be read, with all its cells and its first line."""
    while text := lines.next():
        line = lines.number
        if text.isspace():
            continue
        fault = _fault(text)
        if len(text) > LONGEST_LINE and not text.endswith(("\n", "\r")):
            lines.skip_rest()
        if fault:
            refusals.refuse(name, line, fault)
        elif '"' not in text:
            yield Row(line, text.rstrip("\r\n").split(","))
        elif cells := _quoted(text, lines, width):
            yield Row(line, cells)
        else:
            refusals.refuse(name, line, "quotes that do not close as they should")


def _fault(text: str) -> str | None:
    """Return what is wrong with a line as such."""
    if len(text) > LONGEST_LINE:
        return f"is longer than {LONGEST_LINE:,} characters"
    if "\0" in text:
        return "holds a NUL"
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return "is not UTF-8"
    return None


def _quoted(text: str, lines: _Lines, width: int) -> list[str] | None:
    """Return the cells of a record with quotes, None when they do not close.

    A quoted cell may run over several lines, if the record then has its `width`.
    """
    cells, more = _parsed(text), list[str]()
    while cells is None and len(more) < MOST_LINES:
        following = lines.next()
        if not following:
            break
        more.append(following)
        if _fault(following):
            break
        cells = _parsed(text + "".join(more))
    if more and (cells is None or len(cells) != width):
        lines.give_back(more)
        return None
    return cells


def _parsed(text: str) -> list[str] | None:
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error:
        return None
