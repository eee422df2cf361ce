"""Print the interval, the gap and the carry-over of every event of the follow-up.

All columns of the file, with event.interval, gap.days, .CARRY.OVER.FROM.BEFORE and the
dates of both windows. NA: the event is outside of what was asked for.
"""

from argparse import ArgumentParser, Namespace

import polars as pl

from analytics.adherence.gaps import gaps
from analytics.commands.dispensings import dispensings
from analytics.commands.options import add_table, add_windows, carry_over, plan
from analytics.commands.tables import Refused, counts, dates, write


def arguments(parser: ArgumentParser) -> None:
    add_table(parser)
    add_windows(parser)
    parser.add_argument(
        "--carryover-within",
        action="store_true",
        help="carry supply over from event to event",
    )
    parser.add_argument(
        "--carryover-into",
        action="store_true",
        help="begin with the events of the follow-up before the observation",
    )


def run(arguments: Namespace) -> int:
    table = dispensings(arguments, everything=True)
    windows = table.windows(plan(arguments))
    found = gaps(
        table.events,
        windows,
        carry_over(arguments) if arguments.carryover_within else None,
        from_followup_start=arguments.carryover_into,
    )
    added = {
        "event.interval": counts(found.interval),
        "gap.days": counts(found.gap),
        ".CARRY.OVER.FROM.BEFORE": counts(found.carried),
        ".FU.START.DATE": dates(windows.followup_start[found.patient]),
        ".FU.END.DATE": dates(windows.followup_end[found.patient]),
        ".OBS.START.DATE": dates(windows.start[found.patient]),
        ".OBS.END.DATE": dates(windows.end[found.patient]),
    }
    if taken := set(added) & set(table.rows.columns):
        raise Refused(f"{arguments.file}: has a column {min(taken)} already: rename it")
    rows = table.rows[pl.Series(found.place)]
    write([rows.with_columns(**added)], arguments.output)
    return 0
