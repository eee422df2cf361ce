"""Refusals as pages for browsers; programs keep the problem document."""

import json
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from backend.clock import real_now
from backend.dashboards.entrance import ErrorPage
from backend.dashboards.frame import Frame
from backend.dashboards.render import render
from backend.errors import MEDIA_TYPE

TITLES = {
    401: "Please sign in again",
    403: "This is not for you to see or do",
    404: "There is no such page",
    409: "That has been done already",
    422: "That cannot be done like this",
    423: "Closed for a while",
    429: "Too many tries",
    503: "Not available for the moment",
}
ADVICE = {
    404: "It may have moved, or it is about somebody you do not care for.",
    503: "Try again in a minute. Nothing you sent before is lost.",
}


class ErrorPages:
    """ASGI middleware: a problem document becomes a page where a page was asked for.

    Only outside /v1, and only for who accepts HTML.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not wants_page(scope):
            await self._app(scope, receive, send)
            return
        held: list[Message] = []

        async def look(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_problem(message):
                held.append(message)
            elif not held:
                await send(message)
            else:
                held.append(message)
                if not message.get("more_body", False):
                    await _page(held)(scope, receive, send)

        await self._app(scope, receive, look)


def wants_page(scope: Scope) -> bool:
    """Tell whether a browser asks, outside the programs' part of the application."""
    accepted = Headers(scope=scope).get("accept", "")
    return "text/html" in accepted and not scope["path"].startswith("/v1/")


def error_page(
    status: int, *, detail: str = "", reference: str | None = None
) -> Response:
    """Return the page for a refusal; it reads nothing, for the database may be away."""
    page = ErrorPage(
        status=status,
        title=TITLES.get(status, "Something went wrong"),
        advice=detail or ADVICE.get(status, "Go back and try again."),
        reference=reference,
    )
    return HTMLResponse(render(page, Frame(now=real_now())), status)


def _is_problem(message: Message) -> bool:
    kind = Headers(raw=message["headers"]).get("content-type", "")
    return kind.startswith(MEDIA_TYPE)


def _page(held: list[Message]) -> Response:
    start, *bodies = held
    body = b"".join(part.get("body", b"") for part in bodies)
    document: dict[str, Any] = json.loads(body)
    made = error_page(start["status"], detail=str(document.get("detail", "")))
    kept = Headers(raw=start["headers"])
    for name in ("Retry-After", "Connection"):
        if name in kept:
            made.headers[name] = kept[name]
    return made
