"""`python -m backend expand`: the instants at which a FHIR Timing makes doses due."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from backend.regimens.expand import occurrences
from backend.regimens.fhir_time import read_day
from backend.regimens.fhir_timing import read_timing
from backend.regimens.timing import BadTiming
from backend.regimens.zones import zone_named

LONGEST_REFUSAL = 300


def due_lines(path: str, *, zone: str, first: str, last: str) -> Iterator[str]:
    """Return the instants due on local days `first` to `last`, as UTC text, ascending.

    `path` is a file of JSON, or - for standard input. Raises BadTiming, in one line,
    before the first instant.
    """
    try:
        found = _expand(path, zone, first, last)
    except BadTiming as error:
        line = " ".join(str(error).split())
        raise BadTiming(line[:LONGEST_REFUSAL]) from error
    return (f"{due_at:%Y-%m-%dT%H:%M:%SZ}" for due_at in found)


def _expand(path: str, zone_name: str, first: str, last: str) -> Iterator[datetime]:
    first_day, last_day = read_day(first, "--from"), read_day(last, "--to")
    if first_day > last_day:
        raise BadTiming(f"--from {first} lies after --to {last}")
    zone = zone_named(zone_name)
    timing = read_timing(_read_json(path), zone=zone)
    found = occurrences(timing, zone=zone, first=first_day, last=last_day)
    return (one.due_at for one in found if one.due_at is not None)


def _read_json(path: str) -> object:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text("utf-8-sig")
        return json.loads(text, parse_float=Decimal)
    except OSError as error:
        raise BadTiming(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadTiming(f"{path} is not JSON: {error}") from error
