"""The whole system as processes, each of which can be killed without a word."""

import json
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.database.cluster import cluster_folder
from backend.database.lock import READY, owner
from backend.database.postmaster import running
from backend.demo.processes import Child, Company, DatabaseChild

VICTIMS = ("bridge", "devices", "web", "worker", "database", "server")


@dataclass(frozen=True)
class Places:
    """Where the processes of one system keep their things and find each other."""

    folder: Path
    web: int
    radio: int

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.web}"

    @property
    def plan(self) -> Path:
        return self.folder / "plan.json"

    def environment(self, token: str) -> dict[str, str]:
        return {
            "DOSELOOP_DATABASE_URL": "",
            "DOSELOOP_DATA_DIR": str(self.folder),
            "DOSELOOP_DEMO": "true",
            "DOSELOOP_HOST": "127.0.0.1",
            "DOSELOOP_PORT": str(self.web),
            "DOSELOOP_BRIDGE_BACKEND": self.address,
            "DOSELOOP_BRIDGE_TOKEN": token,
            "DOSELOOP_BRIDGE_SPOOL": str(self.folder / "spool"),
            "DOSELOOP_BRIDGE_HCI": f"tcp-client:127.0.0.1:{self.radio}",
        }


class System:
    """All processes but the database can be started; every one can be killed."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.company = Company()
        self.children: dict[str, Child] = {}

    def start_database(self) -> Path:
        """Start the database and return its socket's folder."""
        folder = self.places.folder
        child = DatabaseChild(
            "database", self.places.environment(""), folder / "database.txt", folder
        )
        self.children["database"] = self.company.add(child)
        wait_until(lambda: child.ready() or not child.alive(), 60)
        found = owner(folder)
        assert found is not None, child.last_words()
        return Path(found.socket)

    def start(self, token: str) -> None:
        """Start web, worker, devices and bridge; none waits for another."""
        at = self.places
        play = ("simulate", str(at.plan), "--state", str(at.folder / "devices"))
        transport = ("--transport", f"tcp-server:127.0.0.1:{at.radio}")
        for name, module, arguments in (
            ("web", "backend", ("serve",)),
            ("worker", "backend", ("work",)),
            ("devices", "device_bridge", (*play, *transport)),
            ("bridge", "device_bridge", ("run",)),
        ):
            log = at.folder / f"{name}.txt"
            child = Child(name, module, arguments, at.environment(token), log)
            self.children[name] = self.company.add(child)

    def write_plan(self, plan: Mapping[str, Any]) -> None:
        beside = self.places.plan.with_suffix(".new")
        beside.write_text(json.dumps(plan))
        beside.replace(self.places.plan)

    def kill(self, victim: str) -> None:
        """Kill a process with SIGKILL; `server` is PostgreSQL, `database` its owner."""
        pid = self._pid(victim)
        if pid is None:
            return
        os.kill(pid, signal.SIGKILL)
        for child in self.children.values():
            if child.process is not None and child.process.pid == pid:
                child.process.wait()

    def mend(self) -> list[str]:
        """Start what has ended, at once; return what that was."""
        ended = [name for name, child in self.children.items() if not child.alive()]
        for name in ended:
            self.children[name].start()
        return ended

    def stop(self) -> None:
        self.company.stop()

    def destroy(self) -> None:
        """End everything at once, without waiting for the disk."""
        for child in reversed(self.children.values()):
            if child.process is not None:
                child.process.kill()
                child.process.wait()
        if found := owner(self.places.folder):
            os.kill(found.pid, signal.SIGKILL)
        if left := running(cluster_folder(self.places.folder)):
            os.kill(left.pid, signal.SIGQUIT)

    def _pid(self, victim: str) -> int | None:
        if victim == "database":
            found = owner(self.places.folder)
            return found.pid if found and found.pid else None
        if victim == "server":
            left = running(cluster_folder(self.places.folder))
            return left.pid if left else None
        child = self.children[victim]
        return child.process.pid if child.process and child.alive() else None


@contextmanager
def a_system() -> Generator[System]:
    """A folder and ports for a system; nothing of it is left afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="doseloop-crash-", dir="/tmp"))
    folder.chmod(0o711)  # the account that runs the server must get in
    system = System(Places(folder, free_port(), free_port()))
    try:
        yield system
    finally:
        system.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def is_ready(folder: Path) -> bool:
    found = owner(folder)
    return found is not None and found.state == READY


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], within: float) -> bool:
    """Wait for a condition; return whether it came within so many seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
