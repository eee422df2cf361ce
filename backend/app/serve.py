"""The web process: one event loop, threads for the routes."""

import asyncio
import gc
import socket
from asyncio import TimerHandle
from threading import Thread
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from backend.app.create import create_app
from backend.dashboards.charts.chart import warm
from backend.log import configure
from backend.settings import settings

CONNECTIONS = 1000
STREAM = "/live"
GRACE = 10  # seconds that open requests get when the process is told to stop


class PromptProtocol(HttpToolsProtocol):
    """HTTP/1.1 that hangs up on whoever dawdles over the header fields.

    uvicorn itself waits for ever, so that idle connections could use up all there are.
    """

    headers_within = 10.0  # seconds
    _dawdling: TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._got_headers()
        super().connection_lost(exc)

    def on_message_begin(self) -> None:
        self._expect_headers()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._got_headers()
        super().on_headers_complete()

    def shutdown(self) -> None:
        """Hang up on a stream that would never end by itself when told to stop."""
        super().shutdown()
        cycle: Any = self.cycle  # None before the first request
        if cycle is not None and self.scope["path"] == STREAM:
            self.transport.close()

    def _expect_headers(self) -> None:
        self._got_headers()
        self._dawdling = self.loop.call_later(self.headers_within, self.transport.close)

    def _got_headers(self) -> None:
        if self._dawdling is not None:
            self._dawdling.cancel()
            self._dawdling = None


def server(**changes: Any) -> uvicorn.Server:  # noqa: ANN401
    """Return the web server as settings have it, not yet running."""
    at = settings()
    wanted: dict[str, Any] = {
        "host": at.host,
        "port": at.port,
        "loop": "uvloop",
        "http": PromptProtocol,
        "ws": "none",
        "log_config": None,
        "access_log": False,
        "server_header": False,
        "limit_concurrency": CONNECTIONS,
        "timeout_graceful_shutdown": GRACE,
        "h11_max_incomplete_event_size": None,
    }
    return uvicorn.Server(uvicorn.Config(create_app(), **wanted | changes))


def serve() -> int:
    """Serve until told to stop; return the exit code."""
    configure()
    running = server()
    Thread(target=warm, name="charts", daemon=True).start()  # .8 s no reader waits for
    _collect_seldom()
    running.run()
    return 0 if running.started else 1


def _collect_seldom() -> None:
    """Let the garbage collector leave alone what is loaded, and look less often.

    A batch of a thousand items makes tens of thousands of objects that reference
    counts free by themselves; looking for cycles among them took a third of its CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def bound(running: uvicorn.Server) -> int:
    """Return the port that a running server got when it asked for any."""
    sockets: list[socket.socket] = [
        opened for part in running.servers for opened in part.sockets
    ]
    return int(sockets[0].getsockname()[1])
