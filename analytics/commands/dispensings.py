"""Dispensing data read from CSV: checked, in order, and as arrays."""

from argparse import Namespace
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from analytics.adherence.dispensing import (
    Dispensings,
    Index,
    OutsideFollowUp,
    Plan,
    Windows,
)
from analytics.commands.tables import MalformedTable, Refused, line_of, read

EARLIEST = date(1900, 1, 1)  # before it, a year of two digits was read as one of four


@dataclass(frozen=True, slots=True)
class Table:
    """Events by patient and date: as read, only with dates as such; and as arrays."""

    rows: pl.DataFrame
    events: Dispensings
    patients: pl.Series  # ids under the name they have in the file

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
    numbers = () if everything else (names["duration"], names["dose"])
    rows = read(
        arguments.file,
        [names[key] for key in keys],
        numbers=numbers,
        everything=everything,
    )
    cells = Cells(arguments.file, rows, names)
    identity = cells.present("id")
    columns: dict[str, pl.Series] = {
        "day": cells.dates(arguments.date_format),
        "supply": cells.positive("duration"),
    }
    if classes:
        codes = cells.present("class").cast(pl.Categorical).to_physical()
        columns["medication"] = codes.cast(pl.Int64)
    if doses:
        columns["daily_dose"] = cells.positive("dose")
    rows = rows.with_columns(columns["day"].alias(names["date"]))
    columns["day"] = columns["day"].to_physical().cast(pl.Float64)
    patients, first = _runs(identity)
    if not _ordered(patients, first, columns["day"]):
        order = _order(identity, columns["day"])
        rows = rows[order]
        columns = {name: values[order] for name, values in columns.items()}
        patients, first = _runs(identity[order])
    arrays = {name: values.to_numpy() for name, values in columns.items()}
    return Table(rows, Dispensings(first, **arrays), patients.alias(identity.name))


def _runs(identity: pl.Series) -> tuple[pl.Series, Index]:
    """Return the id of each run, and where it begins, with the number of rows."""
    runs = identity.rle().struct
    lengths = runs.field("len").to_numpy()
    return runs.field("value"), np.append(0, np.cumsum(lengths, dtype=np.int64))


def _ordered(patients: pl.Series, first: Index, day: pl.Series) -> bool:
    """Return whether every patient is one run, in order of days."""
    days = day.to_numpy()
    falls = days[1:] < days[:-1]
    falls[first[1:-1] - 1] = False
    return patients.n_unique() == len(patients) and not falls.any()


def _order(identity: pl.Series, day: pl.Series) -> pl.Series:
    """Return the rows by patient, in order of first appearance, day and place."""
    seen = identity.cast(pl.Categorical).to_physical()
    by = pl.DataFrame({"patient": seen, "day": day})
    return by.select(pl.arg_sort_by("patient", "day", maintain_order=True)).to_series()


class Cells:
    """Columns of which every cell is needed; the first that is of no use is named."""

    def __init__(self, path: Path, rows: pl.DataFrame, names: dict[str, str]) -> None:
        self._path, self._rows, self._names = path, rows, names

    def present(self, key: str) -> pl.Series:
        """Return the cells as they are."""
        return self._all(key, self._rows[self._names[key]], "is not given")

    def positive(self, key: str) -> pl.Series:
        """Return the cells as positive numbers."""
        cells = self._rows[self._names[key]].cast(pl.Float64, strict=False)
        known = (cells > 0) & cells.is_finite()
        if not known.all():
            cells = cells.set(~known, None)
        return self._all(key, cells, "is not a positive number")

    def dates(self, pattern: str) -> pl.Series:
        """Return the cells as dates."""
        written = self._rows[self._names["date"]].str
        days = written.to_date(pattern, strict=False, cache=False)
        if not (days >= EARLIEST).all():
            days = days.set(days < EARLIEST, None)
        return self._all("date", days, f"is not a date like {pattern} after 1900")

    def _all(self, key: str, values: pl.Series, why: str) -> pl.Series:
        if not values.null_count():
            return values
        row = int(values.is_null().arg_max() or 0)
        cell = self._rows[self._names[key]][row]
        shown = f"{cell:.15g}" if isinstance(cell, float) else cell
        raise MalformedTable(
            self._path,
            f"it {why}" if cell is None else f"'{shown}' {why}",
            line=line_of(self._path, row),
            column=self._names[key],
        )
