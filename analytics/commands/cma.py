"""Print measures of medication availability, CMA1 to CMA9, of every patient.

One row a patient and measure: its id, CMA, measure. NA is a measure that is undefined;
--details says why, and prints the days and events that it was computed from.
"""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Iterator

import numpy as np
import polars as pl

from analytics.adherence.cma import Availability, Cma, Reason, cma
from analytics.commands.dispensings import dispensings
from analytics.commands.options import (
    add_table,
    add_windows,
    carry_over,
    measure,
    plan,
)
from analytics.commands.tables import counts, numbers, write

REASONS = pl.Series([None, *(reason.name.lower() for reason in list(Reason)[1:])])


def arguments(parser: ArgumentParser) -> None:
    add_table(parser)
    parser.add_argument(
        "--measures",
        type=_measures,
        default=list(Cma),
        metavar="CMA1,CMA7",
        help="all nine if not given",
    )
    add_windows(parser)
    parser.add_argument("--details", action="store_true")


def _measures(text: str) -> list[Cma]:
    found = [measure(part) for part in text.split(",")]
    if len(set(found)) < len(found):
        raise ArgumentTypeError(f"{text!r} names a measure twice")
    return found


def run(arguments: Namespace) -> int:
    table = dispensings(arguments)
    windows = table.windows(plan(arguments))
    found = cma(table.events, windows, arguments.measures, carry_over(arguments))
    patients = table.patients

    def tables() -> Iterator[pl.DataFrame]:
        for name, available in found.items():
            columns = {
                patients.name: patients,
                "CMA": numbers(available.value),
                "measure": pl.repeat(name.value, len(patients), eager=True),
            }
            if arguments.details:
                columns |= details(available)
            yield pl.DataFrame(columns)

    # Of all measures together, as days are then whole in each of them or in none.
    every = (
        [pl.concat(tables(), how="vertical_relaxed")] if arguments.details else tables()
    )
    write(every, arguments.output, ids=patients)
    return 0


def details(available: Availability) -> dict[str, pl.Series]:
    """Return what each value was computed from, and why it is undefined if it is."""
    known = available.reason == Reason.DEFINED
    return {
        "reason": REASONS.gather(available.reason),
        "events": pl.Series(available.events),
        "supplied.days": counts(np.where(known, available.supplied, np.nan)),
        "observed.days": counts(np.where(known, available.observed, np.nan)),
    }
