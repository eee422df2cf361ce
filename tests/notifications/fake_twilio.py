"""Twilio with a ledger of its own, which fails as the real one does, on a real socket.

It keeps state: what was accepted has a status that moves on and is told to whoever
gave an address for that, signed; who texted STOP is refused. Codes and documents are
those of Twilio; `tests/contract` holds them against Twilio's own description.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from json import dumps
from threading import Lock, Thread
from urllib.parse import parse_qs, urlsplit

from tests.notifications.twilio_signature import signature

ACCOUNT = "AC" + "0" * 32
TOKEN = "token"
SENDER = "+15005550006"
API = f"/2010-04-01/Accounts/{ACCOUNT}"
ERRORS = {
    20003: 401,
    20429: 429,
    20500: 500,
    21211: 400,
    21610: 400,
    21614: 400,
}
# Twilio's own numbers for tests: what a text to them is refused with.
MAGIC = {"+15005550001": 21211, "+15005550004": 21610, "+15005550009": 21614}

Document = dict[str, object]
Answer = tuple[int, Document | None]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A text or a call that Twilio took."""

    sid: str
    to: str
    body: str
    form: Mapping[str, str]
    visible_at: float
    status: str = "queued"
    code: int | None = None


@dataclass
class Faults:
    """Shares of posts that fail; what is accepted shows in look-ups after a while."""

    rate_limited: float = 0.0
    accepted_then_503: float = 0.0
    accepted_then_disconnect: float = 0.0
    accepted_late: float = 0.0  # the connection is cut; shows after `show_all`
    visible_after_s: float = 0.0
    takes_s: float = 0.0
    seed: int = 1
    codes: dict[str, int] = field(default_factory=dict[str, int])  # by recipient


class Provider:
    """The ledger. `accepted` and `calls` are what would have reached a phone."""

    def __init__(self, faults: Faults) -> None:
        self.faults = faults
        self.accepted: list[Accepted] = []
        self.calls: list[Accepted] = []
        self.posts = 0
        self._random = random.Random(faults.seed)
        self._lock = Lock()
        self._all_shown = False

    def per_recipient(self) -> Counter[str]:
        with self._lock:
            return Counter(message.to for message in self.accepted)

    def post(self, form: Mapping[str, str], *, kind: str = "Messages") -> Answer:
        """Return status and document; no document: the connection is cut."""
        answer = self._decide(form, kind)
        time.sleep(self.faults.takes_s)
        return answer

    def becomes(
        self, sid: str, status: str, code: int | None = None
    ) -> tuple[str, dict[str, str], str] | None:
        """Move a message or call on, and return the callback that tells of it.

        That is address, form and signature; None when nobody wanted to be told.
        """
        texts = sid.startswith("SM")
        with self._lock:
            ledger = self.accepted if texts else self.calls
            at = next(at for at, it in enumerate(ledger) if it.sid == sid)
            moved = ledger[at] = replace(ledger[at], status=status, code=code)
        address = moved.form.get("StatusCallback")
        if address is None:
            return None
        what = "Message" if texts else "Call"
        form = {
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            "From": moved.form.get("From", ""),
            "To": moved.to,
            f"{what}Sid": sid,
            f"{what}Status": status,
            **({"ErrorCode": str(code)} if code else {}),
        }
        return address, form, signature(address, form, TOKEN)

    def hears(self, sender: str, words: str) -> None:
        """Take a text to our number: STOP and START rule what goes to that number."""
        match words.strip().upper():
            case "STOP":
                self.faults.codes[sender] = 21610
            case "START":
                self.faults.codes.pop(sender, None)
            case _:
                pass

    def show_all(self) -> None:
        """Show in look-ups from now on whatever was accepted."""
        with self._lock:
            self._all_shown = True

    def listed(self, to: str) -> list[Document]:
        with self._lock:
            return [
                text_document(message)
                for message in reversed(self.accepted)
                if message.to == to
                and (self._all_shown or message.visible_at <= time.monotonic())
            ]

    def _decide(self, form: Mapping[str, str], kind: str) -> Answer:
        with self._lock:
            self.posts += 1
            code = self.faults.codes.get(form["To"]) or MAGIC.get(form["To"])
            if code:
                return ERRORS[code], error_document(code, ERRORS[code])
            draw = self._random.random()
            if draw < self.faults.rate_limited:
                return 429, error_document(20429, 429)
            taken = self._accept(form, kind)
            draw -= self.faults.rate_limited
            if draw < self.faults.accepted_late:
                # Taken, and in no look-up before somebody gave up waiting.
                self.accepted[-1] = replace(taken, visible_at=math.inf)
                return 0, None
            draw -= self.faults.accepted_late
            if draw < self.faults.accepted_then_503:
                return 503, error_document(20503, 503)
            draw -= self.faults.accepted_then_503
            if draw < self.faults.accepted_then_disconnect:
                return 0, None
            shown = text_document if kind == "Messages" else call_document
            return 201, shown(taken)

    def _accept(self, form: Mapping[str, str], kind: str) -> Accepted:
        hidden = self._random.uniform(0, self.faults.visible_after_s)
        texts = kind == "Messages"
        ledger = self.accepted if texts else self.calls
        sid = f"{'SM' if texts else 'CA'}{len(ledger):032x}"
        words = form["Body" if texts else "Twiml"]
        taken = Accepted(sid, form["To"], words, form, time.monotonic() + hidden)
        ledger.append(taken)
        return taken


def error_document(code: int, status: int) -> Document:
    return {
        "code": code,
        "message": "no",
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }


def text_document(message: Accepted) -> Document:
    """Return a message as Twilio shows it; its numbers of things are strings."""
    at, uri = format_datetime(datetime.now(UTC)), f"{API}/Messages/{message.sid}"
    return {
        "account_sid": ACCOUNT,
        "api_version": "2010-04-01",
        "body": message.body,
        "date_created": at,
        "date_sent": None,
        "date_updated": at,
        "direction": "outbound-api",
        "error_code": message.code,
        "error_message": None,
        "from": message.form.get("From"),
        "messaging_service_sid": message.form.get("MessagingServiceSid"),
        "num_media": "0",
        "num_segments": "1",
        "price": None,
        "price_unit": "USD",
        "sid": message.sid,
        "status": message.status,
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": message.to,
        "uri": f"{uri}.json",
    }


def call_document(call: Accepted) -> Document:
    """Return a call as Twilio shows it."""
    at, uri = format_datetime(datetime.now(UTC)), f"{API}/Calls/{call.sid}"
    return {
        "account_sid": ACCOUNT,
        "answered_by": None,
        "api_version": "2010-04-01",
        "caller_name": None,
        "date_created": at,
        "date_updated": at,
        "direction": "outbound-api",
        "duration": None,
        "end_time": None,
        "forwarded_from": None,
        "from": call.form.get("From"),
        "from_formatted": call.form.get("From"),
        "group_sid": None,
        "parent_call_sid": None,
        "phone_number_sid": "PN" + "0" * 32,
        "price": None,
        "price_unit": "USD",
        "queue_time": "0",
        "sid": call.sid,
        "start_time": None,
        "status": call.status,
        "subresource_uris": {"recordings": f"{uri}/Recordings.json"},
        "to": call.to,
        "to_formatted": call.to,
        "trunk_sid": None,
        "uri": f"{uri}.json",
    }


def list_document(messages: list[Document], asked: str) -> Document:
    """Return the one page of a list; its addresses are relative, as Twilio's are."""
    return {
        "end": max(len(messages) - 1, 0),
        "first_page_uri": f"{API}/Messages.json?{asked}&Page=0",
        "messages": messages,
        "next_page_uri": None,
        "page": 0,
        "page_size": 50,
        "previous_page_uri": None,
        "start": 0,
        "uri": f"{API}/Messages.json?{asked}&Page=0",
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
            kind = self.path.rpartition("/")[2].removesuffix(".json")
            self._answer(*provider.post(form, kind=kind))

        def do_GET(self) -> None:
            asked = urlsplit(self.path).query
            to = parse_qs(asked)["To"][0]
            self._answer(200, list_document(provider.listed(to), asked))

        def _answer(self, status: int, document: Document | None) -> None:
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
