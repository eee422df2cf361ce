"""The embedded server wherever it has to live, and how other commands find it."""

import os
import pwd
import shutil
import subprocess
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.database import binaries
from backend.database.account import NoAccount, choose
from backend.database.cluster import cluster_folder
from backend.database.lock import owner
from tests.backend.database.owners import Owned

pytestmark = pytest.mark.slow
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root only: drops privileges")


def test_a_command_starts_the_server_when_it_is_absent_and_leaves_it_running(
    served: Owned,
) -> None:
    served.stop()

    assert "not running" in served.run("database", "status").stdout
    assert "is at revision" in served.run("migrate").stdout
    assert "ready" in served.run("database", "status").stdout
    assert served.run("database", "stop").stdout == "stopped\n"
    assert served.run("database", "stop").stdout == "was not running\n"


def test_a_command_that_finds_no_way_to_start_says_why(owned: Owned) -> None:
    owned.data_dir.mkdir()
    cluster_folder(owned.data_dir).mkdir()
    (cluster_folder(owned.data_dir) / "PG_VERSION").write_text("12\n")

    refused = owned.run("migrate")

    assert refused.returncode == 2
    assert "was written by PostgreSQL 12, the programs are" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1


def test_the_server_ends_with_whoever_holds_its_stdin(served: Owned) -> None:
    served.stop()
    process = served.start("--until-stdin-ends")
    served.until_ready()

    process.communicate()  # closes stdin

    assert process.returncode == 0


def test_an_owner_whose_data_are_deleted_ends_with_its_server(owned: Owned) -> None:
    process = owned.start("-c", "fsync=off")
    owned.until_ready()
    server = owned.server().pid

    shutil.rmtree(owned.data_dir)

    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "was deleted" in said
    assert not Path("/proc", str(server)).exists()


def test_a_first_start_that_was_cut_off_is_begun_again(owned: Owned) -> None:
    half = owned.data_dir / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    owned.start("-c", "fsync=off")
    owned.until_ready()

    assert not half.exists()


@as_root
def test_as_root_the_server_runs_as_somebody_else_and_only_root_gets_in(
    served: Owned,
) -> None:
    runs_as = Path("/proc", str(served.server().pid)).stat().st_uid
    found = owner(served.data_dir)
    assert found
    psql = binaries.newest().program("psql")

    refused = subprocess.run(
        [psql, "-h", found.socket, "-U", "doseloop_app", "doseloop", "-c", "SELECT 1"],
        user=runs_as,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )

    assert runs_as != 0
    assert "Peer authentication failed" in refused.stderr
    served.insert("root gets in")


@as_root
def test_a_normal_user_runs_it_himself(owned: Owned) -> None:
    nobody = choose(owned.data_dir, "nobody")
    if not nobody.reaches(binaries.newest().root):
        pytest.skip("the programs are closed to other accounts")
    owned.data_dir.mkdir()
    nobody.give(owned.data_dir)
    owned = replace(owned, account=nobody)

    owned.start("-c", "fsync=off")
    owned.until_ready()

    process = Path("/proc", str(owned.server().pid))
    assert process.stat().st_uid == nobody.uid
    owned.insert("root may look after it")
    owned.end()


@as_root
def test_data_and_socket_work_below_a_closed_folder_with_a_long_path(
    folder: Path,
) -> None:
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    owned = Owned(closed / ("long" * 25) / "data")
    try:
        owned.start("-c", "fsync=off")
        owned.until_ready()
        owned.insert("kept here")

        assert (cluster_folder(owned.data_dir) / "base").is_dir()
        socket = owned.server().socket
        assert len(str(socket)) < 100
        owned.stop()
        owned.start("-c", "fsync=off")
        owned.until_ready()
        assert owned.notes() == ["kept here"]
        assert owned.server().socket == socket
    finally:
        owned.end()
        shutil.rmtree((owned.data_dir / "run").resolve())


@pytest.fixture
def unreadable(folder: Path) -> binaries.Installation:
    """An installation below a folder that only root may enter."""
    closed = folder / "closed"
    closed.mkdir(mode=0o700)
    installed = binaries.newest()
    wheel = installed.root.parent
    hidden = closed / wheel.name / installed.root.name
    shutil.copytree(installed.root, hidden)
    shutil.copytree(f"{wheel}.libs", closed / f"{wheel.name}.libs")
    return replace(installed, root=hidden)


@as_root
def test_programs_out_of_reach_are_copied_once(
    folder: Path, unreadable: binaries.Installation
) -> None:
    account = choose(folder / "none yet", None)

    first = binaries.readable(unreadable, account, cache=folder / "cache")
    inode = Path(first.program("postgres")).stat().st_ino
    again = binaries.readable(unreadable, account, cache=folder / "cache")
    told = subprocess.run(
        [first.program("initdb"), "--version"],
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
        **account.as_child(),
    )

    assert unreadable.release in told.stdout
    assert Path(again.program("postgres")).stat().st_ino == inode


@pytest.fixture
def closed_by_default() -> Generator[None]:
    """A umask as careful administrators set it for root."""
    before = os.umask(0o077)
    yield
    os.umask(before)


@as_root
@pytest.mark.usefixtures("closed_by_default")
def test_a_copy_is_within_reach_whatever_the_umask(
    folder: Path, unreadable: binaries.Installation
) -> None:
    account = choose(folder / "none yet", None)

    copy = binaries.readable(unreadable, account, cache=folder / "var" / "cache")

    assert account.reaches(copy.root / "bin")
    assert (folder / "var").stat().st_mode & 0o777 == 0o755


@as_root
def test_a_copy_that_stays_out_of_reach_is_refused_and_nothing_opened(
    folder: Path, unreadable: binaries.Installation
) -> None:
    account = choose(folder / "none yet", None)
    cache = folder / "cache"
    cache.mkdir(mode=0o700)

    with pytest.raises(binaries.NoBinaries, match=f"{cache}.* {account.name}"):
        binaries.readable(unreadable, account, cache=cache)

    assert cache.stat().st_mode & 0o777 == 0o700


@as_root
def test_the_owner_of_existing_data_decides_who_runs_the_server(folder: Path) -> None:
    data = folder / "postgres"
    data.mkdir()
    os.chown(data, pwd.getpwnam("nobody").pw_uid, -1)

    assert choose(data, None).name == "nobody"


@as_root
def test_an_account_that_does_not_exist_is_not_created(folder: Path) -> None:
    with pytest.raises(NoAccount, match="DOSELOOP_DATABASE_USER"):
        choose(folder / "postgres", "doseloop-no-such-account")


@as_root
def test_a_folder_of_another_account_is_refused_in_one_line(owned: Owned) -> None:
    owned.data_dir.mkdir(mode=0o755)
    (owned.data_dir / "database.lock").touch(mode=0o600)
    stranger = replace(owned, account=choose(owned.data_dir / "none", "nobody"))

    process = stranger.start()
    _, said = process.communicate()

    assert process.returncode == 2
    assert "belongs to another account" in said
    assert len(said.splitlines()) == 1
