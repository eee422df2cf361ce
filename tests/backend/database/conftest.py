import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.backend.database.owners import Owned


@pytest.fixture
def folder() -> Generator[Path]:
    """A folder that any account may enter, as pytest's own temporary ones may not."""
    made = _open_folder()
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
    """A data folder for all tests here: they kill servers, and data must bear that."""
    top = _open_folder()
    yield top / "data"
    shutil.rmtree(top)


@pytest.fixture
def served(made_once: Path) -> Generator[Owned]:
    """An empty database with a ready server and its owner, durable as in earnest."""
    owned = Owned(made_once)
    owned.start()
    owned.until_ready()
    with owned.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS kept")
    yield owned
    owned.end()


def _open_folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="doseloop-test-", dir="/tmp"))
    made.chmod(0o711)
    return made
