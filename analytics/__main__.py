"""Compute on CSV files: python -m analytics COMMAND FILES [-o TABLE.csv].

Rows are compared by key, in any order; missing values are NA.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn, Protocol

from analytics.commands import (
    cma,
    detect,
    electronic_monitoring,
    episodes,
    gaps,
    initiation,
    per_episode,
    sliding,
)
from analytics.commands.tables import Refused


class Command(Protocol):
    """A module of `analytics.commands`; the first line of its docstring is its help."""

    __doc__: str | None

    def arguments(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


COMMANDS: dict[str, Command] = {
    "cma": cma,
    "gaps": gaps,
    "episodes": episodes,
    "per-episode": per_episode,
    "sliding": sliding,
    "initiation": initiation,
    "electronic-monitoring": electronic_monitoring,
    "detect": detect,
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line; `--help` has the rest."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, or 2 where it refuses, with one line why."""
    parser = Parser(prog="analytics", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        words = command.__doc__ or ""
        command.arguments(
            commands.add_parser(
                name,
                help=words.splitlines()[0],
                description=words,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    arguments = parser.parse_args(argv)
    try:
        return COMMANDS[arguments.command].run(arguments)
    except Refused as why:
        print(f"analytics {arguments.command}: {why}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
