"""How other commands find the embedded server, and start it when it is absent."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from backend.database.address import Addresses, embedded_at
from backend.database.cluster import make_data_dir
from backend.database.lock import READY, Owner, owner, was_killed
from backend.errors import Unavailable

PROJECT = Path(__file__).resolve().parents[2]
LOOK = 0.05
QUIET = 2.0  # seconds of waiting before anything is said
LOG = "database.log"

_reviving = threading.Lock()  # the first of many threads starts it, the others wait


class NoDatabase(Unavailable):
    """The embedded server does not start."""


def ensure(data_dir: Path) -> Addresses:
    """Return the addresses of the server in `data_dir`, started when nobody runs it.

    Waits as long as a recovery takes and says on stderr how it goes. Raises NoDatabase
    when the owning process ends without a server.
    """
    data_dir = data_dir.absolute()
    started = None if owner(data_dir) else _start(data_dir)
    told = since = time.monotonic()
    quiet = QUIET
    while not (found := owner(data_dir)) or found.state != READY:
        _check(started, found, data_dir)
        if time.monotonic() - told > quiet:
            told, quiet = time.monotonic(), 5.0
            state = found.state if found else "starting"
            _say(f"waiting for the database, {told - since:.0f} s: {state}")
        time.sleep(LOOK)
    return embedded_at(Path(found.socket))


def revive(data_dir: Path) -> None:
    """Start the server again when its owner was killed; not when it was stopped."""
    with _reviving:
        if was_killed(data_dir):
            ensure(data_dir)


def stop(data_dir: Path) -> bool:
    """Ask the owner to stop and wait until it has; False when there was none."""
    data_dir = data_dir.absolute()
    found = owner(data_dir)
    if found is None or found.pid == 0:
        return False
    os.kill(found.pid, signal.SIGTERM)
    while (now := owner(data_dir)) and now.pid == found.pid:
        time.sleep(LOOK)
    return True


def _start(data_dir: Path) -> subprocess.Popen[bytes]:
    """Start an owner that outlives this command."""
    make_data_dir(data_dir)
    with (data_dir / LOG).open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "backend", "database"],
            cwd=PROJECT,
            env={**os.environ, "DOSELOOP_DATA_DIR": str(data_dir)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _check(
    started: subprocess.Popen[bytes] | None, found: Owner | None, data_dir: Path
) -> None:
    """Raise NoDatabase when nobody is starting the server any more."""
    if found is not None:
        return
    if started is None or started.poll() is not None:
        log = data_dir / LOG
        words = log.read_text(errors="replace").strip() if log.exists() else ""
        last = words.splitlines()[-1] if words else "no reason given"
        raise NoDatabase(f"The database in {data_dir} did not start: {last}")


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
