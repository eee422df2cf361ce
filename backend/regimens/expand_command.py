"""`python -m backend expand`: the instants at which a prescription makes doses due."""

import argparse
from collections.abc import Iterator
from datetime import datetime

from backend.regimens.expand import occurrences
from backend.regimens.fhir_time import read_bound, read_day
from backend.regimens.fhir_timing import Circumstances
from backend.regimens.read import read_file, read_meals
from backend.regimens.timing import BadTiming, is_untimed
from backend.regimens.zones import zone_named


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("timing", metavar="TIMING.json", help="a file, or - for stdin")
    parser.add_argument("--zone", required=True, help="IANA name, as Europe/London")
    parser.add_argument(
        "--from", dest="first", required=True, metavar="D", help="first local day"
    )
    parser.add_argument(
        "--to", dest="last", required=True, metavar="D", help="last local day, included"
    )
    parser.add_argument(
        "--start",
        metavar="WHEN",
        help="when it begins, where its bounds do not say: a date or an instant",
    )
    parser.add_argument(
        "--meal",
        action="append",
        default=[],
        metavar="EVENT=TIME",
        help="the patient's breakfast, lunch, dinner, wake or bedtime, as dinner=19:00",
    )


def due_lines(asked: argparse.Namespace) -> Iterator[str]:
    """Return the instants due on the local days asked for, as UTC text, ascending.

    Raises BadTiming before the first instant.
    """
    found = _expand(asked)
    return (f"{due_at:%Y-%m-%dT%H:%M:%SZ}" for due_at in found)


def _expand(asked: argparse.Namespace) -> Iterator[datetime]:
    first, last = read_day(asked.first, "--from"), read_day(asked.last, "--to")
    if first > last:
        raise BadTiming(f"--from {asked.first} lies after --to {asked.last}")
    zone = zone_named(asked.zone)
    at = Circumstances(zone, read_bound(asked.start, "start"), read_meals(asked.meal))
    timing = read_file(asked.timing, at).timing
    if is_untimed(timing):
        raise BadTiming("so many doses a day need times: nothing says at what")
    found = occurrences(timing, zone=zone, first=first, last=last)
    return (one.due_at for one in found if one.due_at is not None)
