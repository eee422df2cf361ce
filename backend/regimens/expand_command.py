"""`python -m backend expand`: the instants at which a FHIR Timing makes doses due."""

import argparse
import json
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

from backend.regimens.expand import Occurrence, occurrences
from backend.regimens.fhir_time import read_day
from backend.regimens.fhir_timing import read_timing
from backend.regimens.timing import BadTiming
from backend.regimens.zones import TZDB_VERSION, zone_named

BAD_INPUT = 2
SUMMARY = "Print when a FHIR R4 Timing makes doses due, one UTC instant a line."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        f"{SUMMARY} Time zones are those of the IANA database {TZDB_VERSION}. "
        "A time that spring skips is due right after the gap, a time that autumn "
        "repeats at its first pass."
    )
    parser.add_argument("timing", metavar="TIMING.json", help="a file, or - for stdin")
    parser.add_argument("--zone", required=True, help="IANA name, e.g. Europe/London")
    parser.add_argument(
        "--from", dest="first", required=True, metavar="D", help="first local day"
    )
    parser.add_argument(
        "--to", dest="last", required=True, metavar="D", help="last local day, included"
    )


def run(args: argparse.Namespace) -> int:
    """Print the instants and return 0, or say in one line what is wrong, return 2."""
    try:
        first, last = read_day(args.first, "--from"), read_day(args.last, "--to")
        due = expand(args.timing, zone_name=args.zone, first=first, last=last)
    except BadTiming as error:
        sys.stderr.write(f"expand: {' '.join(str(error).split())}\n")
        return BAD_INPUT
    for one in due:
        sys.stdout.write(f"{one.due_at:%Y-%m-%dT%H:%M:%SZ}\n")
    return 0


def expand(
    path: str, *, zone_name: str, first: date, last: date
) -> Iterator[Occurrence]:
    """Return what the Timing in a file makes due; raises BadTiming before the first."""
    if first > last:
        raise BadTiming(f"--from {first} lies after --to {last}")
    zone = zone_named(zone_name)
    timing = read_timing(_read_json(path), zone=zone)
    return occurrences(timing, zone=zone, first=first, last=last)


def _read_json(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8-sig")
        return json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise BadTiming(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadTiming(f"{path} is not JSON: {error}") from error
