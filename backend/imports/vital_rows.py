"""Rows of a wearable file to samples: parsed, judged, and put together by person."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from backend.imports.refusals import Refusals, quoted
from backend.imports.table import Row
from backend.imports.vital_mapping import MISSING, Column, Layout
from backend.vitals.segment import milliseconds

MOST_VALUES = 200_000  # held in memory at once
LONGEST_ID = 128
MOST_DIGITS = 40

Instant = Callable[[str], int]


class Unusable(ValueError):
    """Why a row cannot be used, in words for whoever has the file before them."""


@dataclass(slots=True)
class Chunk:
    """Samples of many people: by (person, column), instant to (value, line)."""

    series: dict[tuple[str, int], dict[int, tuple[float, int]]] = field(
        default_factory=dict[tuple[str, int], dict[int, tuple[float, int]]]
    )
    values: int = 0
    repeated: int = 0

    def add(self, row: "Read") -> None:
        """Take a row in; raises Unusable when it contradicts an earlier one."""
        for column, value in row.values:
            other = self.series.get((row.person, column), {}).get(row.at)
            if other is not None and other[0] != value:
                raise Unusable(
                    f"another value for this person and time in line {other[1]}"
                )
        for column, value in row.values:
            of = self.series.setdefault((row.person, column), {})
            if row.at in of:
                self.repeated += 1
            else:
                of[row.at] = value, row.line
                self.values += 1

    def persons(self) -> set[str]:
        return {person for person, _ in self.series}


@dataclass(frozen=True, slots=True)
class Read:
    """One usable row: whose, when (milliseconds since 1970), (column, value) pairs."""

    line: int
    person: str
    at: int
    values: list[tuple[int, float]]


def chunks(
    rows: Iterable[Row],
    layout: Layout,
    *,
    now: datetime,
    name: str,
    refusals: Refusals,
) -> Iterator[Chunk]:
    """Yield the samples of the rows that can be used, bounded in memory.

    `rows` hold the cells of person, time and then the vitals, in the layout's order.
    A row with anything wrong in it is refused as a whole.
    """
    reader = RowReader(layout, now)
    chunk = Chunk()
    for row in rows:
        try:
            read = reader.read(row.line, row.cells)
            chunk.add(read)
        except Unusable as error:
            refusals.refuse(name, row.line, str(error))
        if chunk.values >= MOST_VALUES:
            yield chunk
            chunk = Chunk()
    yield chunk


class RowReader:
    """Turns cells into samples, as one layout has them."""

    def __init__(self, layout: Layout, now: datetime) -> None:
        self._columns = list(enumerate(layout.vital))
        self._instant = lru_cache(maxsize=100_000)(instant_of(layout.time, layout.tz))
        self._first = milliseconds(datetime(1990, 1, 1, tzinfo=UTC))
        self._last = milliseconds(now)

    def read(self, line: int, cells: Sequence[str]) -> Read:
        """Return what a row says; raises Unusable."""
        person = cells[0].strip()
        if not person:
            raise Unusable("no person")
        if len(person) > LONGEST_ID:
            raise Unusable(f"a person's id of more than {LONGEST_ID} characters")
        at = self._at(cells[1].strip())
        values: list[tuple[int, float]] = []
        for number, column in self._columns:
            text = cells[number + 2]
            if text and (value := _value(text, column)) is not None:
                values.append((number, value))
        return Read(line, person, at, values)

    def _at(self, text: str) -> int:
        try:
            at = self._instant(text)
        except (ValueError, OverflowError):
            raise Unusable(f"{quoted(text)} is no time that can be") from None
        if not self._first <= at <= self._last:
            when = "the future" if at > self._last else "before 1990"
            raise Unusable(
                f"{quoted(text)} is in {when}".replace("in before", "before")
            )
        return at


def instant_of(kind: str, zone: ZoneInfo) -> Instant:
    """Return the function from a cell to milliseconds since 1970; raises ValueError."""

    def local(at: datetime) -> int:
        return milliseconds(at if at.tzinfo else at.replace(tzinfo=zone))

    match kind:
        case "iso":
            return lambda text: local(datetime.fromisoformat(text))
        case "unix":
            return lambda text: _whole(float(text) * 1000)
        case "unix_ms":
            return lambda text: _whole(float(text))
        case _:
            return lambda text: local(datetime.strptime(text, kind))  # noqa: DTZ007


def _whole(number: float) -> int:
    if not math.isfinite(number):
        raise ValueError("no instant")
    return math.floor(number)


def _value(text: str, column: Column) -> float | None:
    """Return a cell's number in the vital's unit, None where nothing was measured."""
    text = text.strip()
    if text.lower() in MISSING:
        return None
    try:
        if "_" in text or len(text) > MOST_DIGITS:
            raise ValueError(text)
        number = float(text)
    except ValueError:
        raise Unusable(f"{column.column}: {quoted(text)} is no number") from None
    if number in column.missing:
        return None
    value, vital = number * column.scale, column.vital
    if not vital.low <= value <= vital.high:  # also a NaN
        raise Unusable(
            f"{column.column}: {quoted(text)} is no {vital.name.lower()} "
            f"({vital.low:g} to {vital.high:g} {vital.unit})"
        )
    return value
