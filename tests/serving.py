"""An application behind a real web server on the loopback, for as long as a test."""

import asyncio
import socket
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import httpx
import uvicorn

DEADLINE = 10.0


@contextmanager
def serving(app: Any, *, timeout: float = 10.0) -> Generator[httpx.Client]:  # noqa: ANN401
    """Give a client of `app`, which runs in this process with threads of its own."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(app, log_config=None, ws="none", lifespan="on")
        server = Prompt(config)
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            _until_started(server, thread)
            port = listening.getsockname()[1]
            # After a 500 the server hangs up, which a kept connection may not notice.
            limits = httpx.Limits(max_keepalive_connections=0)
            address = f"http://127.0.0.1:{port}"
            with httpx.Client(
                base_url=address, timeout=timeout, limits=limits, trust_env=False
            ) as client:
                yield client
        finally:
            server.stop()
            thread.join(DEADLINE)
            assert not thread.is_alive(), "the web server does not stop"


class Prompt(uvicorn.Server):
    """A server that ends when it is told, where uvicorn looks ten times a second."""

    async def main_loop(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._told = asyncio.Event()
        await self.on_tick(0)  # the date that answers carry
        await self._told.wait()

    def stop(self) -> None:
        self.should_exit = True
        self._loop.call_soon_threadsafe(self._told.set)


def _until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + DEADLINE
    while not server.started:
        assert thread.is_alive(), "the web server did not start"
        assert time.monotonic() < until, "the web server takes too long to start"
        time.sleep(0.005)
