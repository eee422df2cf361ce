"""The demo's processes: started, watched, started again, stopped together."""

import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from backend.database.attach import stop
from backend.database.lock import READY, owner

STOP_WITHIN = 15.0  # seconds until a process that was asked to end is killed
READY_WITHIN = 60.0  # seconds
BACK_OFF = 2.0  # seconds between two starts of a process that keeps dying


@dataclass
class Child:
    """A process of ours; what it says goes to its log."""

    name: str
    module: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path
    patience: float = READY_WITHIN
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    starts: int = field(default=0)

    def start(self) -> None:
        """Start it; it ends with us even where we are killed, if Linux can say so."""
        leash = shutil.which("setpriv")
        tied = [leash, "--pdeathsig", "TERM", "--"] if leash else []
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 (our own modules)
                [*tied, sys.executable, "-m", self.module, *self.arguments],
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us alone to pass on
            )
        self.started = time.monotonic()
        self.starts += 1

    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait until it has ended; kill it when it takes too long."""
        if self.process is None:
            return
        try:
            self.process.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        """Return the last line of its log."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        lines = text.strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def progress(self) -> str:
        """Return how far it has come, as the end of a sentence."""
        return ""


class DatabaseChild(Child):
    """The owner of the embedded database: our child, or whoever called it back.

    When the owner is killed, the first process that misses the database starts another.
    That one serves us as well, and ends with us. It is given any time: a recovery takes
    as long as it takes.
    """

    def __init__(
        self, name: str, environment: Mapping[str, str], log: Path, data_dir: Path
    ) -> None:
        super().__init__(name, "backend", ("database",), environment, log, math.inf)
        self.data_dir = data_dir

    def alive(self) -> bool:
        return owner(self.data_dir) is not None or super().alive()

    def ready(self) -> bool:
        found = owner(self.data_dir)
        return found is not None and found.state == READY

    def progress(self) -> str:
        found = owner(self.data_dir)
        return f": {found.state}" if found else ""

    def ask_to_end(self) -> None:
        """Stop the database and wait until it has."""
        super().ask_to_end()
        stop(self.data_dir)


class Company:
    """All processes, in the order in which they depend on each other."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    def add(self, child: Child) -> Child:
        """Start a process and watch it from now on."""
        child.start()
        self._children.append(child)
        return child

    def tend(self) -> list[Child]:
        """Start again what has ended; return what that was."""
        ended = [child for child in self._children if not child.alive()]
        again = [c for c in ended if time.monotonic() - c.started > BACK_OFF]
        for child in again:
            child.start()
        return again

    def stop(self) -> None:
        """End all, the last one first, so that none loses what it depends on."""
        for child in reversed(self._children):
            child.ask_to_end()
            child.wait()
