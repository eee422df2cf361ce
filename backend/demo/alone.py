"""One demo at a time on one folder: its plan, spool and devices bear no second."""

import fcntl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from backend.errors import Conflict


class AlreadyPlaying(Conflict):
    """Another demo plays in this folder."""


@contextmanager
def alone(folder: Path) -> Generator[Callable[[str], None]]:
    """Hold a demo's folder; gives a function that writes down where this demo runs.

    Raises AlreadyPlaying, which names that place. The kernel lets go of the folder
    with the process, however that ends.
    """
    with (folder / "lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            where = file.read().strip() or "it is starting"
            raise AlreadyPlaying(f"A demo runs in {folder} already: {where}") from None

        def tell(where: str) -> None:
            file.truncate(0)
            file.write(f"{where}\n")
            file.flush()

        file.truncate(0)
        yield tell
