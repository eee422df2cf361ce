"""Whether this installation is fit to run: what `python -m backend doctor` looks at."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, text
from sqlmodel import Session

from backend import migrations
from backend.clock import DomainClockAnchor
from backend.database import transaction

OLDEST = 15  # PostgreSQL's major version
CLOCKS_AGREE = timedelta(seconds=2)
LEAST_SPACE = 2**30
PARTITIONS_AHEAD = timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what it is, whether it is well, what was seen."""

    name: str
    well: bool
    seen: str


def examine(*, now: datetime, data_dir: Path | None) -> Iterator[Finding]:
    """Yield the findings one by one; `data_dir` is None with a server elsewhere.

    Raises what connecting raises, for without a database nothing else can be seen.
    """
    with transaction() as session:
        connection = session.connection()
        yield _version(connection)
        yield _role(connection)
        revision = _revision(connection)
        yield revision
        yield _real_clock(connection, now)
        if revision.well:
            yield _domain_clock(session, now)
            yield _partitions(connection, now)
    if data_dir is not None:
        yield _disk(data_dir)


def _version(connection: Connection) -> Finding:
    number = int(connection.execute(text("SHOW server_version_num")).scalar_one())
    shown = str(connection.execute(text("SHOW server_version")).scalar_one())
    return Finding("PostgreSQL", number >= OLDEST * 10_000, shown)


def _role(connection: Connection) -> Finding:
    """Row-level security is no backstop against whoever owns the tables."""
    owns, who = connection.execute(
        text(
            "SELECT EXISTS (SELECT FROM pg_tables WHERE tableowner = current_user AND "
            "schemaname = current_schema()), current_user"
        )
    ).one()
    return Finding("role", not owns, f"{who}{' owns the tables' if owns else ''}")


def _revision(connection: Connection) -> Finding:
    known = connection.execute(text("SELECT to_regclass('alembic_version')")).scalar()
    found = migrations.current(connection) if known else None
    wanted = migrations.newest()
    well = found == wanted
    return Finding(
        "schema",
        well,
        f"at {found}"
        if well
        else f"at {found}, needs {wanted}: python -m backend migrate",
    )


def _real_clock(connection: Connection, now: datetime) -> Finding:
    there: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    apart = abs(there - now)
    return Finding(
        "clocks",
        apart < CLOCKS_AGREE,
        f"{apart.total_seconds():.3f} s to the database's",
    )


def _domain_clock(session: Session, now: datetime) -> Finding:
    row = session.get(DomainClockAnchor, True)
    if row is None:
        return Finding("domain clock", well=False, seen="no row")
    shown = f"{row.clock().at(now):%Y-%m-%d %H:%M:%S}Z at speed {row.speed:g}"
    return Finding(
        "domain clock", well=True, seen=shown + (" (demo)" if row.demo else "")
    )


def _partitions(connection: Connection, now: datetime) -> Finding:
    """Ingest makes what it needs; to find it already made is faster and locks less."""
    month = f"vital_segment_{now + PARTITIONS_AHEAD:%Y_%m}"
    found = connection.execute(text("SELECT to_regclass(:name)"), {"name": month})
    strays = connection.execute(
        text("SELECT EXISTS (SELECT FROM vital_segment_default)")
    ).scalar_one()
    well = found.scalar() is not None and not strays
    seen = "made ahead" if well else "python -m backend migrate makes them ahead"
    return Finding("partitions", well, "rows in the default one" if strays else seen)


def _disk(data_dir: Path) -> Finding:
    free = shutil.disk_usage(data_dir).free
    return Finding("disk", free >= LEAST_SPACE, f"{free / 2**30:.1f} GiB free")
