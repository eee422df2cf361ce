"""A web server on the loopback that keeps what it was sent and answers as told."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread


@dataclass(frozen=True)
class Sent:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answering:
    """`status` 0 hangs up without an answer; header names in `got` are lower case."""

    status: int = 201
    headers: dict[str, str] = field(default_factory=dict[str, str])
    got: list[Sent] = field(default_factory=list[Sent])
    address: str = ""


@contextmanager
def answering(server: Answering) -> Generator[Answering]:
    """Serve on a free port, which is then in its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.got.append(Sent(self.path, headers, body))
            if not server.status:
                self.close_connection = True
                return
            self.send_response(server.status)
            for name, value in server.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    web = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=web.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    server.address = f"http://127.0.0.1:{web.server_address[1]}"
    try:
        yield server
    finally:
        web.shutdown()
        web.server_close()
        thread.join()
