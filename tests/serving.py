"""An application behind a real web server on the loopback, for as long as a test."""

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
        server = uvicorn.Server(config)
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
            server.should_exit = True
            thread.join(DEADLINE)
            assert not thread.is_alive(), "the web server does not stop"


def _until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    until = time.monotonic() + DEADLINE
    while not server.started:
        assert thread.is_alive(), "the web server did not start"
        assert time.monotonic() < until, "the web server takes too long to start"
        time.sleep(0.005)
