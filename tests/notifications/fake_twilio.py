"""A provider that keeps its own ledger and fails as real ones do, on a real socket."""

import random
import time
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

ACCOUNT = "AC" + "0" * 32
TOKEN = "token"
SENDER = "+15005550006"
ERRORS = {21211: 400, 21610: 400, 20003: 401, 20429: 429, 20500: 500}


@dataclass(frozen=True, slots=True)
class Accepted:
    sid: str
    to: str
    body: str
    form: dict[str, str]
    visible_at: float


@dataclass
class Faults:
    """Shares of posts that fail; what is accepted shows in look-ups after a while."""

    rate_limited: float = 0.0
    accepted_then_503: float = 0.0
    accepted_then_disconnect: float = 0.0
    visible_after_s: float = 0.0
    takes_s: float = 0.0
    seed: int = 1
    codes: dict[str, int] = field(default_factory=dict[str, int])  # by recipient


class Provider:
    """The ledger. `accepted` is what would have reached a phone."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.accepted: list[Accepted] = []
        self.posts = 0
        self._random = random.Random(faults.seed)
        self._lock = Lock()

    def per_recipient(self) -> Counter[str]:
        with self._lock:
            return Counter(message.to for message in self.accepted)

    def post(self, form: dict[str, str]) -> tuple[int, dict[str, object] | None]:
        """Return status and answer; no answer: the connection is cut."""
        answer = self._decide(form)
        time.sleep(self.faults.takes_s)
        return answer

    def _decide(self, form: dict[str, str]) -> tuple[int, dict[str, object] | None]:
        with self._lock:
            self.posts += 1
            if code := self.faults.codes.get(form["To"]):
                return ERRORS[code], {"code": code, "message": "no", "status": 400}
            draw = self._random.random()
            if draw < self.faults.rate_limited:
                return 429, {"code": 20429, "message": "slow down", "status": 429}
            taken = self._accept(form)
            draw -= self.faults.rate_limited
            if draw < self.faults.accepted_then_503:
                return 503, {"code": 20503, "message": "away", "status": 503}
            draw -= self.faults.accepted_then_503
            if draw < self.faults.accepted_then_disconnect:
                return 0, None
            return 201, _shown(taken)

    def listed(self, to: str) -> list[dict[str, object]]:
        with self._lock:
            return [
                _shown(message)
                for message in reversed(self.accepted)
                if message.to == to and message.visible_at <= time.monotonic()
            ]

    def _accept(self, form: dict[str, str]) -> Accepted:
        hidden = self._random.uniform(0, self.faults.visible_after_s)
        sid = f"SM{len(self.accepted):032x}"
        taken = Accepted(sid, form["To"], form["Body"], form, time.monotonic() + hidden)
        self.accepted.append(taken)
        return taken


def _shown(message: Accepted) -> dict[str, object]:
    return {
        "sid": message.sid,
        "to": message.to,
        "body": message.body,
        "status": "queued",
        "error_code": None,
        "date_created": format_datetime(datetime.now(UTC)),
    }


@contextmanager
def serving(provider: Provider) -> Generator[str]:
    """Serve the provider on a free port and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            form = {
                name: values[0]
                for name, values in parse_qs(self.rfile.read(length).decode()).items()
            }
            self._answer(*provider.post(form))

        def do_GET(self) -> None:
            to = parse_qs(urlsplit(self.path).query)["To"][0]
            self._answer(
                200,
                {
                    "messages": provider.listed(to),
                    "next_page_uri": None,
                    "page_size": 50,
                },
            )

        def _answer(self, status: int, document: dict[str, object] | None) -> None:
            if document is None:
                self.close_connection = True
                return
            body = dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A worker that was killed leaves a broken pipe; that is the point."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
