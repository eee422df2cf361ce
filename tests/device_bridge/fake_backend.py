"""A small backend on a real socket that refuses what is not on the wire."""

import json
import threading
from base64 import b64decode
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import UUID, uuid5

import httpx

from device_bridge.clock import DomainClock

Item = dict[str, Any]
TOKEN = "a-token"
OPEN_TO_ALL = "/v1/clock", "/v1/bridges/pair"
NAMESPACE = UUID(int=1)
UNITS = {"[iU]", "mL", "mg", "1"}
VITALS = {
    "8867-4": "/min",
    "59408-5": "%",
    "8310-5": "Cel",
    "61008-9": "Cel",
    "8480-6": "mm[Hg]",
    "8462-4": "mm[Hg]",
    "8478-0": "mm[Hg]",
    "29463-7": "kg",
    "2339-0": "mg/dL",
    "15074-8": "mmol/L",
    "99504-3": "mg/dL",
}
KINDS = {
    "heard",
    "battery",
    "battery_low",
    "container_closed",
    "clock_set",
    "clock_wrong",
    "clock_drift",
    "clock_jump",
    "reset",
    "fault",
    "gap",
    "quarantine",
    "spool",
}


def device_id(serial: str) -> str:
    return str(uuid5(NAMESPACE, serial))


def want(condition: object, what: str) -> None:
    if not condition:
        raise AssertionError(what)


def instant(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    want(at.tzinfo is not None, f"{value} has no offset")
    return at


def keys(item: Item, required: set[str], optional: Iterable[str] = ()) -> None:
    want(required <= item.keys(), f"missing {required - item.keys()}")
    extra = item.keys() - required - set(optional)
    want(not extra, f"not on the wire: {extra}")


def check_identity(item: Item) -> None:
    want(isinstance(item["epoch"], int) and item["epoch"] >= 0, "epoch")
    want(isinstance(item["sequence"], int) and item["sequence"] >= 0, "sequence")
    want(len(bytes.fromhex(item["payload_hash"])) == 32, "payload_hash")
    if raw := item.get("raw"):
        octets = b64decode(raw, validate=True)
        want(len(octets) <= 4096, "raw too long")
        want(sha256(octets).hexdigest() == item["payload_hash"], "hash is not of raw")


def check_dose(item: Item) -> None:
    required = {
        "device_id",
        "epoch",
        "sequence",
        "payload_hash",
        "occurred_at",
        "uncertainty_s",
        "device_time",
        "offset_s",
        "evidence",
        "label",
        "compartment",
        "amount",
        "unit",
        "claimed_live",
    }
    keys(item, required, {"raw"})
    UUID(item["device_id"])
    check_identity(item)
    if item["occurred_at"] is not None:
        instant(item["occurred_at"])
    want(item["uncertainty_s"] >= 0, "uncertainty_s")
    if item["device_time"] is not None:
        want(len(bytes.fromhex(item["device_time"])) == 9, "device_time")
    want(item["evidence"] in ("container_opened", "dose_delivered", None), "evidence")
    want(item["label"] in ("prime", "no_measurement", None), "label")
    want(item["compartment"] is None or item["compartment"] >= 0, "compartment")
    if item["amount"] is not None:
        want(isinstance(item["amount"], str), "amount is text")
        want(Decimal(item["amount"]) > 0, "amount")
        want(item["unit"] in UNITS, "unit")
    if item["evidence"] is None and item["label"] is None:
        want(item.get("raw"), "raw is required for what cannot be read")
    want(isinstance(item["claimed_live"], bool), "claimed_live")


def check_device_event(item: Item) -> None:
    required = {
        "device_id",
        "kind",
        "occurred_at",
        "record",
        "heard_until",
        "detail",
        "claimed_live",
    }
    keys(item, required, {"id"})
    UUID(item["device_id"])
    want(item["kind"] in KINDS, f"kind {item['kind']}")
    if item["occurred_at"] is not None:
        instant(item["occurred_at"])
    want(isinstance(item["detail"], dict), "detail")
    if item["record"] is None:
        want(0 < len(item["id"]) <= 128, "id")
    else:
        keys(item["record"], {"epoch", "sequence", "payload_hash"}, {"raw"})
        check_identity(item["record"])
    if item["kind"] == "heard":
        keys(item["heard_until"], {"epoch", "sequence", "at"}, {"clock"})
        instant(item["heard_until"]["at"])


def check_segment(item: Item) -> None:
    keys(
        item,
        {
            "id",
            "device_id",
            "code",
            "unit",
            "start",
            "offsets",
            "values",
            "claimed_live",
        },
    )
    want(0 < len(item["id"]) <= 128, "id")
    want(VITALS.get(item["code"]) == item["unit"], "code and unit")
    instant(item["start"])
    want(1 <= len(item["values"]) <= 60, "1 to 60 values")
    want(len(item["offsets"]) == len(item["values"]), "offsets")
    want(item["offsets"] == sorted(set(item["offsets"])), "offsets ascend")
    want(item["offsets"][-1] - item["offsets"][0] <= 60, "60 s")


@dataclass
class FakeBackend:
    """What was received, by identity. `serials` are registered devices."""

    serials: dict[str, tuple[str, str]]
    clock: DomainClock
    records: dict[tuple[str, int, int], Item] = field(default_factory=dict)
    arrivals: list[tuple[datetime, str, Item]] = field(default_factory=list)
    events: dict[str, Item] = field(default_factory=dict)
    heard: dict[str, list[Item]] = field(default_factory=dict)
    segments: dict[str, Item] = field(default_factory=dict)
    epochs: dict[tuple[str, str], int] = field(default_factory=dict)
    known: int = 0
    conflicts: int = 0
    rejections: int = 0
    breaches: list[str] = field(default_factory=list)
    failures: list[int] = field(default_factory=list)
    rejected: set[str] = field(default_factory=set)
    poison: set[int] = field(default_factory=set)
    down: bool = False
    rotations: int = 0
    read_now: Callable[[], datetime] = lambda: datetime.now(UTC)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def doses(self, serial: str) -> list[Item]:
        with self.lock:
            found = [
                item
                for (device, _, _), item in self.records.items()
                if device == device_id(serial) and "evidence" in item
            ]
        return sorted(found, key=lambda item: (item["epoch"], item["sequence"]))

    def sequences(self, serial: str) -> list[int]:
        with self.lock:
            wanted = device_id(serial)
            return sorted(s for device, _, s in self.records if device == wanted)

    def answer(self, path: str, body: Item) -> tuple[int, Any]:
        with self.lock:
            if self.down:
                return 503, {"title": "down"}
            if self.failures:
                return self.failures.pop(0), {"title": "not now"}
            try:
                return self._answer(path, body)
            except AssertionError as error:
                self.breaches.append(f"{path}: {error}")
                return 422, {"title": str(error)}

    def _answer(self, path: str, body: Item) -> tuple[int, Any]:
        if path == "/v1/clock":
            return 200, {
                "now": self.read_now().isoformat(),
                "domain": {
                    "anchor_real": self.clock.anchor_real.isoformat(),
                    "anchor_domain": self.clock.anchor_domain.isoformat(),
                    "speed": self.clock.speed,
                },
            }
        if path == "/v1/bridges/devices":
            return 200, [self._listed(serial) for serial in self.serials]
        if path == "/v1/device-epochs":
            return 200, {"epoch": self._open_epoch(body)}
        if path == "/v1/bridges/rotate":
            self.rotations += 1
            expires = datetime(2999, 1, 1, tzinfo=UTC).isoformat()
            return 200, {"bridge_id": "b", "token": TOKEN, "expires_at": expires}
        if path == "/v1/bridges/pair":
            want(body["code"] == "ABCD-1234", "code")
            expires = datetime(2999, 1, 1, tzinfo=UTC).isoformat()
            return 201, {"bridge_id": "b", "token": TOKEN, "expires_at": expires}
        return 200, self._take(path, body)

    def _listed(self, serial: str) -> Item:
        maker, model = self.serials[serial]
        mine = [(e, s) for d, e, s in self.records if d == device_id(serial)]
        last = None
        if mine:
            epoch = max(e for e, _ in mine)
            numbers = sorted(s for _, s in mine)
            through = next(
                (n for n, s in enumerate(numbers, 1) if n != s), len(numbers) + 1
            )
            last = {"epoch": epoch, "sequence": through - 1}
        return {
            "device_id": device_id(serial),
            "maker": maker,
            "model": model,
            "serial": serial,
            "udi": None,
            "kind": "box",
            "committed": last,
        }

    def _open_epoch(self, body: Item) -> int:
        keys(body, {"device_id", "after", "reason"})
        key = (body["device_id"], json.dumps(body["after"]))
        return self.epochs.setdefault(key, body["after"]["epoch"] + 1)

    def _take(self, path: str, body: Item) -> Item:
        if path == "/v1/vitals":
            keys(body, {"segments"})
            return {"segments": [self._segment(item) for item in body["segments"]]}
        keys(body, {"items"})
        want(1 <= len(body["items"]) <= 1000, "1 to 1000 items")
        judge: Callable[[Item], str] = {
            "/v1/dose-events": self._dose,
            "/v1/device-events": self._device_event,
        }[path]
        return {"verdicts": [_verdict(judge(item)) for item in body["items"]]}

    def _segment(self, item: Item) -> Item:
        check_segment(item)
        new = item["id"] not in self.segments
        self.segments.setdefault(item["id"], item)
        stored = len(item["values"]) if new else 0
        rest = {"stored": stored, "known": len(item["values"]) - stored}
        return _verdict("new" if new else "known") | rest

    def _dose(self, item: Item) -> str:
        check_dose(item)
        want(item["sequence"] not in self.poison, "poisoned")
        return self._record(item, item)

    def _device_event(self, item: Item) -> str:
        check_device_event(item)
        if item["kind"] == "heard":
            self.heard.setdefault(item["device_id"], []).append(item["heard_until"])
            return "new"
        if item["record"] is not None:
            return self._record(item["record"], item)
        new = item["id"] not in self.events
        self.events.setdefault(item["id"], item)
        return "new" if new else "known"

    def _record(self, identity: Item, item: Item) -> str:
        if item["device_id"] in self.rejected:
            self.rejections += 1
            return "rejected"
        key = (item["device_id"], identity["epoch"], identity["sequence"])
        kept = self.records.get(key)
        if kept is None:
            self.records[key] = item
            self.arrivals.append((self.read_now(), item["device_id"], item))
            dose = "evidence" in item
            unread = dose and item["evidence"] is None and item["label"] is None
            return "quarantined" if unread else "new"
        before = (kept.get("record") or kept)["payload_hash"]
        if before != identity["payload_hash"]:
            self.conflicts += 1
            return "quarantined"
        self.known += 1
        return "known"


def _verdict(verdict: str) -> Item:
    return {"verdict": verdict, "reason": None, "detail": None}


def inline(backend: FakeBackend) -> httpx.MockTransport:
    """Return the way to a backend in the same loop: no socket, no thread, no wait."""

    def reply(request: httpx.Request) -> httpx.Response:
        given = request.headers.get("Authorization")
        path = request.url.path
        if path not in OPEN_TO_ALL and given != f"Bearer {TOKEN}":
            return httpx.Response(401, json={"title": "token"})
        status, answer = backend.answer(path, json.loads(request.content or b"{}"))
        return httpx.Response(status, json=answer)

    return httpx.MockTransport(reply)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Keep quiet: a killed bridge resets its connections."""


@contextmanager
def serving(backend: FakeBackend) -> Generator[str]:
    """Serve on a free port and yield the address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

        def reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            octets = self.rfile.read(length)
            if len(octets) < length:
                return  # the bridge was killed while it sent
            body = json.loads(octets or b"{}")
            status, answer = 401, {"title": "token"}
            open_to_all = self.path in OPEN_TO_ALL
            if open_to_all or self.headers["Authorization"] == f"Bearer {TOKEN}":
                status, answer = backend.answer(self.path, body)
            octets = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        do_GET = reply  # noqa: N815  the names http.server looks for
        do_POST = reply  # noqa: N815

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
