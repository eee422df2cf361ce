"""One folder of data: made, configured, launched and given its roles."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg
from psycopg import sql

from backend.database.account import Account, choose, operator
from backend.database.address import APP_ROLE, DATABASE, OWNER_ROLE
from backend.database.binaries import Installation, newest, readable
from backend.database.lock import NoPlace
from backend.database.tuning import tuning
from backend.errors import Refused
from backend.settings import settings

SUPERUSER = "postgres"
UPGRADE = "python -m backend database upgrade"
LONGEST_SOCKET = 100  # octets; the kernel takes 107, macOS 103
SOCKET_NAME = "/.s.PGSQL.5432"


class OtherVersion(Refused):
    """The data was written by another major version of PostgreSQL."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """The operator's folder, and who runs which PostgreSQL on the data in it."""

    data_dir: Path
    folder: Path
    account: Account
    installation: Installation


def cluster_folder(data_dir: Path) -> Path:
    return data_dir / "postgres"


def upgraded_folder(data_dir: Path) -> Path:
    """Where an upgrade builds the new cluster; gone when it is done."""
    return data_dir / "postgres.upgraded"


def open_cluster(data_dir: Path, *, durable: bool = True) -> Cluster:
    """Return the cluster in `data_dir`, made at the first call; nothing is started.

    The caller holds the lock. Raises OtherVersion when the data needs an upgrade.
    A cluster whose server will not wait for the disk need not be made with waiting.
    """
    folder = cluster_folder(data_dir)
    account = choose(folder, settings().database_user)
    cluster = Cluster(data_dir, folder, account, readable(newest(), account))
    if not folder.exists():
        if upgraded_folder(data_dir).exists():
            raise OtherVersion("An upgrade was cut off. Run it again: " + UPGRADE)
        initialise(cluster, durable=durable)
    _check_version(cluster)
    grant_access(cluster)
    return cluster


def make_data_dir(data_dir: Path) -> None:
    """Make the operator's folder; as root others may enter it, but not list it."""
    if data_dir.is_dir():
        return
    try:
        data_dir.mkdir(parents=True)
    except OSError as error:
        raise NoPlace(data_dir, error) from error
    data_dir.chmod(0o711 if os.geteuid() == 0 else 0o700)


def launch(
    cluster: Cluster, socket: Path, log: IO[bytes], options: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start `postgres` in a session of its own, so that a Ctrl-C is ours to handle."""
    wanted = {
        "listen_addresses": "",
        "unix_socket_directories": str(socket),
        "unix_socket_permissions": "0700",
        "port": "5432",
        **options,
    }
    with _as_seen_by(cluster.account, cluster.folder) as (path, descriptors):
        return subprocess.Popen(  # noqa: S603
            [
                cluster.installation.program("postgres"),
                *("-D", path),
                *(f"--{name}={value}" for name, value in wanted.items()),
            ],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=descriptors,
            **cluster.account.as_child(),
        )


def socket_folder(cluster: Cluster) -> Path:
    """Return a folder for the socket that the server can reach, the same every time.

    That is `run` in the data folder, unless its path is too long for a socket or
    the server's account cannot get there; then `run` is a link to a private folder.
    """
    folder = cluster.data_dir / "run"
    if folder.is_symlink() and not folder.exists():
        folder.unlink()  # the machine has emptied its temporary folder
    if not folder.exists():
        folder.mkdir(mode=0o700)
        cluster.account.give(folder)
        fits = len(os.fsencode(f"{folder}{SOCKET_NAME}")) <= LONGEST_SOCKET
        if not (fits and cluster.account.reaches(folder)):
            folder.rmdir()
            folder.symlink_to(_short_folder(cluster.account))
    found = folder.resolve()
    if found.stat().st_uid != cluster.account.uid:
        raise Refused(f"{found} must belong to the account {cluster.account.name}.")
    return found


def admin(socket: Path) -> psycopg.Connection:
    """Return a superuser's connection; raises OperationalError while not ready."""
    return psycopg.connect(
        host=str(socket),
        user=SUPERUSER,
        dbname="postgres",
        autocommit=True,
        connect_timeout=5,
    )


def make_roles(connection: psycopg.Connection) -> None:
    """Make the two roles and the database where they are missing."""
    for role in (OWNER_ROLE, APP_ROLE):
        if not _exists(connection, "SELECT 1 FROM pg_roles WHERE rolname = %s", role):
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(_name(role)))
    known = "SELECT 1 FROM pg_database WHERE datname = %s"
    if not _exists(connection, known, DATABASE):
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
                _name(DATABASE), _name(OWNER_ROLE)
            )
        )


def version_of(folder: Path) -> int:
    """Return the major version of PostgreSQL that wrote the cluster in `folder`."""
    return int((folder / "PG_VERSION").read_text())


def initialise(cluster: Cluster, *, durable: bool = True) -> None:
    """Make an empty cluster, whose folder appears complete or not at all."""
    folder, account = cluster.folder, cluster.account
    installation = cluster.installation
    new = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # a first start that was cut off
    new.mkdir(mode=0o700)
    account.give(new)
    # The builtin locale sorts the same on every machine; it came with version 17.
    builtin = ["--locale-provider=builtin", "--locale=C.UTF-8"]
    with _as_seen_by(account, new) as (path, descriptors):
        made = subprocess.run(  # noqa: S603
            [
                installation.program("initdb"),
                *("-D", path, "-U", SUPERUSER, "-E", "UTF8", "-A", "peer"),
                *(
                    ["--data-checksums"]
                    if durable
                    else ["--data-checksums", "--no-sync"]
                ),
                *(builtin if installation.major >= 17 else ["--locale=C.UTF-8"]),
            ],
            cwd="/",
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=False,
            pass_fds=descriptors,
            **account.as_child(),
        )
    if made.returncode != 0:
        raise Refused(
            f"initdb failed in {folder}: {' '.join(made.stderr.split())[-500:]}"
        )
    with (new / "postgresql.conf").open("a") as conf:
        conf.write("\n# Doseloop's defaults. Change them here.\n")
        conf.writelines(f"{name} = {value}\n" for name, value in tuning().items())
    new.rename(folder)


def _check_version(cluster: Cluster) -> None:
    wrote = version_of(cluster.folder)
    runs = cluster.installation.major
    if wrote != runs:
        raise OtherVersion(
            f"The data in {cluster.folder} was written by PostgreSQL {wrote}, the "
            f"programs are {runs}. Run: {UPGRADE}",
            wrote=wrote,
            runs=runs,
        )


def grant_access(cluster: Cluster) -> None:
    """Let the operator in over the socket as any of our roles, and nobody else.

    The kernel tells the server who is calling; there is no password to keep.
    """
    people = dict.fromkeys((operator(), "root"))
    roles = (SUPERUSER, OWNER_ROLE, APP_ROLE)
    files = {
        "pg_hba.conf": ["local all all peer map=doseloop"],
        "pg_ident.conf": [
            f'doseloop "{who}" {role}' for who in people for role in roles
        ],
    }
    for name, lines in files.items():
        path = cluster.folder / name
        path.write_text("\n".join(["# Written at every start.", *lines, ""]))
        cluster.account.give(path)


@contextmanager
def _as_seen_by(
    account: Account, folder: Path
) -> Generator[tuple[str, tuple[int, ...]]]:
    """Give the path by which a child of `account` can name `folder`.

    A server under another account cannot pass a closed folder above, such as /root.
    It is then handed the open folder, which the kernel names under /proc/self/fd.
    """
    if account.reaches(folder):
        yield str(folder), ()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{descriptor}", (descriptor,)
    finally:
        os.close(descriptor)


def _short_folder(account: Account) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="doseloop-", dir="/tmp"))
    account.give(folder)
    return folder


def _exists(connection: psycopg.Connection, query: str, name: str) -> bool:
    return connection.execute(query.encode(), [name]).fetchone() is not None


def _name(name: str) -> sql.Identifier:
    return sql.Identifier(name)
