"""The one process that watches over the embedded server: starts, restarts, stops it."""

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO

import psycopg

from backend.database.cluster import (
    Cluster,
    admin,
    launch,
    make_data_dir,
    make_roles,
    open_cluster,
    socket_folder,
)
from backend.database.lock import READY, STOPPING, Lock, held
from backend.database.postmaster import disown, left_running, serves
from backend.errors import Refused

Say = Callable[[str], None]

LOOK = 0.25  # seconds between looks at a server that is not our child
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 30.0  # seconds before a restart
STEADY = 60.0  # seconds after which a crash counts as the first again
TELL_EVERY = 5.0
BIGGEST_LOG = 10 * 2**20
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT  # PostgreSQL's words for shutting down


def own(
    data_dir: Path,
    *,
    options: Mapping[str, str] | None = None,
    until_stdin_ends: bool = False,
    say: Say,
) -> None:
    """Serve the database in `data_dir` until SIGTERM, SIGINT or, if so, end of stdin.

    Raises AlreadyOwned when another process does. A server that was left behind by a
    killed owner is adopted; a crashed one is started again, with growing pauses.
    """
    data_dir = data_dir.absolute()
    make_data_dir(data_dir)
    with held(data_dir) as lock, _wake_ups(until_stdin_ends=until_stdin_ends) as wake:
        wanted = dict(options or {})
        cluster = open_cluster(data_dir, durable=wanted.get("fsync") != "off")
        watch = Watch(cluster, socket_folder(cluster), lock, wake, wanted, say)
        watch.until_told_to_stop()


class DataGone(Refused):
    """Somebody has deleted the data of a running server."""


@dataclass(slots=True)
class Wake:
    """What ends a wait early: a signal, the end of stdin; counts requests to stop."""

    readable: list[int]
    asked: int = 0

    @property
    def stop(self) -> bool:
        return self.asked > 0

    def wait(self, seconds: float) -> bool:
        """Return whether to stop, after `seconds` or as soon as something happens."""
        if not self.stop:
            self.nap(seconds)
        return self.stop

    def nap(self, seconds: float) -> None:
        ready, _, _ = select.select(self.readable, [], [], seconds)
        for descriptor in ready:
            if not os.read(descriptor, 512):
                self.readable.remove(descriptor)
                self.asked += 1


@dataclass(slots=True)
class Watch:
    """A server and what is known of it; `child` is None for an adopted one."""

    cluster: Cluster
    socket: Path
    lock: Lock
    wake: Wake
    options: Mapping[str, str]
    say: Say
    pid: int = 0
    child: subprocess.Popen[bytes] | None = None
    pause: float = FIRST_PAUSE
    started: float = field(default_factory=time.monotonic)

    def until_told_to_stop(self) -> None:
        try:
            while not self.wake.stop:
                self.adopt_or_start()
                if self.until_ready():
                    self.until_gone()
                if not self.wake.stop:
                    self.rest()
        finally:
            self.shut_down()

    def adopt_or_start(self) -> None:
        self.started = time.monotonic()
        self.lock.tell("starting", socket=self.socket)
        if left := left_running(self.cluster.folder):
            self.say(f"adopting the server left running as process {left.pid}")
            self.pid, self.child, self.socket = left.pid, None, left.socket
            os.kill(self.pid, signal.SIGHUP)  # who may come in was just written anew
            return
        disown(self.cluster.folder)
        with _log_file(self.cluster.data_dir) as log:
            self.child = launch(self.cluster, self.socket, log, self.options)
        self.pid = self.child.pid

    def alive(self) -> bool:
        if self.child is not None:
            return self.child.poll() is None
        return serves(self.pid, self.cluster.folder)

    def until_ready(self) -> bool:
        """Wait as long as recovery takes; False when it died or we must stop."""
        told = time.monotonic()
        while self.alive():
            try:
                with admin(self.socket) as connection:
                    make_roles(connection)
            except psycopg.OperationalError as error:
                if time.monotonic() - told > TELL_EVERY:
                    told = time.monotonic()
                    self.progress(error)
            else:
                self.lock.tell(READY, socket=self.socket)
                self.say(f"PostgreSQL {self.cluster.installation.release} is ready")
                return True
            if self.wake.wait(0.05):
                return False
        return False

    def progress(self, error: psycopg.OperationalError) -> None:
        why = str(error).strip().splitlines()[-1].rpartition("FATAL:")[2].strip()
        so_far = f"{time.monotonic() - self.started:.0f} s"
        self.lock.tell(f"{so_far}: {why}"[:200])
        self.say(f"waiting for PostgreSQL, {so_far}: {why}")

    def until_gone(self) -> None:
        """Watch until the server ends; raises DataGone when its folder is deleted."""
        while self.alive():
            if self.wake.wait(LOOK if self.child is None else 5.0):
                return
            if not self.cluster.folder.exists():
                raise DataGone(f"{self.cluster.folder} was deleted: stopping.")

    def rest(self) -> None:
        """Wait before the next start, longer each time the server dies young."""
        if time.monotonic() - self.started > STEADY:
            self.pause = FIRST_PAUSE
        self.lock.tell("restarting")
        self.say(
            f"PostgreSQL is gone ({self.how_it_ended()}); again in {self.pause:g} s; "
            f"see {_log_path(self.cluster.data_dir)}"
        )
        until = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, LONGEST_PAUSE)
        while (left := until - time.monotonic()) > 0 and not self.wake.wait(left):
            pass

    def how_it_ended(self) -> str:
        if self.child is None or self.child.returncode is None:
            return "it was not our child"
        code = self.child.returncode
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def shut_down(self) -> None:
        """End all sessions and write everything down; a second request hurries."""
        self.lock.tell(STOPPING)
        told, asked = time.monotonic(), self.wake.asked
        word = FAST if self.cluster.folder.exists() else IMMEDIATE
        if self.alive():
            os.kill(self.pid, word)
        while self.alive():
            self.wake.nap(LOOK)
            if self.wake.asked > asked and word != IMMEDIATE:
                word = IMMEDIATE
                os.kill(self.pid, word)
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                self.say("waiting for PostgreSQL to write everything down")
        self.say("PostgreSQL is stopped")


@contextmanager
def _wake_ups(*, until_stdin_ends: bool) -> Generator[Wake]:
    """Turn signals into something a wait can be ended by, without a race."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    wake = Wake([reads, *([sys.stdin.fileno()] if until_stdin_ends else [])])

    def stop(_number: int, _frame: FrameType | None) -> None:
        wake.asked += 1

    def woken(_number: int, _frame: FrameType | None) -> None:
        """The pipe has been written to: a child has ended."""

    handlers = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGCHLD: woken}
    before = {number: signal.signal(number, act) for number, act in handlers.items()}
    old = signal.set_wakeup_fd(writes, warn_on_full_buffer=False)
    try:
        yield wake
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reads)
        os.close(writes)


def _log_path(data_dir: Path) -> Path:
    return data_dir / "postgresql.log"


@contextmanager
def _log_file(data_dir: Path) -> Generator[IO[bytes]]:
    path = _log_path(data_dir)
    if path.exists() and path.stat().st_size > BIGGEST_LOG:
        path.replace(path.with_suffix(".log.1"))
    with path.open("ab") as log:
        path.chmod(0o600)
        yield log
