"""The `import` command: `study` or `vitals`. Loads nothing heavy for its help."""

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from backend.imports import study_command

VITALS_HELP = """\
Import a wearable file: CSV with a row a person and day or minute.

People are found by their id in the file, or written down: as an identifier whose
system is SOURCE. A sample is known by person, source, vital and instant, so importing
a file again, or one that overlaps it, changes nothing. docs/vitals-import.md describes
the mapping. Refused rows are told by line. Exit code: 0 all rows were used, 1 some
were refused, 2 nothing was imported.
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two forms of the command."""
    forms = parser.add_subparsers(dest="form", required=True, metavar="WHAT")
    for name, form in FORMS.items():
        one = forms.add_parser(
            name,
            help=form.words.splitlines()[0],
            description=form.words,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        form.arguments(one)


def run(asked: argparse.Namespace) -> int:
    """Import what was measured elsewhere: a study, or a wearable's file."""
    return FORMS[asked.form].run(asked)


def _vitals_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument(
        "--source",
        required=True,
        metavar="NAME",
        help="where the file comes from, such as acme-cloud; the same every time",
    )
    parser.add_argument(
        "--map",
        default="lifesnaps",
        metavar="MAPPING",
        help="a TOML file, or a built-in mapping: lifesnaps (default)",
    )
    parser.add_argument("--clinic", metavar="NAME", help="needed if there are several")
    parser.add_argument(
        "--zone", metavar="ZONE", help="of times without an offset, over the mapping's"
    )
    parser.add_argument(
        "--strict",
        action="store_true",
        help="read the whole file first, and import nothing if a row cannot be used",
    )


def _vitals(asked: argparse.Namespace) -> int:
    from backend.clock import domain_now
    from backend.imports.progress import progress_shown
    from backend.imports.refusals import Refusals
    from backend.imports.vital_mapping import load
    from backend.imports.vitals import import_vitals, the_clinic

    layout = load(asked.map, zone=asked.zone)
    refusals = Refusals(_say)
    size = asked.file.stat().st_size if asked.file.is_file() else 0
    with progress_shown(_say) as tell:
        done = import_vitals(
            asked.file,
            layout,
            clinic=the_clinic(asked.clinic),
            source=asked.source,
            now=domain_now(),
            refusals=refusals,
            strict=asked.strict,
            progress=lambda octets: tell("reading", octets, size),
        )
    _say(
        f"{done.new:,} samples new, {done.known:,} known, {done.people:,} people new, "
        f"{refusals.refused:,} rows refused"
    )
    if done.erased:
        _say(f"{done.erased:,} samples were left out: their people were erased")
    return 1 if refusals.refused else 0


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the command: what it does, its options, its words."""

    run: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None]
    words: str


FORMS: Mapping[str, Form] = {
    "study": Form(
        lambda asked: study_command.run(asked, _say),
        study_command.arguments,
        study_command.WORDS,
    ),
    "vitals": Form(_vitals, _vitals_arguments, VITALS_HELP),
}
