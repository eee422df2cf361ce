"""The demo's database has one owner, also when somebody else called it back."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from backend.database.cluster import cluster_folder
from backend.database.lock import READY, owner
from backend.database.postmaster import running
from backend.demo.processes import Company, DatabaseChild
from tests.backend.database.owners import PROJECT, wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def data_dir() -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="doseloop-company-", dir="/tmp"))
    folder.chmod(0o711)  # the account that runs the server must get in
    yield folder
    if found := owner(folder):
        os.kill(found.pid, signal.SIGKILL)
    if left := running(cluster_folder(folder)):
        os.kill(left.pid, signal.SIGQUIT)
    shutil.rmtree(folder, ignore_errors=True)


def a_database(data_dir: Path) -> DatabaseChild:
    environment = {"DOSELOOP_DATA_DIR": str(data_dir), "DOSELOOP_DATABASE_URL": ""}
    return DatabaseChild("database", environment, data_dir / "child.log", data_dir)


def test_a_database_that_another_process_called_back_is_left_to_it_and_stopped(
    data_dir: Path,
) -> None:
    company = Company()
    child = company.add(a_database(data_dir))
    wait_until(lambda: ready(data_dir), "no database")
    first = owner(data_dir)
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    child.wait()

    call_back(data_dir)
    second = owner(data_dir)
    assert second is not None
    assert second.pid != first.pid
    assert child.alive()
    assert company.tend() == []

    company.stop()
    assert owner(data_dir) is None
    assert running(cluster_folder(data_dir)) is None


def call_back(data_dir: Path) -> None:
    """Start the database as a web process does when its connections break."""
    code = "import sys, pathlib; from backend.database.attach import ensure; "
    code += "ensure(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(data_dir)], check=True, cwd=PROJECT)


def ready(data_dir: Path) -> bool:
    found = owner(data_dir)
    return found is not None and found.state == READY
