"""Where the database is, for the application and for the owner of the tables."""

from dataclasses import dataclass
from pathlib import Path

from psycopg import ProgrammingError
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from backend.settings import WrongSetting

APP_ROLE = "doseloop_app"
OWNER_ROLE = "doseloop_owner"
DATABASE = "doseloop"
DRIVER = "postgresql+psycopg"
SCHEMES = ("postgresql", "postgres")


@dataclass(frozen=True, slots=True)
class Addresses:
    """The application's address and that of the role which owns the tables."""

    app: URL
    owner: URL


def embedded_at(socket: Path, *, database: str = DATABASE) -> Addresses:
    """Return the addresses of the embedded server whose socket lies in `socket`."""
    app, owner = (
        URL.create(DRIVER, role, database=database, query={"host": str(socket)})
        for role in (APP_ROLE, OWNER_ROLE)
    )
    return Addresses(app, owner)


def given(database_url: str, owner_url: str | None) -> Addresses:
    """Return the addresses that an operator wrote, with our driver in them.

    Raises WrongSetting, without quoting what may hold a password.
    """
    app = _read("DOSELOOP_DATABASE_URL", database_url)
    return Addresses(app, _read("DOSELOOP_OWNER_URL", owner_url) if owner_url else app)


def _read(name: str, written: str) -> URL:
    """Read an address; `postgres://` and `postgresql://` mean the same to operators."""
    scheme, mark, rest = written.partition("://")
    try:
        if scheme.partition("+")[0] not in SCHEMES:
            raise ValueError(scheme)
        url = make_url(f"{DRIVER}{mark}{rest}")
        _, options = url.get_dialect()().create_connect_args(url)
        make_conninfo(**options)
    except (ArgumentError, ProgrammingError, ValueError):
        raise WrongSetting(
            f"{name}: no address of a PostgreSQL, as postgresql://role@host/database"
        ) from None
    return url
