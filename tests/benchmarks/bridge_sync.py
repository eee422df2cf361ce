"""Full sync over the virtual link: the bridge beside a client that only listens.

Devices, bridge and the client it is compared with run as processes of their own; the
receiver of the bridge's posts is a small one in this process. Both times begin when the
first device is known and end when the last record is in: for the bridge, committed.
"""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

from device_bridge.virtual.server import address_of
from tests.benchmarks.bare_collector import collect
from tests.device_bridge.fake_backend import TOKEN, FakeBackend, serving
from tests.device_bridge.stories import a_device, a_plan, backend_for, now, past

YEAR = 2190  # records: six a day
AT_LEAST = 0.5
ROUNDS = 3
DEADLINE = 300.0
NEW = {"verdict": "new", "reason": None, "detail": None}
Row = tuple[str, str, str, bool]


@dataclass(frozen=True, slots=True)
class Sync:
    """Seconds by the clock and of the bridge's CPU."""

    seconds: float
    cpu: float


def run() -> list[Row]:
    """Return the shares of one device and of eight at once."""
    return [row for count in (1, 8) for row in _compare(count)]


def _compare(count: int) -> list[Row]:
    bare: list[float] = []
    ours: list[Sync] = []
    for _ in range(ROUNDS):  # in turn, so that both see the same machine
        with TemporaryDirectory() as folder:
            bare.append(_bare(count, Path(folder)))
        with TemporaryDirectory() as folder:
            ours.append(_bridge(count, Path(folder)))
    records = count * YEAR
    fastest, best = min(bare), min(ours, key=lambda sync: sync.seconds)
    share = fastest / best.seconds
    name = f"sync of {count} device{'s' if count > 1 else ''}, a year of records each"
    return [
        (f"{name}: bare client", f"{records / fastest:,.0f}/s", "", True),
        (f"{name}: bridge", f"{records / best.seconds:,.0f}/s", "", True),
        (f"{name}: share", f"{share:.2f}", f">= {AT_LEAST}", share >= AT_LEAST),
        (f"{name}: CPU of the bridge", f"{best.cpu:.2f} s", "", True),
    ]


def _serials(count: int) -> list[str]:
    return [f"B{n}" for n in range(count)]


def _plan(count: int) -> dict[str, Any]:
    return a_plan([a_device(serial, past(YEAR, now())) for serial in _serials(count)])


def _bare(count: int, folder: Path) -> float:
    addresses = [
        address_of(serial).to_string(with_type_qualifier=False)
        for serial in _serials(count)
    ]
    with _devices(_plan(count), folder) as hci:
        return asyncio.run(collect(hci, addresses, folder))


def _bridge(count: int, folder: Path) -> Sync:
    plan = _plan(count)
    backend = Timed.of(backend_for(plan))
    with _devices(plan, folder) as hci, serving(backend) as address:
        environment = os.environ | {
            "DOSELOOP_BRIDGE_BACKEND": address,
            "DOSELOOP_BRIDGE_TOKEN": TOKEN,
            "DOSELOOP_BRIDGE_SPOOL": str(folder / "spool"),
            "DOSELOOP_BRIDGE_HCI": hci,
        }
        with _started(["run"], folder, environment) as process:
            until = time.monotonic() + DEADLINE
            while len(backend.records) < count * YEAR:
                if time.monotonic() > until or process.poll() is not None:
                    raise RuntimeError((folder / "log.txt").read_text()[-2000:])
                time.sleep(0.002)
            seconds = time.perf_counter() - backend.began
            used = psutil.Process(process.pid).cpu_times()
            return Sync(seconds, used.user + used.system)


class Timed(FakeBackend):
    """A receiver that knows when the first device was asked for."""

    began: float = 0.0

    @classmethod
    def of(cls, backend: FakeBackend) -> "Timed":
        """Return one that knows the same devices."""
        return cls(backend.serials, backend.clock)

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if path == "/v1/bridges/devices" and not self.began:
            self.began = time.perf_counter()
        if path == "/v1/dose-events":
            # What a backend does with records is measured elsewhere.
            for item in body["items"]:
                key = (item["device_id"], item["epoch"], item["sequence"])
                self.records[key] = item
            return 200, {"verdicts": [NEW] * len(body["items"])}
        return super().answer(path, body)


@contextmanager
def _devices(plan: dict[str, Any], folder: Path) -> Generator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    (folder / "plan.json").write_text(json.dumps(plan))
    where = ["--transport", f"tcp-server:127.0.0.1:{port}", "--state", str(folder)]
    arguments = ["simulate", str(folder / "plan.json"), *where]
    with _started(arguments, folder, dict(os.environ)):
        log = folder / "log.txt"
        until = time.monotonic() + DEADLINE
        while "devices ready" not in log.read_text():
            if time.monotonic() > until:
                raise RuntimeError(log.read_text()[-2000:])
            time.sleep(0.01)
        yield f"tcp-client:127.0.0.1:{port}"


@contextmanager
def _started(
    arguments: list[str], folder: Path, environment: dict[str, str]
) -> Generator["subprocess.Popen[bytes]"]:
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "device_bridge", *arguments],
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(DEADLINE)
