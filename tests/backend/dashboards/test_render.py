"""Pages from view models: escaped, complete, and within the policy."""

import re
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from httpx import Client
from jinja2 import UndefinedError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from backend.dashboards import assets
from backend.dashboards.frame import Role, navigation
from backend.dashboards.headers import SECURITY_HEADERS, SecurityHeaders
from backend.dashboards.render import ago, clock, environment, moment, number, render
from backend.dashboards.views import PatientListPage
from tests.backend.dashboards.examples import a_frame, a_row, pages
from tests.backend.dashboards.serving import serving

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize("name", list(pages()))
def test_a_page_stays_within_the_policy(name: str) -> None:
    html = render(*pages()[name])

    assert re.findall(r"\sstyle=|<style|\son[a-z]+=|javascript:", html) == []
    assert re.findall(r"<script(?! src=\"/static/)", html) == []
    assert re.findall(r"(?:src|href)=\"(?:https?:)?//", html) == []


@pytest.mark.parametrize("name", list(pages()))
def test_every_form_that_changes_something_carries_the_token(name: str) -> None:
    html = render(*pages()[name])

    forms = re.findall(r"<form method=\"post\".*?</form>", html, re.DOTALL)

    # Nobody is signed in yet at the sign-in form: there the browser's Origin decides.
    inside = [form for form in forms if 'action="/sign-in"' not in form]

    assert all('name="csrf" value="c5f"' in form for form in inside)
    assert html.count("<form") == len(forms) + html.count('method="get"')


@pytest.mark.parametrize("name", list(pages()))
def test_an_id_stands_for_one_thing(name: str) -> None:
    ids = re.findall(r"\sid=\"([^\"]+)\"", render(*pages()[name]))

    assert len(ids) == len(set(ids))


def test_a_name_is_text_never_markup() -> None:
    row = replace(a_row(1), name='<img src=x onerror="alert(1)">')

    html = render(PatientListPage(rows=(row,)), a_frame())

    assert "<img" not in html
    assert "&lt;img src=x onerror=&#34;alert(1)&#34;&gt;" in html


def test_a_missing_value_is_an_error_not_a_blank() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nothing.here }}").render()


def test_a_page_is_live_only_where_a_stream_is_named() -> None:
    page = PatientListPage(rows=())

    assert "live." not in render(page, a_frame())
    assert 'data-live="/live?clinic"' in render(page, a_frame(live="/live?clinic"))


def test_the_place_where_one_is_is_marked() -> None:
    here = [
        link.label for link in navigation(Role.CLINICIAN, "/alerts") if link.current
    ]

    assert here == ["Alerts"]


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-5), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=59), "59 min ago"),
        (timedelta(hours=23), "23 h ago"),
        (timedelta(days=1), "yesterday"),
        (timedelta(days=9), "9 days ago"),
    ],
)
def test_tells_how_long_ago(passed: timedelta, said: str) -> None:
    assert ago(NOW - passed, NOW) == said


def test_times_are_told_in_the_zone_of_the_reader() -> None:
    assert clock(NOW, "Europe/Zurich") == "09:00"
    assert moment(NOW, "Pacific/Auckland") == "Mon 2 Mar 21:00"


@pytest.mark.parametrize(
    ("value", "said"),
    [(Decimal("12.00"), "12"), (Decimal(100), "100"), (0.5, "0.5"), (1, "1")],
)
def test_tells_numbers_without_needless_zeros(
    value: Decimal | float, said: str
) -> None:
    assert number(value) == said


def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse("page")


@pytest.fixture(scope="module")
def client() -> Generator[Client]:
    routes = [Route("/page", page), Mount("/static", assets.serve)]
    app = Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)])
    with serving(app) as at, Client(base_url=at) as opened:
        yield opened


def test_every_answer_carries_the_security_headers(client: Client) -> None:
    for path in ("/page", "/nowhere", assets.address("style.css")):
        headers = client.get(path).headers
        assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS


def test_a_page_is_not_stored_and_a_static_file_is_for_ever(client: Client) -> None:
    answer, style = client.get("/page"), client.get(assets.address("style.css"))

    assert answer.headers["cache-control"] == "no-store"
    assert style.headers["cache-control"] == assets.FOR_EVER
    assert style.headers["content-type"].startswith("text/css")


@pytest.mark.parametrize(
    "path", ["style.css", "style.0000000000.css", "%2e%2e/render.py", ""]
)
def test_nothing_but_the_named_files_is_served(client: Client, path: str) -> None:
    assert client.get(f"/static/{path}").status_code == 404


def test_a_static_file_cannot_be_changed(client: Client) -> None:
    assert client.post(assets.address("style.css")).status_code == 404


def test_the_day_of_a_list_is_told() -> None:
    row = replace(a_row(1), run_out_on=date(2026, 3, 9))

    html = render(PatientListPage(rows=(row,)), a_frame())

    assert '<time datetime="2026-03-09">Mon 9 Mar</time>' in html
