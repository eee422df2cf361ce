"""Where the database is, for the application and for the owner of the tables."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url

APP_ROLE = "doseloop_app"
OWNER_ROLE = "doseloop_owner"
DATABASE = "doseloop"
DRIVER = "postgresql+psycopg"


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
    """Return the addresses that an operator wrote, with our driver in them."""
    app = _with_driver(database_url)
    return Addresses(app, _with_driver(owner_url) if owner_url else app)


def _with_driver(text: str) -> URL:
    """Read an address; `postgres://` and `postgresql://` mean the same to operators."""
    scheme, mark, rest = text.partition("://")
    return make_url(f"{DRIVER}{mark}{rest}" if scheme.startswith("postgres") else text)
