"""What a request may be: how large, how slow, of which content type."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from anyio import fail_after
from orjson import dumps
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.errors import (
    MEDIA_TYPE,
    Malformed,
    Refused,
    TooLarge,
    TooSlow,
    UnsupportedMediaType,
    problem,
)

JSON_UNDER = "/v1/"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a body may take as a whole, and pause in between."""

    whole: timedelta = timedelta(seconds=60)
    pause: timedelta = timedelta(seconds=15)


class Limits:
    """ASGI middleware: reads a body before anything else runs, or refuses it.

    Never holds more than `most` octets of one body, however it is declared. Under /v1
    a body is JSON, elsewhere JSON or a form: what pages of other sites can send
    without asking first (text/plain) reaches no route. `form_paths` under /v1 take
    forms, for callbacks of providers who send nothing else.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most: int,
        patience: Patience | None = None,
        form_paths: frozenset[str] = frozenset(),
    ) -> None:
        self._app = app
        self._most = most
        self._patience = patience or Patience()
        self._form_paths = form_paths

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" not in headers and "transfer-encoding" not in headers:
            await self._app(scope, receive, send)
            return
        try:
            self._refuse_unread(scope["path"], headers)
            body = await self._whole(receive)
        except Refused as refused:
            await answer(refused, {"Connection": "close"})(scope, receive, send)
            return
        if body is not None:  # None: the client went away
            await self._app(scope, _replayed(body, receive), send)

    def _refuse_unread(self, path: str, headers: Headers) -> None:
        """Raise what can be said from the header fields alone."""
        declared = headers.get("content-length", "0")
        if not declared.isdecimal():
            raise Malformed("Content-Length is no number.")
        if int(declared) > self._most:
            raise TooLarge("The body is too large.", limit=self._most)
        if headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedMediaType("Send the body uncompressed.")
        if declared == "0" and "transfer-encoding" not in headers:
            return
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        is_json = kind == "application/json" or (
            kind.startswith("application/") and kind.endswith("+json")
        )
        forms_too = not path.startswith(JSON_UNDER) or path in self._form_paths
        if not is_json and not (forms_too and kind in FORMS):
            raise UnsupportedMediaType("Send application/json.")

    async def _whole(self, receive: Receive) -> bytes | None:
        try:
            with fail_after(self._patience.whole.total_seconds()):
                return await self._read(receive)
        except TimeoutError:
            raise TooSlow("The body did not arrive in time.") from None

    async def _read(self, receive: Receive) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while True:
            with fail_after(self._patience.pause.total_seconds()):
                message = await receive()
            if message["type"] != "http.request":
                return None
            part: bytes = message.get("body", b"")
            size += len(part)
            if size > self._most:
                raise TooLarge("The body is too large.", limit=self._most)
            parts.append(part)
            if not message.get("more_body", False):
                return b"".join(parts)


def answer(error: Refused, headers: Mapping[str, str]) -> Response:
    """Return the problem document for a refusal outside the routes."""
    made = problem(error)
    body = dumps(made.document, default=str)
    return Response(body, made.status, {**made.headers, **headers}, MEDIA_TYPE)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a receive that gives the body first and then what really happens."""
    waiting: list[Message] = [
        {"type": "http.request", "body": body, "more_body": False}
    ]

    async def replay() -> Message:
        return waiting.pop() if waiting else await receive()

    return replay
