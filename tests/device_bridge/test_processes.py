"""Device and bridge as processes of their own, killed without warning."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.device_bridge.fake_backend import TOKEN, FakeBackend, serving
from tests.device_bridge.stories import a_device, a_plan, backend_for, now, past

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Processes:
    """The two processes, which can be killed and started again."""

    def __init__(self, folder: Path, plan: dict[str, Any], address: str) -> None:
        self._plan = folder / "plan.json"
        self._plan.write_text(json.dumps(plan))
        self._folder = folder
        self._port = a_free_port()
        self._environment = os.environ | {
            "DOSELOOP_BRIDGE_BACKEND": address,
            "DOSELOOP_BRIDGE_TOKEN": TOKEN,
            "DOSELOOP_BRIDGE_SPOOL": str(folder / "spool"),
            "DOSELOOP_BRIDGE_HCI": f"tcp-client:127.0.0.1:{self._port}",
        }
        self.devices = self.start_devices()
        self.bridge = self.start_bridge()

    def start_devices(self) -> "subprocess.Popen[bytes]":
        transport = f"tcp-server:127.0.0.1:{self._port}"
        state = str(self._folder / "devices")
        plan = str(self._plan)
        return self._start("simulate", plan, "--transport", transport, "--state", state)

    def start_bridge(self) -> "subprocess.Popen[bytes]":
        return self._start("run")

    def _start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "log.txt").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "device_bridge", *arguments],
                cwd=ROOT,
                env=self._environment,
                stderr=log,
            )

    def kill_bridge(self) -> None:
        kill(self.bridge)
        self.bridge = self.start_bridge()

    def kill_devices(self) -> None:
        kill(self.devices)
        self.devices = self.start_devices()


def kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


@contextmanager
def running(
    folder: Path, plan: dict[str, Any]
) -> Generator[tuple[Processes, FakeBackend]]:
    backend = backend_for(plan)
    with serving(backend) as address:
        processes = Processes(folder, plan, address)
        try:
            yield processes, backend
        finally:
            for process in (processes.bridge, processes.devices):
                kill(process)
    assert backend.breaches == []


def until(condition: Callable[[], object], within: float = 40.0) -> None:
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.005)


def test_kills_in_mid_transfer_neither_lose_nor_double_a_record(tmp_path: Path) -> None:
    start = now()
    devices = [a_device(f"B{n}", past(600, start)) for n in range(3)]
    plan = a_plan(devices, start=start)
    with running(tmp_path, plan) as (processes, backend):
        for share, victim in [
            (0.05, processes.kill_bridge),
            (0.2, processes.kill_devices),
            (0.4, processes.kill_bridge),
        ]:
            until(lambda share=share: len(backend.records) >= share * 1800)
            victim()
        until(lambda: len(backend.records) == 1800)
    for device in devices:
        assert backend.sequences(device["serial"]) == list(range(1, 601))
        times = [
            datetime.fromisoformat(dose["occurred_at"])
            for dose in backend.doses(device["serial"])
        ]
        planned = [datetime.fromisoformat(event["at"]) for event in device["events"]]
        worst = max(abs(t - p) for t, p in zip(times, planned, strict=True))
        assert worst < timedelta(seconds=1)
    assert backend.conflicts == 0
