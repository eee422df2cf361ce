"""Doseloop's backend. Every command takes its settings from the environment."""

import argparse
import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

from backend.errors import Refused

# What a command needs is imported inside it: `--help` must not load a web server.


def database_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action",
        nargs="?",
        choices=["run", "stop", "status", "upgrade"],
        default="run",
        help="run in the foreground (default), stop the one that runs, tell how it is, "
        "or carry the data over to this version of PostgreSQL",
    )
    parser.add_argument(
        "-c",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        dest="options",
        help="a PostgreSQL setting for this run, over those in postgresql.conf",
    )
    parser.add_argument(
        "--until-stdin-ends",
        action="store_true",
        help="stop when whoever holds the other end of stdin is gone",
    )
    parser.add_argument(
        "--old-programs",
        metavar="DIR",
        help="upgrade: the installation (the folder above bin) that wrote the data; "
        "needed when this package does not carry that version",
    )


def database(asked: argparse.Namespace) -> int:
    """Run the embedded PostgreSQL and watch over it until it is told to stop.

    One process owns it; every other command attaches to it and starts it in the
    background when it is absent. The data lie in DOSELOOP_DATA_DIR (.doseloop). As
    root the server runs as the account `postgres`, else `nobody`, or the one named
    in DOSELOOP_DATABASE_USER. Not needed when DOSELOOP_DATABASE_URL is set.
    """
    from backend.database import attach, lock, owner
    from backend.settings import settings

    data_dir = settings().data_dir
    match asked.action:
        case "stop":
            print("stopped" if attach.stop(data_dir) else "was not running")
        case "status":
            found = lock.owner(data_dir)
            print(f"{found.state}, owner {found.pid}" if found else "not running")
            return 0 if found else 1
        case "upgrade":
            from backend.database.upgrade import upgrade

            upgrade(data_dir, old_programs=asked.old_programs, say=say)
        case _:
            owner.own(
                data_dir,
                options=dict(_pair(option) for option in asked.options),
                until_stdin_ends=asked.until_stdin_ends,
                say=say,
            )
    return 0


def migrate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--write",
        metavar="MESSAGE",
        help="for developers: write a version file with what the models have and the "
        "database has not, and change nothing",
    )


def migrate(asked: argparse.Namespace) -> int:
    """Bring the database to the schema this version needs; safe to repeat.

    Connects as DOSELOOP_OWNER_URL, or as DOSELOOP_DATABASE_URL when that is not set,
    and grants the application's role what it needs.
    """
    from backend import migrations
    from backend.clock import real_now
    from backend.database import addresses, owner_engine

    if asked.write:
        migrations.write(owner_engine(), message=asked.write)
        return 0
    revision = migrations.migrate(
        owner_engine(), app_role=addresses().app.username, today=real_now().date()
    )
    print(f"the database is at revision {revision}")
    return 0


def expand(asked: argparse.Namespace) -> int:
    """Print when a prescription makes doses due, one UTC instant a line.

    Reads a FHIR R4 Timing, Dosage, list of Dosages or MedicationRequest, or a timing in
    our own JSON. Periods in s, min and h are real time from the start of the bounds;
    those in d, wk, mo and a are clock times of the zone and need timeOfDay. A time that
    spring skips is due right after the gap, one that autumn repeats at its first pass.
    Doses as needed are never due.
    """
    from backend.regimens.expand_command import due_lines

    for line in due_lines(asked):
        print(line)
    return 0


def doctor(_asked: argparse.Namespace) -> int:
    """Look whether this installation is fit to run; the exit code is 1 if it is not.

    Looks at the connection, the version and role, the schema, the clocks, the
    partitions and, with the embedded database, the room on its disk.
    """
    from backend.clock import real_now
    from backend.doctor import examine
    from backend.settings import settings

    at = settings()
    sound = True
    for finding in examine(
        now=real_now(), data_dir=None if at.database_url else at.data_dir
    ):
        sound = sound and finding.well
        print(f"{'ok ' if finding.well else 'BAD'}  {finding.name}: {finding.seen}")
    return 0 if sound else 1


def work(_asked: argparse.Namespace) -> int:
    """Send messages and run every other job until told to stop.

    As many of these as you like may run, on one machine or several. SIGTERM ends one
    after the message it is sending; one that is killed loses nothing.
    """
    from backend import ticker

    ticker.work()
    return 0


def tick(_asked: argparse.Namespace) -> int:
    """Run every job until nothing is due, print what was done, and leave.

    For cron, tests and debugging. The exit code is 1 when a job failed.
    """
    from backend import log, ticker

    log.configure()
    results = ticker.tick()
    for name, done, error in results:
        print(f"{name:<12} {done}" + (f" failed: {error}" if error else ""))
    return int(any(error for _, _, error in results))


def serve(_asked: argparse.Namespace) -> int:
    """Serve pages and API at DOSELOOP_HOST and DOSELOOP_PORT until told to stop.

    One process, DOSELOOP_THREADS threads. Run more of them behind a proxy that speaks
    TLS, and say in DOSELOOP_PUBLIC_URL what address people reach it by.
    """
    from backend.app.serve import serve as run

    return run()


def bridge_code(asked: argparse.Namespace) -> int:
    """Print a code with which one new bridge can be paired within ten minutes."""
    from backend.clock import real_now
    from backend.people.commands import pairing_code

    print(pairing_code(asked.clinic, kind=asked.kind, real=real_now()))
    return 0


def bridge_revoke(asked: argparse.Namespace) -> int:
    """Shut a bridge off, at once and for good; it can be paired anew."""
    from backend.clock import real_now
    from backend.people.commands import revoke_bridge

    print(f"revoked: {revoke_bridge(asked.bridge, real=real_now())}")
    return 0


def erase(asked: argparse.Namespace) -> int:
    """Erase a patient from every table; prints how many rows of which.

    Files that were merged into theirs go too. What stays is the id, without a name, and
    the audit rows, which hold ids only.
    """
    from backend.clock import domain_now
    from backend.desk.commands import erase_patient

    for line in erase_patient(asked.patient, sure=asked.yes, now=domain_now()):
        print(line)
    return 0


def people(asked: argparse.Namespace) -> int:
    """Change what a patient allows, how they are reached, who cares for them.

    For who asks by phone or at the desk. Names the operator in the audit.
    """
    from backend.desk.commands import run

    print(run(asked))
    return 0


def prescribe(asked: argparse.Namespace) -> int:
    """Prescribe what a file says to a patient, or change what they take.

    Reads what `expand` reads. Prints the regimen with its version, the prescription as
    a sentence, and the doses ahead; with --check nothing is written.
    """
    from backend.desk.prescribe import run

    for line in run(asked):
        print(line)
    return 0


def audit(_asked: argparse.Namespace) -> int:
    """Walk every audit chain; the exit code is 1 when one is broken."""
    from backend.people.commands import verify_audit

    chains = verify_audit()
    for clinic, n, broken in chains:
        print(
            f"{clinic}: {n} sealed, " + (f"BROKEN at {broken}" if broken else "whole")
        )
    return int(any(broken for _, _, broken in chains))


def demo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="how many seconds of the patients' lives pass in a second (default 1)",
    )


def demo(asked: argparse.Namespace) -> int:
    """Play forty virtual patients on this machine until Ctrl-C.

    Starts the database, the web server, the worker, the virtual devices and the
    bridge. Everything is kept in DOSELOOP_DATA_DIR (.doseloop) and goes on from there
    the next time.
    """
    from backend.demo.run import demo as play

    return play(speed=asked.speed)


def import_(asked: argparse.Namespace) -> int:
    """Import a wearable's file or a study: what is known already stays as it is."""
    return import_module("backend.imports.command").run(asked)


def report(asked: argparse.Namespace) -> int:
    """Print a table or a report of what is stored: implementation, emerge.

    Reads the database and nothing else; whose data were read is audited.
    """
    return import_module("backend.reports.command").run(asked)


def inbound(asked: argparse.Namespace) -> int:
    """Print what unknown senders texted, or note that it was seen to."""
    print(*import_module("backend.inbound.command").run(asked), sep="\n")
    return 0


def arguments_in(
    module: str, name: str = "arguments"
) -> Callable[[argparse.ArgumentParser], None]:
    """Return what adds the arguments that a module keeps beside its command."""
    return lambda parser: getattr(import_module(module), name)(parser)


BRIDGE = "backend.people.bridge_arguments"
DESK = "backend.desk.commands"


@dataclass(frozen=True, slots=True)
class Command:
    """Something to run; its help is the docstring of `run`."""

    run: Callable[[argparse.Namespace], int]
    arguments: Callable[[argparse.ArgumentParser], None] = lambda _parser: None
    needs_schema: bool = True


COMMANDS: Mapping[str, Command] = {
    "database": Command(database, database_arguments, needs_schema=False),
    "migrate": Command(migrate, migrate_arguments, needs_schema=False),
    "doctor": Command(doctor, needs_schema=False),
    "import": Command(import_, arguments_in("backend.imports.command")),
    "report": Command(report, arguments_in("backend.reports.command")),
    "inbound": Command(inbound, arguments_in("backend.inbound.command")),
    "expand": Command(
        expand,
        arguments_in("backend.regimens.expand_command"),
        needs_schema=False,
    ),
    "serve": Command(serve),
    "work": Command(work),
    "tick": Command(tick),
    "bridge-code": Command(bridge_code, arguments_in(BRIDGE, "code_arguments")),
    "bridge-revoke": Command(bridge_revoke, arguments_in(BRIDGE, "revoke_arguments")),
    "people": Command(people, arguments_in(DESK)),
    "prescribe": Command(prescribe, arguments_in("backend.desk.prescribe")),
    "erase": Command(erase, arguments_in(DESK, "erase_arguments")),
    "audit": Command(audit),
    "demo": Command(demo, demo_arguments, needs_schema=False),
}


def main(argv: list[str] | None = None) -> int:
    """Return the exit code: 0 done, 1 done and found wanting, 2 refused."""
    asked = _parser().parse_args(argv)
    command = COMMANDS[asked.command]
    try:
        if command.needs_schema:
            from backend.migrations import ready

            ready()
        return command.run(asked)
    except Refused as refused:
        why = str(refused)
    except KeyboardInterrupt:
        return 130
    except _lost_database() as error:
        why = f"the database: {str(error).splitlines()[0]}"
    say(f"{asked.command}: {why}")
    return 2


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m backend", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        words = inspect.getdoc(command.run) or ""
        command.arguments(
            commands.add_parser(
                name,
                help=words.splitlines()[0],
                description=words,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
        )
    return parser


def _lost_database() -> type[Exception]:
    """What is raised when the database goes away or was never there.

    Python asks only when something was raised, so a command that needs no database
    does not pay for loading its driver.
    """
    from sqlalchemy.exc import OperationalError

    return OperationalError


def _pair(option: str) -> tuple[str, str]:
    name, equals, value = option.partition("=")
    if not equals:
        raise Refused(f"-c needs NAME=VALUE, got {option!r}")
    return name, value


if __name__ == "__main__":
    raise SystemExit(main())
