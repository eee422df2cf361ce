"""What PostgreSQL itself says about a running server: its `postmaster.pid`."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

PID_FILE = "postmaster.pid"
LOOKS, PAUSE = 40, 0.05  # two seconds


@dataclass(frozen=True, slots=True)
class Postmaster:
    """The process that serves a cluster, and the folder its socket lies in."""

    pid: int
    socket: Path
    status: str


def running(cluster: Path) -> Postmaster | None:
    """Return the postmaster that serves `cluster` now, None if there is none.

    The file outlives a killed server and its number may since belong to any other
    process, so the process is looked at: a postgres whose folder is the cluster.
    """
    found = read(cluster)
    return found if found and serves(found.pid, cluster) else None


def left_running(cluster: Path) -> Postmaster | None:
    """Return the postmaster that a gone owner left behind, None if there is none.

    Asked before a server is started, where a wrong "none" costs most: so long as the
    file names a live postgres whose folder cannot be told, it is looked at again. A
    machine under load was seen to hide it for a moment.
    """
    for _ in range(LOOKS):
        if found := running(cluster):
            return found
        named = read(cluster)
        if named is None or not _is_postgres(named.pid):
            return None
        time.sleep(PAUSE)
    return None


def stop_left(cluster: Path) -> int | None:
    """Stop the server that a gone owner left behind, and return which process it was.

    Waits until it has written everything down. None if there was none.
    """
    left = left_running(cluster)
    if left is None:
        return None
    os.kill(left.pid, signal.SIGINT)
    while serves(left.pid, cluster):
        time.sleep(PAUSE)
    return left.pid


def read(cluster: Path) -> Postmaster | None:
    """Return what the file says, None while it is absent or not fully written."""
    try:
        lines = (cluster / PID_FILE).read_text().splitlines()
    except FileNotFoundError:
        return None
    if len(lines) < 8 or not lines[0].strip().isdecimal():
        return None
    return Postmaster(int(lines[0]), Path(lines[4]), lines[7].strip())


def serves(pid: int, cluster: Path) -> bool:
    """Tell whether process `pid` is a postgres working in `cluster`."""
    if sys.platform != "linux":
        told = subprocess.run(  # noqa: S603
            ["/bin/ps", "-p", str(pid), "-o", "comm="],
            capture_output=True,
            text=True,
            check=False,
        )
        return Path(told.stdout.strip()).name == "postgres"
    try:
        return _is_postgres(pid) and Path("/proc", str(pid), "cwd").samefile(cluster)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def _is_postgres(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "comm").read_text().strip() == "postgres"
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False


def disown(cluster: Path) -> None:
    """Make a left-over file name this process in place of one that is not postgres.

    PostgreSQL will not start while the number in the file is that of any live process
    of the same account. It does accept its own parent's, and goes on to look whether
    the shared memory of the dead server is still in use; so the file is not deleted.
    """
    path = cluster / PID_FILE
    if (found := read(cluster)) and not serves(found.pid, cluster):
        lines = path.read_text().splitlines()
        path.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
