"""An open page follows what happens, without getting in its reader's way."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic

import pytest
from playwright.sync_api import Browser, Page, expect
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from backend.dashboards import assets
from backend.dashboards.headers import SecurityHeaders
from backend.dashboards.render import render
from backend.dashboards.views import (
    Fact,
    FeedEntry,
    FeedPage,
    OrderListPage,
    PatientListPage,
    TodayPage,
)
from tests.backend.dashboards.examples import NOW, TODAY, a_frame, a_row
from tests.backend.dashboards.serving import serving

pytestmark = pytest.mark.browser


@dataclass
class Clinic:
    """A clinic whose rows the test changes; its stream says so."""

    rows: int = 1
    told: int = 0
    refusals: int = 0
    asked: list[str | None] = field(default_factory=list)

    def patients(self, request: Request) -> HTMLResponse:
        self.asked.append(request.headers.get("X-Doseloop-Live"))
        page = PatientListPage(rows=tuple(a_row(n) for n in range(self.rows)))
        return HTMLResponse(render(page, a_frame(live="/live")))

    def feed(self, request: Request) -> HTMLResponse:
        self.asked.append(request.headers.get("X-Doseloop-Live"))
        rows = tuple(
            FeedEntry(number, "reorder", NOW, f"Row {number}", "{}")
            for number in range(self.rows, 0, -1)
        )
        return HTMLResponse(render(FeedPage(rows, "GET /"), a_frame(live="/live")))

    def orders(self, request: Request) -> HTMLResponse:
        self.asked.append(request.headers.get("X-Doseloop-Live"))
        page = OrderListPage((), totals=(Fact("Open orders", str(self.rows)),))
        return HTMLResponse(render(page, a_frame(live="/live")))

    def today(self, request: Request) -> HTMLResponse:
        self.asked.append(request.headers.get("X-Doseloop-Live"))
        day = TODAY + timedelta(days=self.rows)
        page = TodayPage("Amara", day, (), None, (), ())
        return HTMLResponse(render(page, a_frame(live="/live")))

    async def live(self, request: Request) -> Response:
        if self.refusals:
            self.refusals -= 1
            return Response(status_code=503)

        async def events() -> AsyncGenerator[str]:
            known = self.told
            yield ": hello\n\n"
            while not await request.is_disconnected():
                if self.told != known:
                    known = self.told
                    yield "event: changed\ndata: -\n\n"
                await asyncio.sleep(0.01)

        return StreamingResponse(events(), media_type="text/event-stream")

    def change(self) -> None:
        self.rows += 1
        self.told += 1


@pytest.fixture
def clinic() -> Clinic:
    return Clinic()


@pytest.fixture
def address(clinic: Clinic) -> Generator[str]:
    routes = [
        Route("/patients", clinic.patients),
        Route("/feed", clinic.feed),
        Route("/orders", clinic.orders),
        Route("/today", clinic.today),
        Route("/live", clinic.live),
        Mount("/static", assets.serve),
    ]
    with serving(
        Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])
    ) as at:
        yield at


@pytest.fixture
def opened(chromium: Browser, address: str) -> Generator[Callable[[str], Page]]:
    context = chromium.new_context()

    def open_page(path: str) -> Page:
        page = context.new_page()
        page.goto(address + path)
        page.locator("[data-live-state]", has_text="Live").wait_for()
        return page

    yield open_page
    context.close()


def test_a_change_shows_within_two_seconds_and_is_announced(
    opened: Callable[[str], Page], clinic: Clinic
) -> None:
    page = opened("/patients")

    started = monotonic()
    clinic.change()
    page.get_by_text("Jonas Keller").wait_for(timeout=2000)

    assert monotonic() - started < 2
    announced = page.locator("#announcer").inner_text()
    assert announced == "The list of patients has changed."
    assert clinic.asked == [None, "1"]  # a refresh says that it is one


@pytest.mark.parametrize(
    ("path", "place", "before", "after"),
    [
        ("/orders", ".totals dd", "1", "2"),
        ("/today", ".heading time", "Tue 2 Jun 2026", "Wed 3 Jun 2026"),
    ],
)
def test_what_stands_at_the_head_of_a_page_changes_too(
    opened: Callable[[str], Page],
    clinic: Clinic,
    path: str,
    place: str,
    before: str,
    after: str,
) -> None:
    page = opened(path)
    expect(page.locator(place)).to_have_text(before)

    clinic.change()

    expect(page.locator(place)).to_have_text(after, timeout=2000)


@pytest.mark.parametrize("busy", [True, False], ids=["busy", "cut"])
def test_what_could_not_be_fetched_is_fetched_again_and_the_page_is_live(
    opened: Callable[[str], Page], clinic: Clinic, *, busy: bool
) -> None:
    page = opened("/patients")
    page.route(
        "**/patients",
        lambda it: it.fulfill(status=503) if busy else it.abort(),
        times=1,
    )

    clinic.change()
    page.locator("[data-live-state]", has_text="Not connected").wait_for()
    page.get_by_text("Jonas Keller").wait_for()

    page.locator("[data-live-state]", has_text="Live").wait_for()


def test_a_stream_that_was_refused_is_asked_for_again(
    opened: Callable[[str], Page], clinic: Clinic
) -> None:
    clinic.refusals = 1
    page = opened("/patients")

    clinic.change()

    page.get_by_text("Jonas Keller").wait_for()


def test_what_the_reader_typed_and_holds_stays(
    opened: Callable[[str], Page], clinic: Clinic
) -> None:
    page = opened("/patients")
    page.fill("#search", "Ama")
    page.get_by_role("link", name="Amara Okafor").focus()

    clinic.change()
    page.get_by_text("Jonas Keller").wait_for()

    assert page.input_value("#search") == "Ama"
    assert page.evaluate("document.activeElement.textContent") == "Amara Okafor"


def test_what_the_reader_opened_stays_open(
    opened: Callable[[str], Page], clinic: Clinic
) -> None:
    page = opened("/feed")
    page.locator("#row-1 summary").click()

    clinic.change()
    page.get_by_text("Row 2", exact=True).wait_for()

    assert page.locator("#row-1").get_attribute("open") is not None
    assert page.locator("#row-2").get_attribute("open") is None


def test_nothing_is_swapped_when_nothing_changed(
    opened: Callable[[str], Page], clinic: Clinic
) -> None:
    page = opened("/patients")
    page.evaluate("document.querySelector('.row').dataset.mine = 'kept'")
    for _ in range(2):  # the second fetch starts when the first has been dealt with
        with page.expect_response("**/patients"):
            clinic.told += 1

    assert page.locator("[data-mine=kept]").count() == 1
    assert page.locator("#announcer").inner_text() == ""
