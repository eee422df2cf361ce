"""Dispensing data read from CSV: checked, in order, and as arrays."""

from argparse import Namespace
from dataclasses import dataclass
from datetime import date
from math import inf
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.adherence.dispensing import (
    Dispensings,
    Flags,
    Index,
    OutsideFollowUp,
    Plan,
    Windows,
)
from analytics.adherence.lengths import Days
from analytics.commands.tables import (
    MalformedTable,
    Refused,
    coded,
    dates,
    line_of,
    read,
)

EARLIEST = date(1900, 1, 1)  # before it, a year of two digits was read as one of four
NO_ROWS = pl.DataFrame()


@dataclass(frozen=True, slots=True)
class Table:
    """Events by patient and date, and the file's rows in that order, dates as such.

    Only what was asked to have everything has rows.
    """

    events: Dispensings
    patients: pl.Series  # ids under the name they have in the file
    rows: pl.DataFrame

    def windows(self, plan: Plan) -> Windows:
        """Return everybody's windows; raises Refused with whose do not fit."""
        try:
            return plan.windows(self.events)
        except OutsideFollowUp as why:
            raise Refused(
                f"patient {self.patients[why.place]}: the observation window is not "
                "inside the follow-up window: move or shorten it, or follow up longer"
            ) from why


def dispensings(
    arguments: Namespace,
    *,
    classes: bool = False,
    doses: bool = False,
    everything: bool = False,
) -> Table:
    """Return the events of the file; classes and doses only where they are needed.

    With `everything`, `rows` has all columns of the file. Raises MalformedTable with
    line and column of a cell that cannot be used.
    """
    names: dict[str, str] = arguments.columns
    classes |= arguments.carry_only_for_same_medication
    doses |= arguments.consider_dosage_change
    keys = ["id", "date", "duration", *["class"] * classes, *["dose"] * doses]
    words = {names["date"], names["class"]} - {names["id"]}
    rows = read(
        arguments.file,
        [names[key] for key in keys],
        numbers=() if everything else (names["duration"], names["dose"]),
        words=() if everything else words,
        everything=everything,
    )
    cells = Cells(arguments.file, rows, names)
    identity = cells.present("id")
    day = cells.days(arguments.date_format)
    supply = cells.positive("duration")
    medication = cells.codes("class") if classes else None
    dose = cells.positive("dose") if doses else None
    patients, first = _runs(identity)
    events = Dispensings(first, day, supply, medication, dose)
    rows = rows.with_columns(dates(day).alias(names["date"])) if everything else NO_ROWS
    if not _ordered(patients, events):
        order = _order(identity, day)
        patients, first = _runs(identity[order])
        events = events.taken(order.to_numpy(), first)
        rows = rows[order] if everything else rows
    return Table(events, patients.alias(identity.name), rows)


def _runs(identity: pl.Series) -> tuple[pl.Series, Index]:
    """Return the id of each run, and where it begins, with the number of rows."""
    runs = identity.rle().struct
    lengths = runs.field("len").to_numpy()
    return runs.field("value"), np.append(0, np.cumsum(lengths, dtype=np.int64))


def _ordered(patients: pl.Series, events: Dispensings) -> bool:
    """Return whether every patient is one run, in order of days."""
    falls = events.day[1:] < events.day[:-1]
    falls[events.first[1:-1] - 1] = False
    return patients.n_unique() == len(patients) and not falls.any()


def _order(identity: pl.Series, day: Days) -> pl.Series:
    """Return the rows by patient, in order of first appearance, day and place."""
    seen = identity.cast(pl.Categorical(pl.Categories.random())).to_physical()
    by = pl.DataFrame({"patient": seen, "day": day})
    return by.select(pl.arg_sort_by("patient", "day", maintain_order=True)).to_series()


class Cells:
    """Columns of which every cell is needed; the first that is of no use is named."""

    def __init__(self, path: Path, rows: pl.DataFrame, names: dict[str, str]) -> None:
        self._path, self._rows, self._names = path, rows, names

    def present(self, key: str) -> pl.Series:
        """Return the cells as they are."""
        cells = self._rows[self._names[key]]
        if cells.null_count():
            raise self._of_no_use(key, cells.is_null().to_numpy(), "is not given")
        return cells

    def codes(self, key: str) -> NDArray[np.uint32]:
        """Return a number for each cell, the same for what is the same."""
        words, codes = coded(self._rows[self._names[key]])
        if words.null_count():
            unknown = words.is_null().gather(codes).to_numpy()
            raise self._of_no_use(key, unknown, "is not given")
        return codes.to_numpy()

    def positive(self, key: str) -> Days:
        """Return the cells as positive numbers."""
        column = self._rows[self._names[key]]
        cells = column.cast(pl.Float64, strict=False).to_numpy()  # what is null is NaN
        if cells.min(initial=inf) > 0 and cells.max(initial=0) < inf:
            return cells
        unknown = ~((cells > 0) & (cells < inf))
        raise self._of_no_use(key, unknown, "is not a positive number")

    def days(self, pattern: str) -> Days:
        """Return the cells, which are dates, as day numbers."""
        words, codes = coded(self._rows[self._names["date"]])
        known = words.str.to_date(pattern, strict=False, cache=False)
        known = known.set(known < EARLIEST, None)
        if known.null_count():
            why = f"is not a date like {pattern} after 1900"
            unknown = known.is_null().gather(codes).to_numpy()
            raise self._of_no_use("date", unknown, why)
        return known.to_physical().cast(pl.Float64).gather(codes).to_numpy()

    def _of_no_use(self, key: str, unknown: Flags, why: str) -> MalformedTable:
        row = int(unknown.argmax())
        cell = self._rows[self._names[key]][row]
        shown = f"{cell:.15g}" if isinstance(cell, float) else cell
        return MalformedTable(
            self._path,
            f"it {why}" if cell in (None, "NA") else f"'{shown}' {why}",
            line=line_of(self._path, row),
            column=self._names[key],
        )
