"""What a benchmark runs on: a durable embedded server, one web process, CPU clocks."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from backend import clock, database, migrations
from backend.database.address import Addresses, embedded_at
from backend.database.lock import READY, owner
from backend.settings import settings

PROJECT = Path(__file__).parents[2]
DEADLINE = 60.0
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Machine:
    """A database with the present schema, and this process pointed at it."""

    addresses: Addresses
    postmaster: int

    def cpu_seconds(self, *processes: int) -> float:
        """Return the CPU that PostgreSQL and these processes have used so far.

        Of all server processes, those that have ended included.
        """
        return _spent(self.postmaster, with_dead=True) + sum(
            _spent(child.pid)
            for parent in (self.postmaster, *processes)
            for child in [
                *psutil.Process(parent).children(recursive=True),
                *([psutil.Process(parent)] if parent != self.postmaster else []),
            ]
        )


@contextmanager
def machine() -> Generator[Machine]:
    """A server of its own, fsync and synchronous_commit on, gone afterwards."""
    data_dir = Path(tempfile.mkdtemp(prefix="doseloop-bench-", dir="/tmp"))
    data_dir.chmod(0o711)  # the account that runs the server must get in
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "database", "--until-stdin-ends"],
        cwd=PROJECT,
        env={**os.environ, "DOSELOOP_DATA_DIR": str(data_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        at = embedded_at(_when_ready(data_dir, process))
        with _pointed_at(at):
            migrations.migrate(
                database.owner_engine(),
                app_role=at.app.username,
                today=clock.real_now().date(),
            )
            pid_file = data_dir / "postgres" / "postmaster.pid"
            yield Machine(at, int(pid_file.read_text().split()[0]))
    finally:
        process.communicate()
        shutil.rmtree(data_dir)


@contextmanager
def web(at: Addresses) -> Generator[tuple[str, int, int]]:
    """One web process on this database: host, port, process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    settings = {
        "DOSELOOP_DATABASE_URL": at.app.render_as_string(),
        "DOSELOOP_PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "backend", "serve"],
        cwd=PROJECT,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _until_answering(port, process)
        yield "127.0.0.1", port, process.pid
    finally:
        process.terminate()
        process.wait(DEADLINE)


@contextmanager
def _pointed_at(at: Addresses) -> Generator[None]:
    before = dict(os.environ)
    os.environ["DOSELOOP_DATABASE_URL"] = at.app.render_as_string()
    os.environ["DOSELOOP_OWNER_URL"] = at.owner.render_as_string()
    _forget()
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
        _forget()


def _forget() -> None:
    database.forget()
    clock.forget_clock()
    settings.cache_clear()


def _when_ready(data_dir: Path, process: subprocess.Popen[bytes]) -> Path:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and process.poll() is None:
        if (found := owner(data_dir)) and found.state == READY:
            return Path(found.socket)
        time.sleep(0.02)
    raise RuntimeError("no database for the benchmark")


def _until_answering(port: int, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("no web process for the benchmark")


def _spent(pid: int, *, with_dead: bool = False) -> float:
    """Seconds of user and system time; with those of children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11 : 15 if with_dead else 13])) / TICK
