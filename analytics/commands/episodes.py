"""Print the treatment episodes of every patient's follow-up.

One row an episode: the patient's id, episode.ID, episode.start, end.episode.gap.days in
whole days, episode.duration, episode.end.
"""

from argparse import ArgumentParser, Namespace

import numpy as np
import polars as pl

from analytics.adherence.episodes import Episodes, episodes
from analytics.adherence.lengths import Days
from analytics.commands.dispensings import Table, dispensings
from analytics.commands.options import (
    add_episodes,
    add_table,
    add_windows,
    episode_rule,
    plan,
)
from analytics.commands.tables import Calendar, chosen, counts, write

COLUMNS = (
    *("episode.ID", "episode.start", "end.episode.gap.days"),
    *("episode.duration", "episode.end"),
)
DATES = "episode.start", "episode.end"


def arguments(parser: ArgumentParser) -> None:
    add_table(parser)
    add_windows(parser, observed=False)
    add_episodes(parser)


def run(arguments: Namespace) -> int:
    table = events_of_episodes(arguments)
    windows = table.windows(plan(arguments))
    found = episodes(table.events, windows, episode_rule(arguments))
    calendar = Calendar(windows.followup_start, windows.followup_end)
    whole = rows(table.patients, calendar, found, found.start, found.end)
    dated = whole.with_columns(calendar.of(*DATES))
    write([dated], arguments.output, ids=table.patients)
    return 0


def events_of_episodes(arguments: Namespace) -> Table:
    """Return the events, with the classes and doses that the rule compares."""
    return dispensings(
        arguments,
        classes=arguments.medication_change_starts_episode,
        doses=arguments.dosage_change_starts_episode,
    )


def rows(
    patients: pl.Series, calendar: Calendar, found: Episodes, start: Days, end: Days
) -> pl.DataFrame:
    """Return a row an episode, from start to end, with the ids of all patients.

    Dates are places in the calendar still, to be put into words for many rows at once.
    """
    columns = (
        pl.Series(found.number),
        calendar.places(start),
        counts(np.floor(found.gap)),
        counts(found.duration),
        calendar.places(end),
    )
    ids = {patients.name: chosen(patients, found.patient)}
    return pl.DataFrame(ids | dict(zip(COLUMNS, columns, strict=True)))
