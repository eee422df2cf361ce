"""The rows of a study's smaller files as values; what cannot be one is refused.

These files have a few rows a monitor and are held in memory. The openings are not.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeVar

from backend.imports.refusals import Refusals, quoted
from backend.imports.study_files import LAYOUTS, Part
from backend.imports.table import read_rows

FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2099, 12, 30)
MOST_A_DAY = 100  # openings that a regimen may ask for, or a correction add
LONGEST_CYCLE = 3650
LONGEST_CODE = 200
LONGEST_COMMENT = 2000

Monitor = tuple[str, str]  # the codes of patient and monitor
Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Days:
    """A patient's monitor from `first` to `last`, both included."""

    line: int
    monitor: Monitor
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Asked(Days):
    """`expected` openings a day, or only on the first `on` of every `on` + `off`."""

    expected: int
    on: int
    off: int  # 0: no cycle


@dataclass(frozen=True, slots=True)
class Unseen(Days):
    """Days on which the monitor's silence or use says nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Added:
    """Openings that a person added to a day, or took off it."""

    line: int
    monitor: Monitor
    day: date
    count: int
    reason: str


@dataclass(frozen=True, slots=True)
class Aside:
    """All of a study but its openings."""

    spans: Sequence[Days]
    drugs: Mapping[Monitor, str]
    asked: Sequence[Asked]
    unseen: Sequence[Unseen]
    added: Sequence[Added]


def read_aside(files: Mapping[Part, Path], refusals: Refusals) -> Aside:
    """Return every row of the smaller files that can be read."""

    def rows(part: Part, read: Callable[[int, Sequence[str]], Read]) -> list[Read]:
        path = files.get(part)
        return [] if path is None else list(_read(path, part, read, refusals))

    return Aside(
        spans=rows(Part.MONITORS, _days),
        drugs=dict(rows(Part.MONITOR_COVARIABLES, _drug)),
        asked=rows(Part.REGIMENS, _asked),
        unseen=rows(Part.NON_MONITORED, _unseen),
        added=rows(Part.ADDED, _added),
    )


def _read(
    path: Path,
    part: Part,
    read: Callable[[int, Sequence[str]], Read],
    refusals: Refusals,
) -> Iterator[Read]:
    layout = LAYOUTS[part]
    for line, cells in read_rows(path, layout.columns, layout.also, refusals=refusals):
        try:
            yield read(line, cells)
        except ValueError as error:
            refusals.refuse(path.name, line, str(error))


def read_monitor(patient: str, monitor: str) -> Monitor:
    """Return the two codes, trimmed; raises ValueError."""
    codes = patient.strip(), monitor.strip()
    if not all(code and len(code) <= LONGEST_CODE for code in codes):
        raise ValueError(f"want codes of 1 to {LONGEST_CODE} characters")
    return codes


def _days(line: int, cells: Sequence[str]) -> Days:
    return Days(line, read_monitor(*cells[:2]), *_span(*cells[2:4]))


def _drug(_line: int, cells: Sequence[str]) -> tuple[Monitor, str]:
    drug = cells[2].strip()
    if not 0 < len(drug) <= LONGEST_CODE:
        raise ValueError(f"want a DCI of 1 to {LONGEST_CODE} characters")
    return read_monitor(*cells[:2]), drug


def _asked(line: int, cells: Sequence[str]) -> Asked:
    expected = _number(cells[2])
    if not 0 <= expected <= MOST_A_DAY:
        raise ValueError(f"want 0 to {MOST_A_DAY} expected openings")
    days, cycle = _span(*cells[3:5]), _cycle(*cells[5:7])
    return Asked(line, read_monitor(*cells[:2]), *days, expected, *cycle)


def _cycle(on: str, off: str) -> tuple[int, int]:
    """Return days on and off, (0, 0) where there is no day off."""
    if not on.strip() and not off.strip():
        return 0, 0
    days = _number(on), _number(off)
    if not (1 <= days[0] <= LONGEST_CYCLE and 0 <= days[1] <= LONGEST_CYCLE):
        raise ValueError("want On of 1 or more days and Off of 0 or more")
    return days if days[1] else (0, 0)


def _unseen(line: int, cells: Sequence[str]) -> Unseen:
    days = _span(*cells[2:4])
    return Unseen(line, read_monitor(*cells[:2]), *days, _comment(cells[4]))


def _added(line: int, cells: Sequence[str]) -> Added:
    count = _number(cells[3])
    if not -MOST_A_DAY <= count <= MOST_A_DAY:
        raise ValueError(f"want at most {MOST_A_DAY} added or taken off")
    monitor = read_monitor(*cells[:2])
    return Added(line, monitor, _day(cells[2]), count, _comment(cells[4]))


def _span(first: str, last: str) -> tuple[date, date]:
    days = _day(first), _day(last)
    if days[0] > days[1]:
        raise ValueError(f"it ends on {days[1]}, before it starts on {days[0]}")
    return days


def _day(text: str) -> date:
    trimmed = text.strip()
    try:
        day = date.fromisoformat(trimmed)
    except ValueError:
        day = date.min
    if len(trimmed) != 10 or not FIRST_DAY <= day <= LAST_DAY:
        raise ValueError(f"want a day like 2026-03-02, got {quoted(text)}")
    return day


def _number(text: str) -> int:
    """Read a whole number, also as R writes it: 21.0."""
    whole = text.strip().removesuffix(".0")
    try:
        number = int(whole) if len(whole) < 10 and "_" not in whole else None
    except ValueError:
        number = None
    if number is None:
        raise ValueError(f"want a whole number, got {quoted(text)}")
    return number


def _comment(text: str) -> str:
    return text.strip()[:LONGEST_COMMENT]
