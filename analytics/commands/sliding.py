"""Print a measure over windows that slide along the observation window.

One row a patient and window: the patient's id, window.ID, window.start, window.end and
CMA.
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import chain, islice

import polars as pl

from analytics.adherence.sliding import Slide, sliding
from analytics.commands.dispensings import dispensings
from analytics.commands.options import (
    add_measure,
    add_table,
    add_windows,
    carry_over,
    length,
    plan,
)
from analytics.commands.tables import Calendar, Refused, Words, numbers, places, write

AT_ONCE = 16  # blocks of windows that are written together


def arguments(parser: ArgumentParser) -> None:
    add_table(parser)
    add_windows(parser)
    add_measure(parser)
    parser.add_argument("--window", type=length, required=True, metavar="LENGTH")
    how_far = parser.add_mutually_exclusive_group(required=True)
    how_far.add_argument("--step", type=length, metavar="LENGTH")
    how_far.add_argument(
        "--steps", type=int, help="so many windows, spread over the observation window"
    )


def run(arguments: Namespace) -> int:
    try:
        slide = Slide(arguments.window, arguments.step, arguments.steps)
    except ValueError as why:
        raise Refused(str(why)) from why
    table = dispensings(arguments)
    windows = table.windows(plan(arguments))
    patients = table.patients
    ids, calendar = Words(patients), Calendar(windows.start, windows.end)

    def tables() -> Iterator[pl.DataFrame]:
        measure, carry = arguments.measure, carry_over(arguments)
        for part in sliding(table.events, windows, slide, measure, carry):
            available = part.availability
            columns = (
                places(part.patient),
                pl.Series(part.number),
                calendar.places(available.start),
                calendar.places(available.end),
                numbers(available.value),
            )
            yield pl.DataFrame(dict(zip(header.columns, columns, strict=True)))

    def together() -> Iterator[pl.DataFrame]:
        """Join small tables, so that each is worth the start of a writer."""
        every = tables()
        words = ids.of(patients.name), calendar.of("window.start", "window.end")
        while some := list(islice(every, AT_ONCE)):
            yield pl.concat(some).with_columns(words)

    header = pl.DataFrame(
        schema=[patients.name, "window.ID", "window.start", "window.end", "CMA"]
    )
    write(chain([header], together()), arguments.output, ids=patients)
    return 0
