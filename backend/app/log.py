"""The access log: one event a request, without personal data."""

import logging
import re
import time
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.log import REQUEST_ID

log = logging.getLogger("doseloop.access")
FOREIGN_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
QUIET = frozenset({"/healthz", "/healthz/worker", "/readyz"})


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
