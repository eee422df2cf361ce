import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.backend.database.owners import Owned


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder that any account may enter, as pytest's own temporary ones may not."""
    made = Path(tempfile.mkdtemp(prefix="doseloop-test-", dir="/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
def owned(folder: Path) -> Generator[Owned]:
    """A data folder with nothing in it yet; whatever runs in it is ended afterwards."""
    owned = Owned(folder / "data")
    yield owned
    owned.end()


@pytest.fixture(scope="session")
def made_once() -> Generator[Path]:
    """A data folder that has been served once, to be copied."""
    top = Path(tempfile.mkdtemp(prefix="doseloop-test-", dir="/tmp"))
    top.chmod(0o711)
    owned = Owned(top / "data")
    owned.start("-c", "fsync=off")
    owned.until_ready()
    owned.stop()
    yield owned.data_dir
    shutil.rmtree(top)


@pytest.fixture
def served(owned: Owned, made_once: Path) -> Owned:
    """A data folder with a ready server and its owner, as durable as in earnest."""
    subprocess.run(["cp", "-a", str(made_once), str(owned.data_dir)], check=True)
    owned.start()
    owned.until_ready()
    return owned
