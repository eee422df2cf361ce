"""The options that all commands on dispensing data share, and what they mean."""

from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path

from analytics.adherence.cma import Cma
from analytics.adherence.dispensing import CarryOver, Plan
from analytics.adherence.episodes import EpisodeRule
from analytics.adherence.lengths import Length
from analytics.commands.tables import Refused

NAMES = {
    "id": "PATIENT_ID",
    "date": "DATE",
    "duration": "DURATION",
    "class": "CATEGORY",
    "dose": "PERDAY",
}


def add_table(parser: ArgumentParser) -> None:
    """Declare the events to read, and where to write."""
    parser.add_argument("file", type=Path, metavar="EVENTS.csv")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT.csv")
    parser.add_argument(
        "--columns",
        type=_columns,
        default=NAMES,
        metavar="id=...,date=...",
        help="the names of id, date, duration, class and dose where they are not "
        + ", ".join(NAMES.values()),
    )
    parser.add_argument(
        "--date-format", default="%Y-%m-%d", help="as for strftime; %%Y-%%m-%%d"
    )


def add_windows(parser: ArgumentParser, *, observed: bool = True) -> None:
    """Declare the windows, and how supply is carried over."""
    names = {"followup-start": "0", "followup-duration": "730"}
    if observed:
        names |= {"observation-start": "0", "observation-duration": "730"}
    for name, default in names.items():
        parser.add_argument(
            f"--{name}",
            type=length,
            default=Length.parse(default),
            metavar="LENGTH",
            help=f'days, or "n days|weeks|months|years"; {default} if not given',
        )
    parser.add_argument("--carry-only-for-same-medication", action="store_true")
    parser.add_argument("--consider-dosage-change", action="store_true")


def add_episodes(parser: ArgumentParser) -> None:
    """Declare what ends an episode."""
    parser.add_argument(
        "--max-gap",
        type=length,
        required=True,
        metavar="LENGTH",
        help='the permissible gap: days, "n days|weeks|months|years" or "n percent"',
    )
    parser.add_argument("--medication-change-starts-episode", action="store_true")
    parser.add_argument("--dosage-change-starts-episode", action="store_true")
    parser.add_argument("--append-gap", action="store_true")


def add_measure(parser: ArgumentParser) -> None:
    parser.add_argument("--measure", type=measure, required=True, metavar="CMA1..CMA9")


def length(text: str) -> Length:
    """Return a length; argparse prints the words of what is none."""
    try:
        return Length.parse(text)
    except ValueError as why:
        raise ArgumentTypeError(str(why)) from why


def measure(text: str) -> Cma:
    """Return a measure; argparse prints the words of what is none."""
    try:
        return Cma(text.strip().upper())
    except ValueError as why:
        known = ", ".join(Cma)
        raise ArgumentTypeError(f"no measure {text!r}: there are {known}") from why


def _columns(text: str) -> dict[str, str]:
    given: dict[str, str] = {}
    for part in text.split(","):
        key, _, name = (piece.strip() for piece in part.partition("="))
        if key not in NAMES or not name:
            wanted = ",".join(f"{key}=..." for key in NAMES)
            raise ArgumentTypeError(f"{part!r}: write {wanted}, or some of them")
        given[key] = name
    return NAMES | given


def carry_over(arguments: Namespace) -> CarryOver:
    """Return how supply is carried over."""
    return CarryOver(
        arguments.carry_only_for_same_medication, arguments.consider_dosage_change
    )


def plan(arguments: Namespace) -> Plan:
    """Return the windows; where no observation is declared, it is the follow-up."""
    followup = arguments.followup_start, arguments.followup_duration
    start = getattr(arguments, "observation_start", Length(0))
    duration = getattr(arguments, "observation_duration", followup[1])
    try:
        return Plan(*followup, start, duration)
    except ValueError as why:
        raise Refused(str(why)) from why


def episode_rule(arguments: Namespace) -> EpisodeRule:
    """Return when an episode ends."""
    try:
        return EpisodeRule(
            arguments.max_gap,
            medication_change=arguments.medication_change_starts_episode,
            dosage_change=arguments.dosage_change_starts_episode,
            append_gap=arguments.append_gap,
            carry_over=carry_over(arguments),
        )
    except ValueError as why:
        raise Refused(str(why)) from why
