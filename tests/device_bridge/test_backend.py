"""Whatever answers for the backend, only the backend's own answers count."""

import asyncio
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from device_bridge.backend import Backend
from device_bridge.clock import Clock
from device_bridge.errors import BackendUnavailable

PORTAL = "<html><title>Bitte anmelden für WLAN</title></html>".encode("latin-1")
ANSWERS = [
    PORTAL,
    b"",
    b"[]",
    b"{}",
    b"null",
    b'"ok"',
    b"7",
    b"[" * 100_000,
    b'{"verdicts": [{}], "segments": [{}], "token": 7, "epoch": null}',
    b'{"verdicts": [{"verdict": "fine"}], "segments": ["new"], "epoch": "x"}',
    b'{"verdicts": [], "segments": [], "now": "2030-01-01T00:00:00", "domain": {}}',
    b'{"verdicts": {"a": 1}, "segments": null, "token": "", "now": 5}',
]


@contextmanager
def answering(status: int, octets: bytes) -> Generator[str]:
    """Answer everything alike, as a captive portal does."""

    class Portal(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

        def reply(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(status)
            self.send_header("Location", "http://portal.invalid/")
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        do_GET = reply  # noqa: N815  the names http.server looks for
        do_POST = reply  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Portal)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def ask_all(address: str) -> None:
    backend, clock = Backend(address, "t"), Clock()
    for call in (
        backend.post_items("dose-events", [{}]),
        backend.post_segments([{}]),
        backend.open_epoch("d", (0, 1), "reset"),
        backend.rotate(),
        backend.pair("code", "name"),
        backend.clock(clock),
    ):
        with pytest.raises(BackendUnavailable):
            await call
    await backend.close()


@pytest.mark.parametrize("octets", ANSWERS)
def test_an_answer_of_another_shape_is_a_backend_that_was_not_reached(
    octets: bytes,
) -> None:
    with answering(200, octets) as address:
        asyncio.run(ask_all(address))


def test_a_redirect_to_a_portal_is_no_refusal() -> None:
    with answering(302, PORTAL) as address:
        asyncio.run(ask_all(address))


@pytest.mark.parametrize("octets", [b"{}", b'"x"', b"[7]", b'[{"device_id": "d"}]'])
def test_a_list_of_devices_of_another_shape_is_not_taken(octets: bytes) -> None:
    async def ask(address: str) -> None:
        backend = Backend(address, "t")
        with pytest.raises(BackendUnavailable):
            await backend.devices()
        await backend.close()

    with answering(200, octets) as address:
        asyncio.run(ask(address))
