"""An app behind a real socket."""

import socket
from collections.abc import Generator
from contextlib import contextmanager
from threading import Thread
from time import monotonic, sleep

import uvicorn
from starlette.types import ASGIApp


@contextmanager
def serving(app: ASGIApp) -> Generator[str]:
    """Serve `app` on a free port of this machine and give its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(
        app, log_level="warning", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = monotonic() + 10
    while not server.started:
        if monotonic() > deadline:
            raise TimeoutError("the server did not start")
        sleep(0.01)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.should_exit = True
    thread.join(10)
    listener.close()
