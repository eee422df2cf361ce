"""Data written by an older major version of PostgreSQL."""

import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from backend.database import binaries
from backend.database.account import choose
from backend.database.cluster import (
    Cluster,
    admin,
    cluster_folder,
    grant_access,
    initialise,
    launch,
    make_data_dir,
    make_roles,
    socket_folder,
    upgraded_folder,
)
from tests.backend.database.owners import Owned, wait_until

pytestmark = pytest.mark.slow


def test_old_data_are_refused_until_they_are_carried_over(owned: Owned) -> None:
    older = _older()
    with _left_serving(older, owned.data_dir):
        pass

    refused = owned.run("database")
    assert refused.returncode == 2
    assert "python -m backend database upgrade" in refused.stderr

    upgraded = owned.run("database", "upgrade")
    assert upgraded.returncode == 0, upgraded.stderr
    assert (owned.data_dir / f"postgres.{older.major}").is_dir()
    owned.start("-c", "fsync=off")
    owned.until_ready()
    assert owned.notes() == ["from before"]

    again = owned.run("database", "upgrade")
    assert again.returncode == 2


def test_an_upgrade_that_was_cut_off_at_the_swap_is_finished(served: Owned) -> None:
    served.insert("new data")
    served.stop()
    folder = cluster_folder(served.data_dir)
    folder.rename(folder.with_name("postgres.upgraded"))

    assert served.run("database").returncode == 2
    assert served.run("database", "upgrade").returncode == 0
    served.start()
    served.until_ready()
    assert served.notes() == ["new data"]


def test_a_server_that_a_killed_owner_left_behind_is_stopped_first(
    owned: Owned,
) -> None:
    with _left_serving(_older(), owned.data_dir) as left:
        upgraded = owned.run("database", "upgrade")

        assert upgraded.returncode == 0, upgraded.stderr
        assert left.poll() is not None
    owned.start("-c", "fsync=off")
    owned.until_ready()
    assert owned.notes() == ["from before"]


def test_an_upgrade_that_was_killed_while_it_restored_is_run_again(
    owned: Owned,
) -> None:
    with _left_serving(_older(), owned.data_dir):
        pass
    half = upgraded_folder(owned.data_dir)
    with _left_serving(binaries.newest(), owned.data_dir, half, note="half") as left:
        upgraded = owned.run("database", "upgrade")

        assert upgraded.returncode == 0, upgraded.stderr
        assert left.poll() is not None
    owned.start("-c", "fsync=off")
    owned.until_ready()
    assert owned.notes() == ["from before"]


def _older() -> binaries.Installation:
    for found in binaries.all_installed():
        if found.major < binaries.newest().major:
            return found
    pytest.skip("the wheel carries one version only")


@contextmanager
def _left_serving(
    installation: binaries.Installation,
    data_dir: Path,
    folder: Path | None = None,
    *,
    note: str = "from before",
) -> Generator[subprocess.Popen[bytes]]:
    """Data as programs of another version wrote them, with their server running on."""
    make_data_dir(data_dir)
    folder = folder or cluster_folder(data_dir)
    account = choose(folder, None)
    cluster = Cluster(data_dir, folder, account, installation)
    cluster = replace(cluster, installation=binaries.readable(installation, account))
    initialise(cluster, durable=False)
    grant_access(cluster)
    socket = socket_folder(cluster)
    with (data_dir / "old.log").open("ab") as log:
        server = launch(cluster, socket, log, {"fsync": "off"})
    try:
        wait_until(lambda: _has_roles(socket), "old server does not start")
        with psycopg.connect(
            host=str(socket), user="doseloop_owner", dbname="doseloop"
        ) as connection:
            connection.execute("CREATE TABLE kept (note text)")
            connection.execute("INSERT INTO kept VALUES (%s)", [note])
        yield server
    finally:
        server.send_signal(signal.SIGINT)
        server.wait()


def _has_roles(socket: Path) -> bool:
    try:
        with admin(socket) as connection:
            make_roles(connection)
    except psycopg.OperationalError:
        return False
    return True
