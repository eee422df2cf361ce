"""Owners of embedded databases as processes of their own, to be killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from backend.database.account import Account
from backend.database.address import OWNER_ROLE
from backend.database.cluster import cluster_folder
from backend.database.lock import READY, owner
from backend.database.postmaster import Postmaster, running, serves

PROJECT = Path(__file__).parents[3]
DEADLINE = 30.0
IMPORTS = (
    "import os, sys, psycopg, psycopg._conninfo_attempts, backend.database.owner; "
    "from backend.__main__ import main"
)


@dataclass
class Owned:
    """A data folder and the owner processes that a test has started on it."""

    data_dir: Path
    account: Account | None = None
    processes: list[subprocess.Popen[str]] = field(
        default_factory=list[subprocess.Popen[str]]
    )

    def start(self, *options: str) -> subprocess.Popen[str]:
        """Start an owner; what it says can be read from its stderr when it ends."""
        process = subprocess.Popen(
            [sys.executable, *self._as_whom(), "database", *options],
            cwd=PROJECT,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command on this folder to its end."""
        return subprocess.run(
            [sys.executable, "-m", "backend", *arguments],
            cwd=PROJECT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    @contextmanager
    def python(self, code: str) -> Generator[subprocess.Popen[str]]:
        """Run some Python against this folder, to be talked to."""
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            cwd=PROJECT,
            env=self._environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    def until_ready(self) -> None:
        wait_until(self._ready, f"no server in {self.data_dir}: {self.processes}")

    def server(self) -> Postmaster:
        found = running(cluster_folder(self.data_dir))
        assert found, "no server is running"
        return found

    def kill_server(self) -> int:
        pid = self.server().pid
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_owner(self) -> None:
        process = self.processes[-1]
        process.kill()
        process.communicate()

    def connect(self) -> psycopg.Connection:
        found = owner(self.data_dir)
        assert found
        return psycopg.connect(
            host=found.socket, user=OWNER_ROLE, dbname="doseloop", autocommit=True
        )

    def insert(self, note: str) -> None:
        with self.connect() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (note text)")
            connection.execute("INSERT INTO kept VALUES (%s)", [note])

    def notes(self) -> list[str]:
        with self.connect() as connection:
            rows = connection.execute("SELECT note FROM kept ORDER BY note")
            return [str(row[0]) for row in rows]

    def stop(self) -> str:
        """Stop the newest owner as an operator would and return what it has said."""
        self.processes[-1].terminate()
        _, said = self.processes[-1].communicate(timeout=DEADLINE)
        return said

    def end(self) -> None:
        """End everything that was started here, without waiting for the disk."""
        if found := owner(self.data_dir):
            os.kill(found.pid, signal.SIGKILL)
        for process in self.processes:
            process.kill()
            process.communicate()
        folder = cluster_folder(self.data_dir)
        if left := running(folder):
            os.kill(left.pid, signal.SIGQUIT)
            wait_until(lambda: not serves(left.pid, folder), "does not end")

    def _environment(self) -> dict[str, str]:
        others = {k: v for k, v in os.environ.items() if not k.startswith("DOSELOOP_")}
        return {**others, "DOSELOOP_DATA_DIR": str(self.data_dir)}

    def _as_whom(self) -> list[str]:
        """How Python is told to run the command, as `account` if there is one.

        Everything is imported before root is given up: Python itself may lie where
        the other account cannot read.
        """
        if self.account is None:
            return ["-m", "backend"]
        who = f"os.setgid({self.account.gid}); os.setuid({self.account.uid})"
        return ["-c", f"{IMPORTS}; os.setgroups([]); {who}; sys.exit(main())"]

    def _ready(self) -> bool:
        found = owner(self.data_dir)
        return found is not None and found.state == READY


def wait_until(condition: Callable[[], bool], otherwise: str) -> None:
    until = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < until, otherwise
        time.sleep(0.02)
