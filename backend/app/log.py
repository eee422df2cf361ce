"""Logs: one JSON object a line, without personal data."""

import logging
import re
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO
from uuid import uuid4

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger("doseloop.access")
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")
FOREIGN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
QUIET = frozenset({"/healthz", "/readyz"})


class AccessLog:
    """ASGI middleware: gives each request an id and writes one event when it is done.

    The event names the route, not the path, and no query: ids and names stay out.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if FOREIGN_ID.fullmatch(given) else uuid4().hex
        REQUEST_ID.set(request_id)
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            _tell(scope, status, time.perf_counter() - started)


def _tell(scope: Scope, status: int, seconds: float) -> None:
    route: str = getattr(scope.get("route"), "path", "none")
    level = logging.DEBUG if route in QUIET else logging.INFO
    log.log(
        level,
        "request",
        extra={
            "method": scope["method"],
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 1),
        },
    )


class JsonLines(logging.Formatter):
    """Formats an event as one line of JSON: message, level, logger, time, its fields.

    Of an exception only the type and the places are written: its text may quote data.
    """

    def format(self, record: logging.LogRecord) -> str:
        fields = {
            name: value
            for name, value in record.__dict__.items()
            if name not in _PLAIN and not name.startswith("_")
        }
        event: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **fields,
        }
        if request_id := REQUEST_ID.get():
            event["request_id"] = request_id
        if record.exc_info and record.exc_info[0] is not None:
            event["error"] = record.exc_info[0].__name__
            event["places"] = _places(record)
        return orjson.dumps(event, default=str).decode()


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send every logger's events to standard error, or to `stream`."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # httpx logs every address it calls, and addresses of providers hold numbers.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def _places(record: logging.LogRecord) -> list[str]:
    places: list[str] = []
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None:
        code = trace.tb_frame.f_code
        places.append(f"{code.co_filename}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return places[-20:]


_PLAIN = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {
    "message",
    "asctime",
    "color_message",
    "taskName",
}
