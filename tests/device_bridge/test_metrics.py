"""What Prometheus is told, and where."""

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from prometheus_client import CollectorRegistry

from device_bridge.errors import BadSettings
from device_bridge.metrics import measured
from tests.device_bridge.fake_backend import device_id
from tests.device_bridge.stories import (
    a_bridge,
    a_device,
    a_plan,
    devices_and_backend,
    now,
    past,
    until,
)


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def valued(registry: CollectorRegistry) -> Callable[..., float | None]:
    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"doseloop_bridge_{name}", labels)

    return value


def test_a_bridge_at_work_is_measured(tmp_path: Path) -> None:
    plan = a_plan([a_device("B1", past(5, now()), clock_offset_s=30)])

    async def story() -> None:
        async with devices_and_backend(plan, tmp_path) as world:
            with measured(None, world.settings.spool) as registry:
                value, box = valued(registry), device_id("B1")
                world.backend.failures = [503]
                async with a_bridge(world):
                    await until(lambda: len(world.backend.records) == 5)
                    await until(lambda: value("queue_length", kind="records") == 0)
                    new = {"to": "dose-events", "verdict": "new"}
                    await until(lambda: value("uploaded_total", **new) == 5)
                    assert value("connected", device=box) == 1
                    offset = value("clock_offset_seconds", device=box)
                    assert offset == pytest.approx(30, abs=1)
                assert value("connected", device=box) == 0
                assert value("links_total", device=box) == 1
                assert value("last_heard_timestamp_seconds", device=box)
                assert value("queue_age_seconds") == 0

    asyncio.run(story())


def test_it_is_served_on_the_loopback_and_names_no_serial(tmp_path: Path) -> None:
    port = a_free_port()
    with measured(port, tmp_path):
        with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
            told = answer.read().decode()
        with socket.socket() as other:
            other.settimeout(1)
            own = socket.gethostbyname(socket.gethostname())
            if not own.startswith("127."):
                assert other.connect_ex((own, port)) != 0

    assert "doseloop_bridge_upload_failures_total 0.0" in told


def test_without_a_queue_it_still_answers(tmp_path: Path) -> None:
    with measured(None, tmp_path / "nowhere") as registry:
        assert valued(registry)("queue_length", kind="records") is None


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(BadSettings, match=f"port {port}"), measured(port, tmp_path):
            pytest.fail("two listen on one port")
