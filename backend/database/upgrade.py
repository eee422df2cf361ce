"""Carries the embedded data over to another major version: dump, restore, swap."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg

from backend.database.account import choose
from backend.database.address import DATABASE
from backend.database.binaries import (
    Installation,
    NoBinaries,
    all_installed,
    at_root,
    newest,
    readable,
)
from backend.database.cluster import (
    SUPERUSER,
    Cluster,
    admin,
    cluster_folder,
    grant_access,
    initialise,
    launch,
    make_roles,
    socket_folder,
    upgraded_folder,
    version_of,
)
from backend.database.lock import held
from backend.database.postmaster import disown, stop_left
from backend.errors import Refused
from backend.settings import settings


class NothingToUpgrade(Refused):
    """The data are already of the version that the programs are."""


class UpgradeFailed(Refused):
    """A step failed; the old data are as they were."""


def upgrade(
    data_dir: Path, *, old_programs: str | None, say: Callable[[str], None]
) -> None:
    """Rewrite the data with the newest programs; the old folder is kept beside them.

    Needs room for the data twice and a dump. May be cut off and run again at any
    point: the old folder is renamed only when the new one is complete.
    """
    data_dir = data_dir.absolute()
    if not data_dir.exists():
        raise NothingToUpgrade(f"There are no data in {data_dir}.")
    folder, upgraded = cluster_folder(data_dir), upgraded_folder(data_dir)
    with held(data_dir):
        old = _old_programs(folder, old_programs) if folder.exists() else None
        for cluster in folder, upgraded:
            # Whoever was killed has left it, and it would answer in our server's place.
            if (pid := stop_left(cluster)) is not None:
                say(f"the server left running as process {pid} is stopped")
        if old is not None:
            _rewrite(data_dir, old, say)
            kept = folder.with_name(f"postgres.{version_of(folder)}")
            folder.rename(kept)
            say(f"the old data are kept in {kept}")
        if not upgraded.exists():
            raise NothingToUpgrade(f"There are no data in {data_dir}.")
        upgraded.rename(folder)


def _rewrite(data_dir: Path, old: Installation, say: Callable[[str], None]) -> None:
    """Leave the data of the old cluster in a complete, stopped new one."""
    account = choose(cluster_folder(data_dir), settings().database_user)
    before = Cluster(
        data_dir, cluster_folder(data_dir), account, readable(old, account)
    )
    new = newest()
    after = replace(
        before, folder=upgraded_folder(data_dir), installation=readable(new, account)
    )
    dump = data_dir / "upgrade.dump"
    say(f"dumping what PostgreSQL {old.release} wrote")
    with _served(before) as socket:
        _run(new, "pg_dump", socket, "-Fc", "-f", str(dump), DATABASE)
    say(f"restoring into PostgreSQL {new.release}")
    shutil.rmtree(after.folder, ignore_errors=True)
    initialise(after)
    with _served(after) as socket:
        with admin(socket) as connection:
            make_roles(connection)
        _run(new, "pg_restore", socket, "--exit-on-error", "-d", DATABASE, str(dump))
        _run(new, "vacuumdb", socket, "--analyze-only", "-q", DATABASE)
    dump.unlink()


def _old_programs(folder: Path, given: str | None) -> Installation:
    wrote = version_of(folder)
    if wrote == newest().major:
        raise NothingToUpgrade(f"The data are of PostgreSQL {wrote} already.")
    for found in [at_root(Path(given))] if given else all_installed():
        if found.major == wrote:
            return found
    raise NoBinaries(
        f"To read the data, PostgreSQL {wrote} is needed once more: name the folder "
        "above its bin with --old-programs."
    )


@contextmanager
def _served(cluster: Cluster) -> Generator[Path]:
    """Run a server on the cluster for a while; gives the folder of its socket."""
    grant_access(cluster)
    disown(cluster.folder)
    socket = socket_folder(cluster)
    with (cluster.data_dir / "upgrade.log").open("ab") as log:
        server = launch(cluster, socket, log, {})
    try:
        while server.poll() is None and not _answers(socket):
            time.sleep(0.1)
        if server.poll() is not None:
            raise UpgradeFailed(f"See {cluster.data_dir / 'upgrade.log'}.")
        yield socket
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _answers(socket: Path) -> bool:
    try:
        admin(socket).close()
    except psycopg.OperationalError:
        return False
    return True


def _run(programs: Installation, name: str, socket: Path, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603
        [programs.program(name), "-h", str(socket), "-U", SUPERUSER, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UpgradeFailed(f"{name}: {' '.join(done.stderr.split())[-500:]}")
