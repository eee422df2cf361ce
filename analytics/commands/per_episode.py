"""Print a measure over the observed part of every treatment episode.

The columns of `episodes`, with CMA. Start and end are those of the observed part;
episode.duration and end.episode.gap.days are those of the whole episode.
"""

from argparse import ArgumentParser, Namespace

import polars as pl

from analytics.adherence.episodes import per_episode
from analytics.commands.episodes import COLUMNS, DATES, events_of_episodes, rows
from analytics.commands.options import (
    add_episodes,
    add_measure,
    add_table,
    add_windows,
    episode_rule,
    plan,
)
from analytics.commands.tables import Calendar, numbers, write


def arguments(parser: ArgumentParser) -> None:
    add_table(parser)
    add_windows(parser)
    add_episodes(parser)
    add_measure(parser)


def run(arguments: Namespace) -> int:
    table = events_of_episodes(arguments)
    windows = table.windows(plan(arguments))
    rule, measure = episode_rule(arguments), arguments.measure
    calendar = Calendar(windows.followup_start, windows.followup_end)
    tables = [
        rows(table.patients, calendar, part.episodes, part.start, part.end).hstack(
            [numbers(part.availability.value).alias("CMA")]
        )
        for part in per_episode(table.events, windows, rule, measure)
    ]
    header = pl.DataFrame(schema=[table.patients.name, *COLUMNS, "CMA"])
    every = [pl.concat(tables, how="vertical_relaxed")] if tables else []
    whole = [some.with_columns(calendar.of(*DATES)) for some in every]
    write([header, *whole], arguments.output, ids=table.patients)
    return 0
