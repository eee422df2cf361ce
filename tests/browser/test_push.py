"""A patient's browser is offered reminders, subscribes, and ends that again."""

import json
from collections.abc import Generator
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route

from backend.dashboards import assets
from backend.dashboards.headers import SecurityHeaders
from backend.dashboards.reminder_views import RemindersPage
from backend.dashboards.render import render
from tests.backend.dashboards.examples import pages
from tests.backend.dashboards.serving import serving

pytestmark = pytest.mark.browser

KEY = "B" + "A" * 86  # 65 octets, an uncompressed point
SUBSCRIPTION = {
    "endpoint": "https://fcm.googleapis.com/fcm/send/abc",
    "keys": {"p256dh": "p" * 87, "auth": "a" * 22},
}
# The push server is the outside world: a browser of a test has none.
NO_PUSH_SERVER = f"""
  let kept = null;
  const made = {{
    toJSON: () => ({json.dumps(SUBSCRIPTION)}),
    unsubscribe: async () => {{ kept = null; return true; }},
  }};
  Notification.requestPermission = async () => "granted";
  PushManager.prototype.getSubscription = async () => kept;
  PushManager.prototype.subscribe = async (options) => {{
    if (options.applicationServerKey.length !== 65) throw new Error("no key");
    kept = made;
    return made;
  }};
"""


class Told:
    """What the browser told us, and what we answer."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Any]] = []
        self.status = 204

    async def hear(self, request: Request) -> Response:
        self.heard.append((request.method, await request.json()))
        return Response(status_code=self.status)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def page(chromium: Browser, told: Told) -> Generator[Page]:
    example, frame = pages()["reminders-own"]
    assert isinstance(example, RemindersPage)
    written = render(replace(example, push_key=KEY), replace(frame, live=None))

    def reminders(_request: Request) -> HTMLResponse:
        return HTMLResponse(written)

    def worker(_request: Request) -> FileResponse:
        return FileResponse(assets.FOLDER / "push-worker.js")

    routes = [
        Route("/reminders", reminders),
        Route("/push-worker.js", worker),
        Route("/v1/push-subscriptions", told.hear, methods=["POST", "DELETE"]),
        Mount("/static", assets.serve),
    ]
    app = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])
    with serving(app) as at, chromium.new_context(base_url=at) as context:
        context.add_init_script(NO_PUSH_SERVER)
        page = context.new_page()
        page.goto("/reminders")
        yield page


def test_a_browser_subscribes_and_ends_that_again(page: Page, told: Told) -> None:
    begin = page.get_by_role("button", name="Show reminders on this device")
    expect(begin).to_have_attribute("aria-pressed", "false")
    begin.press("Enter")

    end = page.get_by_role("button", name="Stop on this device")
    expect(end).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text("This device shows reminders.")).to_be_visible()
    end.click()
    expect(page.get_by_text("This device shows no more reminders.")).to_be_visible()
    assert told.heard == [("POST", SUBSCRIPTION), ("DELETE", SUBSCRIPTION)]


def test_what_we_did_not_take_the_browser_gives_up_too(page: Page, told: Told) -> None:
    told.status = 503
    page.get_by_role("button", name="Show reminders on this device").click()

    expect(
        page.get_by_text("That did not work. Please try again later.")
    ).to_be_visible()
    page.reload()
    expect(
        page.get_by_role("button", name="Show reminders on this device")
    ).to_be_visible()
