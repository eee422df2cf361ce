"""The file that says who owns the embedded server, and holds the lock of that owner."""

import fcntl
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson

from backend.errors import Conflict, Forbidden, Refused

PATIENCE = 1.0  # seconds: another process may hold the lock for a moment to look
READY, STOPPING, STOPPED = "ready", "stopping", "stopped"


class NoPlace(Refused):
    """The data folder cannot be one: it is a file, or its disk is read only."""

    def __init__(self, data_dir: Path, error: OSError) -> None:
        super().__init__(
            f"No data can be kept in {data_dir} ({error.strerror}). "
            "Set DOSELOOP_DATA_DIR to a folder of yours."
        )


class AlreadyOwned(Conflict):
    """Another process watches over this database."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The owning process and how far its server has come."""

    pid: int
    state: str
    socket: str = ""


class Lock:
    """The held lock; what is told here is read by every other command."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._told = Owner(os.getpid(), "starting")

    def tell(self, state: str, *, socket: Path | None = None) -> None:
        """Write how far the server has come; the file is shorter than one page."""
        known = str(socket) if socket else self._told.socket
        self._told = replace(self._told, state=state, socket=known)
        text = orjson.dumps(asdict(self._told)) + b"\n"
        os.pwrite(self._descriptor, text.ljust(512), 0)


@contextmanager
def held(data_dir: Path) -> Generator[Lock]:
    """Hold the lock of `data_dir`; raises AlreadyOwned when somebody else does.

    The kernel drops it with the process, however that ends.
    """
    descriptor = _open(data_dir, os.O_RDWR | os.O_CREAT)
    try:
        _acquire(descriptor, data_dir)
        lock = Lock(descriptor)
        lock.tell("starting")
        yield lock
        lock.tell(STOPPED)
    finally:
        os.close(descriptor)


def owner(data_dir: Path) -> Owner | None:
    """Return who owns the database in `data_dir` now, None when nobody does."""
    told, locked = _look(data_dir)
    return told if locked else None


def was_killed(data_dir: Path) -> bool:
    """Tell whether the last owner is gone without having stopped the server."""
    told, locked = _look(data_dir)
    return told is not None and not locked and told.state != STOPPED


def _look(data_dir: Path) -> tuple[Owner | None, bool]:
    """Return what the last owner has told, and whether it still holds the lock."""
    try:
        descriptor = _open(data_dir, os.O_RDONLY)
    except FileNotFoundError:
        return None, False
    try:
        locked = not _try_lock(descriptor, fcntl.LOCK_SH)
        return _read(descriptor), locked
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> Owner:
    try:
        return Owner(**orjson.loads(os.pread(descriptor, 512, 0)))
    except (orjson.JSONDecodeError, TypeError):
        return Owner(0, "starting")  # locked and not yet written


def _acquire(descriptor: int, data_dir: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not _try_lock(descriptor, fcntl.LOCK_EX):
        if time.monotonic() > until:
            by = _read(descriptor)
            raise AlreadyOwned(
                f"The database in {data_dir} is already run by process {by.pid}.",
                pid=by.pid,
            )
        time.sleep(0.02)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _open(data_dir: Path, flags: int) -> int:
    path = data_dir / "database.lock"
    try:
        return os.open(path, flags, 0o600)
    except PermissionError:
        raise Forbidden(
            f"{path} belongs to another account: run this as that account or as root."
        ) from None
    except FileNotFoundError:
        raise  # nothing was ever kept here, which is for the caller to judge
    except OSError as error:
        raise NoPlace(data_dir, error) from error
