"""`python -m backend import study`: its options, its progress, its last lines."""

import argparse
from collections.abc import Callable
from pathlib import Path

WORDS = """\
Import an electronic-monitoring study from a folder of CSV files.

Files are found by the part of their name after the last underscore: events, EMInfo and
Regimen must be there; EMCovariables, NonMonitoredPeriods and AddedOpenings may be.
docs/study-import.md describes them. Importing again changes nothing, changed rows
become corrections, and what the files no longer name stays. Nobody is reminded or
alerted by what is past. Refused rows are told by line. Exit code: 0 all rows were
used, 1 some were refused, 2 nothing was imported.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument(
        "--study",
        required=True,
        metavar="NAME",
        help="whose codes these are; the same every time",
    )
    parser.add_argument(
        "--zone",
        required=True,
        metavar="ZONE",
        help="of the times in the files, as Europe/Zurich",
    )
    parser.add_argument(
        "--clinic",
        metavar="NAME",
        help="whose patients these are; left out, a clinic of the study's own",
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="read everything first, and import nothing if a row cannot be used",
    )


def run(asked: argparse.Namespace, say: Callable[[str], None]) -> int:
    """Import and tell what was new; the exit code is 1 when rows were refused."""
    from backend.clock import domain_now, real_now
    from backend.imports.progress import progress_shown
    from backend.imports.study import import_study
    from backend.migrations import import_tables

    import_tables()  # a regimen points to a product, of which this knows nothing
    with progress_shown(say) as progress:
        done = import_study(
            asked.folder,
            name=asked.study,
            zone=asked.zone,
            clinic=asked.clinic,
            strict=asked.strict,
            now=domain_now(),
            real=real_now(),
            say=say,
            progress=progress,
        )
    for name in done.left_alone:
        say(f"{name} was left alone: there is no place for what it holds")
    new = ", ".join(f"{n:,} {kind}" for kind, n in done.written.rows.items() if n)
    say(
        f"{done.openings:,} openings read; new: {new or 'nothing'}; "
        f"{done.refused:,} rows refused, {done.warned:,} warnings"
    )
    return 1 if done.refused else 0
