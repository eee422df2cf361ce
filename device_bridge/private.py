"""Files that only the account of the bridge may read: keys, and what devices said."""

from pathlib import Path
from stat import S_IMODE

OWNER_ONLY_FOLDER, OWNER_ONLY_FILE = 0o700, 0o600
OURS = ("spool.sqlite", "bonds.sqlite")


def private_file(path: Path) -> Path:
    """Return the path, its file there and closed to others, as are those beside it.

    The folder is closed too when it was made for the bridge: one that holds anything
    else may serve others.
    """
    folder = path.parent
    folder.mkdir(mode=OWNER_ONLY_FOLDER, parents=True, exist_ok=True)
    if all(child.name.startswith(OURS) for child in folder.iterdir()):
        _close(folder, OWNER_ONLY_FOLDER)
    path.touch(mode=OWNER_ONLY_FILE)
    for file in folder.glob(f"{path.name}*"):  # SQLite keeps its journal beside it
        _close(file, OWNER_ONLY_FILE)
    return path


def _close(path: Path, mode: int) -> None:
    if S_IMODE(path.stat().st_mode) != mode:
        path.chmod(mode)
