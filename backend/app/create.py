"""Puts the slices' routes together behind one set of limits."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from urllib.parse import urlencode

from anyio.to_thread import current_default_thread_limiter
from fastapi import FastAPI, Request, Response
from fastapi.responses import RedirectResponse

from backend import errors
from backend.app.health import router as health
from backend.app.limits import Limits, answer
from backend.app.log import AccessLog
from backend.app.watch import watching
from backend.dashboards.errors import ErrorPages
from backend.dashboards.headers import SecurityHeaders
from backend.dashboards.live import listening
from backend.dashboards.routes import install as add_pages
from backend.doses.routes import router as doses
from backend.feeds.routes import router as feeds
from backend.inbound.push import router as push
from backend.inbound.routes import FORMS as ANSWERS
from backend.inbound.routes import router as inbound
from backend.ingest.overrule_routes import router as overrides
from backend.ingest.routes import router as ingest
from backend.ingest.vitals_routes import router as vitals
from backend.live import stop as stop_telling
from backend.outbox.routes import PATH as TWILIO_STATUS
from backend.outbox.routes import router as messages
from backend.people.readers import NotSignedIn
from backend.people.routes import router as people
from backend.reports.pages import router as report_pages
from backend.reports.routes import router as adherence
from backend.settings import settings

ROUTERS = (
    health,
    people,
    ingest,
    doses,
    overrides,
    vitals,
    feeds,
    messages,
    inbound,
    push,
    adherence,
    report_pages,
)


def create_app() -> FastAPI:
    """Return the application; it opens no connection before the first request."""
    app = FastAPI(
        title="Doseloop",
        description="Doses, vitals, reminders, supply and alerts in one loop.",
        version="1",
        docs_url=None,  # the ready-made pages load scripts from a foreign origin
        redoc_url=None,
        lifespan=_lifespan,
    )
    for router in ROUTERS:
        app.include_router(router)
    errors.install(app)
    add_pages(app)
    app.add_exception_handler(NotSignedIn, _to_sign_in)
    # The last one added sees a request first.
    app.add_middleware(
        Limits, most=settings().body_limit, form_paths=ANSWERS | {TWILIO_STATUS}
    )
    app.add_middleware(ErrorPages)
    app.add_middleware(SecurityHeaders)
    app.add_middleware(AccessLog)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncGenerator[None]:
    # As many threads as connections: a thread never waits for one.
    current_default_thread_limiter().total_tokens = settings().threads
    async with listening(app):
        with watching():
            yield
    stop_telling()


def _to_sign_in(request: Request, error: Exception) -> Response:
    """Send a person who follows a link to the sign-in page, and back afterwards."""
    assert isinstance(error, NotSignedIn)
    wants_page = "text/html" in request.headers.get("Accept", "")
    if request.method != "GET" or not wants_page:
        return answer(error, {})
    back = urlencode({"next": request.url.path})
    return RedirectResponse(f"/sign-in?{back}", status_code=303)
