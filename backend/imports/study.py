"""`python -m backend import study`: an electronic-monitoring study from CSV files.

Read docs/study-import.md for what the files hold and what becomes of them.
"""

import re
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from sqlalchemy import Connection
from sqlmodel import Session

from backend.database import engine
from backend.database.sets import execute, fetch
from backend.errors import Conflict, NotFound, Unprocessable
from backend.imports.local_time import LocalTimes
from backend.imports.refusals import Refusals
from backend.imports.study_files import LEFT_ALONE, Part, find_files
from backend.imports.study_fresh import keep_dose_days
from backend.imports.study_known import (
    Known,
    OtherwiseImported,
    Study,
    what_is_known,
)
from backend.imports.study_plan import Pair, Plan, make_plan
from backend.imports.study_rows import read_aside
from backend.imports.study_stage import stage
from backend.imports.study_write import Import, Written, write
from backend.people.register import find_clinic, register_clinic
from backend.regimens.zones import zone_named

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
OPENINGS_AT_ONCE = 20_000  # in one transaction, unless one patient has more
PATIENTS_AT_ONCE = 100


class WrongName(Unprocessable):
    """A study's name is letters, digits, dots, dashes and underscores."""


class InUse(Conflict):
    """Somebody else is importing this study at the moment."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What an import did: rows written by kind, openings read, rows refused."""

    written: Written
    openings: int
    refused: int
    warned: int
    left_alone: Sequence[str]


def import_study(
    folder: Path,
    *,
    name: str,
    zone: str,
    clinic: str | None = None,
    strict: bool = False,
    now: datetime,
    real: datetime,
    say: Callable[[str], None],
    progress: Callable[[str, int, int], None] = lambda _what, _done, _of: None,
) -> Summary:
    """Import the study in a folder and return what was new; safe to repeat.

    Refused rows are told by `say`, one line each; with `strict` any of them leaves the
    database as it was. Each patient is stored whole or not at all, so what was
    interrupted is finished by another import. Raises a kind of Refused.
    """
    study, files, lived_in = _named(name), find_files(folder), zone_named(zone)
    refusals = Refusals(say)
    aside = read_aside(files, refusals)
    size = files[Part.EVENTS].stat().st_size
    with _connected() as connection:
        with _transaction(connection) as session:
            _claim(session, study)
            known = what_is_known(session, study)
            _check_zone(study, known, zone)
            plan = make_plan(aside, known, files, lived_in, refusals)
            stage(
                session,
                files[Part.EVENTS],
                plan,
                LocalTimes(lived_in),
                now=now,
                refusals=refusals,
                progress=lambda octets: progress("reading", octets, size),
            )
        refusals.stop_if_strict(strict=strict)
        with _transaction(connection) as session:
            clinic_id = _clinic(session, study, known, clinic, zone, now)
        run = Import(study, clinic_id, lived_in, now, real)
        written = _write_all(connection, run, plan, progress)
    for line in written.set_aside:
        say(f"warning: {line}")
    return Summary(
        written,
        sum(pair.openings for pair in plan.pairs.values()),
        refusals.refused,
        refusals.warned + len(written.set_aside),
        [files[part].name for part in LEFT_ALONE if part in files],
    )


def _write_all(
    connection: Connection,
    run: Import,
    plan: Plan,
    progress: Callable[[str, int, int], None],
) -> Written:
    written = Written()
    patients = plan.by_patient()
    with _transaction(connection) as session:
        asked = (row for pair in plan.pairs.values() for row in pair.asked)
        keep_dose_days(session, run.zone, asked, now=run.now)
    done = 0
    for group in _groups(patients):
        with _transaction(connection) as session:
            write(session, run, plan, [p for own in group for p in own], written)
        done += len(group)
        progress("storing", done, len(patients))
    return written


def _groups(patients: Sequence[list[Pair]]) -> Iterator[list[list[Pair]]]:
    """Yield patients in groups that one transaction takes."""
    group: list[list[Pair]] = []
    size = 0
    for own in patients:
        openings = sum(pair.openings for pair in own)
        full = size + openings > OPENINGS_AT_ONCE or len(group) >= PATIENTS_AT_ONCE
        if group and full:
            yield group
            group, size = [], 0
        group.append(own)
        size += openings
    if group:
        yield group


def _named(name: str) -> Study:
    if NAME.fullmatch(name) is None:
        raise WrongName(WrongName.__doc__ or "")
    return Study(name)


def _claim(session: Session, study: Study) -> None:
    """Keep others from importing this study until the connection is closed."""
    taken = fetch(
        session,
        "SELECT pg_try_advisory_lock(:number) AS ours",
        number=study.id.int % 2**63,
    )
    if not taken[0]["ours"]:
        raise InUse(f"{study.name} is being imported by another process.")


def _check_zone(study: Study, known: Known, zone: str) -> None:
    if known.zone is not None and known.zone != zone:
        raise OtherwiseImported(
            f"{study.name} was imported with the zone {known.zone}: its times would "
            "all move."
        )


def _clinic(
    session: Session,
    study: Study,
    known: Known,
    named: str | None,
    zone: str,
    now: datetime,
) -> UUID:
    """Return the clinic whose patients these are, one of the study's own if need be."""
    asked = None if named is None else find_clinic(session, named).clinic_id
    if known.clinic_id is not None:
        if asked not in (None, known.clinic_id):
            raise OtherwiseImported(f"{study.name} was imported into another clinic.")
        return known.clinic_id
    if asked is not None:
        return asked
    own = f"Study {study.name}"
    try:
        return find_clinic(session, own).clinic_id  # of an import that was interrupted
    except NotFound:
        return register_clinic(session, own, zone, now=now).clinic_id


@contextmanager
def _connected() -> Generator[Connection]:
    """Open a connection of its own, whose temporary tables go with it."""
    with engine().connect() as connection:
        connection.detach()
        yield connection


@contextmanager
def _transaction(connection: Connection) -> Generator[Session]:
    """Open a transaction on it; a large set takes longer than a page may wait."""
    with Session(connection, expire_on_commit=False) as session, session.begin():
        execute(session, "SET LOCAL statement_timeout = 0")
        execute(session, "SET LOCAL idle_in_transaction_session_timeout = 0")
        yield session
