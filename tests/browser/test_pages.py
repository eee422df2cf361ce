"""The pages in Chromium, under the policy that the product sends."""

from collections.abc import Generator
from dataclasses import replace

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Mount, Route

from backend.dashboards import assets
from backend.dashboards.headers import SecurityHeaders
from backend.dashboards.render import render
from tests.backend.dashboards.examples import pages
from tests.backend.dashboards.serving import serving

pytestmark = pytest.mark.browser

NAMES = list(pages())
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def show(request: Request) -> HTMLResponse:
    page, frame = pages()[request.path_params["name"]]
    speed = 120.0 if "demo" in request.query_params else frame.speed
    return HTMLResponse(render(page, replace(frame, speed=speed)))


@pytest.fixture(scope="module")
def address() -> Generator[str]:
    routes = [Route("/{name}", show), Mount("/static", assets.serve)]
    with serving(
        Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])
    ) as at:
        yield at


def opened(context: BrowserContext, at: str) -> tuple[Page, list[str], list[str]]:
    """Return the page, what it complained about and what it asked for."""
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(at)
    return page, said, asked


def faults(page: Page, run_only: dict[str, object]) -> str:
    """Return what axe finds wrong, in its words; nothing when nothing is."""
    options = {"resultTypes": ["violations"], "runOnly": run_only}
    found = Axe().run(page, options=options)  # pyright: ignore[reportUnknownMemberType]
    return found.generate_report() if found.violations_count else ""


def overflow(page: Page) -> int:
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_page_is_accessible_quiet_and_fits_every_screen(
    chromium: Browser, address: str, name: str
) -> None:
    context = chromium.new_context(
        color_scheme="light",
        reduced_motion="reduce",  # else a colour is looked at on its way to another
        viewport={"width": 390, "height": 844},
    )
    page, said, asked = opened(context, f"{address}/{name}")

    assert faults(page, {"type": "tag", "values": WCAG}) == ""
    assert overflow(page) == 0
    assert page.evaluate(OUT_OF_ROW) == []

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 1280, "height": 900})

    assert faults(page, {"type": "rule", "values": ["color-contrast"]}) == ""
    assert overflow(page) == 0
    assert page.evaluate(OUT_OF_ROW) == []
    assert said == []
    assert all(url.startswith(address) for url in asked)
    context.close()


@pytest.mark.parametrize("name", ["patient", "alert"])
def test_a_page_can_be_read_at_400_percent(
    chromium: Browser, address: str, name: str
) -> None:
    context = chromium.new_context(viewport={"width": 320, "height": 256})
    page, _, _ = opened(context, f"{address}/{name}")

    assert overflow(page) == 0  # WCAG 1.4.10: 1280 px at 400 % are 320
    context.close()


@pytest.mark.parametrize("name", ["patients", "patient", "today"])
def test_a_page_says_the_same_without_script(
    chromium: Browser, address: str, name: str
) -> None:
    texts: list[str] = []
    for script in (True, False):
        context = chromium.new_context(java_script_enabled=script)
        page, _, _ = opened(context, f"{address}/{name}")
        texts.append(page.inner_text("main"))
        context.close()

    assert texts[0] == texts[1]
    assert texts[0]


# Controls that stand out of the row they belong to.
OUT_OF_ROW = """[...document.querySelectorAll("li.row button, li.row a")]
  .filter(it => it.getBoundingClientRect().right >
    it.closest("li.row").getBoundingClientRect().right + 0.5)
  .map(it => it.textContent.trim())"""
