"""Where browsers begin: signing in, the way to one's own pages, static files."""

import json
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.responses import Response

from backend.clock import domain_clock, real_now
from backend.dashboards import (
    adherence_routes,
    assets,
    clinician_routes,
    live,
    patient_routes,
    reminder_routes,
    supply_routes,
)
from backend.dashboards.demo_accounts import PASSWORD, SIGN_INS
from backend.dashboards.entrance import DemoAccount, SignInPage
from backend.dashboards.errors import error_page, wants_page
from backend.dashboards.frame import Frame, Role, home
from backend.dashboards.render import render
from backend.dashboards.show import Visiting
from backend.errors import MEDIA_TYPE, problem
from backend.people.origin import local
from backend.settings import settings

router = APIRouter(include_in_schema=False)
WRONG = "Name and password do not fit together."
MOST_WAIT = timedelta(days=1)


@router.get("/sign-in")
def sign_in_page(
    reason: Annotated[str, Query(max_length=20)] = "",
    wait: Annotated[int, Query(ge=0, le=MOST_WAIT.total_seconds())] = 0,
    next: Annotated[str, Query(max_length=500)] = "",  # noqa: A002
) -> HTMLResponse:
    clock, real = domain_clock(), real_now()
    page = SignInPage(
        problem=_problem(reason, wait),
        next_href=local(next, otherwise=""),
        accounts=_accounts(),
    )
    frame = Frame(now=clock.at(real), speed=clock.speed)
    return HTMLResponse(render(page, frame))


@router.get("/")
def start(visit: Visiting) -> RedirectResponse:
    """Send each reader to their own pages."""
    return RedirectResponse(home(Role(visit.reader.role)), 303)


@router.get("/push-worker.js")
def push_worker() -> FileResponse:
    """Give the script at the root, where alone it may act for every page."""
    return FileResponse(
        assets.FOLDER / "push-worker.js",
        media_type="text/javascript",
        headers={"Cache-Control": "no-cache"},
    )


def install(app: FastAPI) -> None:
    """Add all pages to the application."""
    for pages in (
        router,
        clinician_routes.router,
        adherence_routes.router,
        patient_routes.router,
        reminder_routes.router,
        supply_routes.router,
        live.router,
    ):
        app.include_router(pages)
    app.mount(assets.PREFIX, assets.serve)
    app.add_exception_handler(Exception, _unexpected)


def _unexpected(request: Request, error: Exception) -> Response:
    """Answer what nobody refused on purpose; the server logs the error itself."""
    if wants_page(request.scope):
        return error_page(500)
    made = problem(error)
    return Response(
        json.dumps(made.document), made.status, dict(made.headers), MEDIA_TYPE
    )


def _problem(reason: str, wait: int) -> str | None:
    match reason:
        case "wrong":
            return WRONG
        case "locked":
            minutes = -(-wait // 60)
            span = f"{wait} seconds" if wait < 120 else f"{minutes} minutes"
            return f"Too many tries. Wait {span}, then try again."
        case _:
            return None


def _accounts() -> tuple[DemoAccount, ...]:
    if not settings().demo:
        return ()
    return tuple(
        DemoAccount(f"{name}, {role}", login, PASSWORD)
        for role, login, name in SIGN_INS
    )
