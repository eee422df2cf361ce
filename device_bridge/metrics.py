"""How the bridge is, for Prometheus: http://127.0.0.1:PORT/metrics.

Counters are taken from the events that are logged anyway, gauges from the queue's file,
which is read anew at each scrape by a connection of its own: nothing of the bridge
waits for whoever looks. Devices are named by the backend's ids, nobody else is.
"""

import logging
import sqlite3
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from device_bridge.errors import BadSettings

LOOPBACK = "127.0.0.1"
QUEUES = {"records": "record", "events": "event", "vitals": "segment"}
OLDEST = "SELECT min(heard_at) FROM record"
OFFSETS = """
SELECT t.device_id, t.offset_s FROM timeline t
JOIN progress p ON p.device_id = t.device_id AND p.generation = t.generation
WHERE t.offset_s IS NOT NULL AND t.stated = (SELECT max(stated) FROM timeline u
    WHERE u.device_id = t.device_id AND u.generation = t.generation
      AND u.offset_s IS NOT NULL)
"""


class Queue(Collector):
    """What the spool's file says at the moment of a scrape."""

    def __init__(self, spool: Path) -> None:
        self._path = spool / "spool.sqlite"

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges; none while the file cannot be read."""
        try:
            uri = f"{self._path.absolute().as_uri()}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=1)) as db:
                yield from self._gauges(db)
        except sqlite3.Error:
            return

    def _gauges(self, db: sqlite3.Connection) -> Iterator[GaugeMetricFamily]:
        length = GaugeMetricFamily(
            "doseloop_bridge_queue_length", "Waiting for the backend", labels=["kind"]
        )
        for kind, table in QUEUES.items():
            [count] = db.execute(f"SELECT count(*) FROM {table}").fetchone()  # noqa: S608
            length.add_metric([kind], count)
        yield length
        [oldest] = db.execute(OLDEST).fetchone()
        age = 0.0 if oldest is None else _age(oldest)
        yield GaugeMetricFamily(
            "doseloop_bridge_queue_age_seconds",
            "How long the oldest record has waited",
            value=age,
        )
        offset = GaugeMetricFamily(
            "doseloop_bridge_clock_offset_seconds",
            "A device's clock minus true time, as last measured",
            labels=["device"],
        )
        for device, seconds in db.execute(OFFSETS):
            offset.add_metric([device], seconds)
        yield offset


def _age(heard_at: str) -> float:
    heard = datetime.fromisoformat(heard_at)
    return max(0.0, (datetime.now(UTC) - heard).total_seconds())


class Counting(logging.Handler):
    """Counts what is logged."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__(logging.INFO)

        def counter(name: str, what: str, *labels: str) -> Counter:
            name = f"doseloop_bridge_{name}"
            return Counter(name, what, labels, registry=registry)

        def by_device(name: str, what: str) -> Gauge:
            name = f"doseloop_bridge_{name}"
            return Gauge(name, what, ["device"], registry=registry)

        self._uploaded = counter("uploaded", "Items by verdict", "to", "verdict")
        self._connected = by_device("connected", "1 while a device is linked")
        self._heard = by_device(
            "last_heard_timestamp_seconds", "When a link last began or ended"
        )
        self._counted = {
            "backend unavailable": counter("upload_failures", "Posts that failed"),
            "item refused": counter("refused", "Items that the backend cannot take"),
            "link ended": counter("link_failures", "Links that failed"),
            "radio off": counter("radio_losses", "Times without a radio"),
        }
        self._counted_by_device = {
            "gap": counter("gaps", "Runs of records that are lost", "device"),
            "clock set": counter("clocks_set", "Device clocks set", "device"),
            "connected": counter("links", "Links that were made", "device"),
        }

    def emit(self, record: logging.LogRecord) -> None:
        """Count one event."""
        event, said = record.getMessage(), vars(record)
        if counter := self._counted.get(event):
            counter.inc()
        elif event == "uploaded":
            self._count_verdicts(said)
        elif device := said.get("device"):
            if counter := self._counted_by_device.get(event):
                counter.labels(device).inc()
            if event in ("connected", "disconnected"):
                self._connected.labels(device).set(event == "connected")
                self._heard.labels(device).set(record.created)

    def _count_verdicts(self, said: dict[str, Any]) -> None:
        for verdict in ("new", "known", "quarantined", "rejected"):
            if count := said.get(verdict):
                self._uploaded.labels(said["to"], verdict).inc(count)


@contextmanager
def measured(port: int | None, spool: Path) -> Generator[CollectorRegistry]:
    """Serve metrics on the loopback while inside; on no port without one.

    Raises BadSettings when the port is taken.
    """
    registry = CollectorRegistry()
    registry.register(Queue(spool))
    counting, log = Counting(registry), logging.getLogger("device_bridge")
    served = None
    if port is not None:
        try:
            served = start_http_server(port, addr=LOOPBACK, registry=registry)
        except OSError as error:
            raise BadSettings(f"metrics: port {port}: {error.strerror}") from error
    log.addHandler(counting)
    before = log.level
    log.setLevel(logging.INFO)  # what is counted is no warning; who writes it, filters
    try:
        yield registry
    finally:
        log.removeHandler(counting)
        log.setLevel(before)
        if served is not None:
            server, thread = served
            server.shutdown()
            server.server_close()
            thread.join()
