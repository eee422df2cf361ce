"""The loop in Chromium: the real web process, the real database, each reader."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect
from sqlmodel import delete

from backend import live
from backend.app import create_app
from backend.database import transaction
from backend.live import touched
from backend.people.tables import SignInSession
from tests.backend.dashboards.clinic import (
    PASSWORD,
    Clinic,
    a_bridge_token,
    a_clinic_at_work,
    an_open_alert,
    an_order,
)
from tests.backend.ingest.world import opening
from tests.browser.test_pages import WCAG
from tests.serving import serving

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PROJECT = Path(__file__).parents[2]
DEADLINE = 30.0
Opened = Callable[[str], Page]
Visits = Callable[[httpx.Client, str], Page]


@pytest.fixture
def clinic(db: object) -> Generator[Clinic]:
    with transaction() as session:
        made = a_clinic_at_work(session)
    yield made
    live.stop()


@pytest.fixture
def here(clinic: Clinic) -> Generator[httpx.Client]:
    """The application on a socket of this process: it starts in no time."""
    with serving(create_app()) as client:
        yield client


@pytest.fixture
def port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as asking:
        return int(asking.getsockname()[1])


@pytest.fixture
def process(clinic: Clinic, port: int) -> Generator[subprocess.Popen[bytes]]:
    """The web process, started as an operator starts it."""
    started = subprocess.Popen(
        [sys.executable, "-m", "backend", "serve"],
        cwd=PROJECT,
        env={**os.environ, "DOSELOOP_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGTERM)
        _, said = started.communicate(timeout=DEADLINE)
    assert b'"level":"error"' not in said, said.decode()


@pytest.fixture
def site(process: subprocess.Popen[bytes], port: int) -> Generator[httpx.Client]:
    """A client of the web process, once it is ready."""
    at = f"http://127.0.0.1:{port}"
    with httpx.Client(base_url=at, trust_env=False) as client:
        until_ready(client, process)
        yield client


def until_ready(client: httpx.Client, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + DEADLINE
    while time.monotonic() < until and process.poll() is None:
        try:
            if client.get("/readyz").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError("the web process did not start")


@pytest.fixture
def visits(chromium: Browser) -> Generator[Visits]:
    """Open browsers in which somebody has signed in by hand, at some address."""
    with ExitStack() as open_ones:

        def visit(at: httpx.Client, login: str) -> Page:
            context = chromium.new_context(base_url=str(at.base_url))
            open_ones.enter_context(closing(context))
            page = context.new_page()
            page.goto("/")
            page.get_by_label("Sign-in name").fill(login)
            page.get_by_label("Password").fill(PASSWORD)
            page.keyboard.press("Enter")
            page.wait_for_url(re.compile(r"/(patients|today|orders|devices)$"))
            return page

        yield visit


@pytest.fixture
def opened(here: httpx.Client, visits: Visits) -> Opened:
    return lambda login: visits(here, login)


def until_live(page: Page) -> None:
    page.locator("[data-live-state]", has_text="Live").wait_for()


def faults(page: Page) -> str:
    options = {
        "resultTypes": ["violations"],
        "runOnly": {"type": "tag", "values": WCAG},
    }
    found = Axe().run(page, options=options)  # pyright: ignore[reportUnknownMemberType]
    return found.generate_report() if found.violations_count else ""


def test_a_dose_shows_on_the_open_pages_within_two_seconds(
    visits: Visits, site: httpx.Client, clinic: Clinic
) -> None:
    token = a_bridge_token(clinic, site)
    clinician, patient = (
        visits(site, login) for login in (clinic.clinician, clinic.patient)
    )
    clinician.goto(f"/patients/{clinic.patient_id}")
    for page in (clinician, patient):
        until_live(page)
    item = opening(clinic.world, 1, clinic.now - timedelta(hours=2))

    sent = site.post(
        "/v1/dose-events",
        json={"items": [item]},
        headers={"Authorization": f"Bearer {token}"},
    )
    committed = time.monotonic()
    assert sent.json()["verdicts"][0]["verdict"] == "new"

    expect(patient.locator("#doses")).to_contain_text("box opened", timeout=2000)
    expect(clinician.locator("#records")).to_contain_text(
        "counted for a scheduled dose", timeout=2000
    )
    assert time.monotonic() - committed < 2
    announced = clinician.locator("#announcer")
    expect(announced).to_have_text("The doses of Rosa Keller have changed.")


def test_an_alert_is_taken_on_and_closed_by_keyboard_alone(
    opened: Opened, clinic: Clinic
) -> None:
    with transaction() as session:
        an_open_alert(session, clinic)
    page = opened(clinic.clinician)

    follow(page, "Alerts")
    follow(page, "Three missed")
    assert faults(page) == ""
    press(page, "Acknowledge")
    expect(page.get_by_role("status")).to_contain_text("The alert is yours.")
    tab_to(page, "Adverse reaction")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_label("Another cause")).to_be_checked()
    tab_to(page, "Note may stay empty")
    page.keyboard.type("Was on a journey")
    press(page, "Close the alert")

    expect(page.locator("main")).to_contain_text("Another cause")
    expect(page.locator("main")).to_contain_text("Was on a journey")
    follow(page, "Patients")
    expect(page.locator(".row")).not_to_contain_text("Three missed")


def follow(page: Page, link: str) -> None:
    before = page.url
    press(page, link)
    page.wait_for_url(lambda url: url != before)


def press(page: Page, name: str) -> None:
    tab_to(page, name)
    page.keyboard.press("Enter")


def tab_to(page: Page, name: str) -> None:
    """Press Tab until the thing of that name has the focus."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(NAMED).startswith(name):
            return
    raise AssertionError(f"the keyboard does not reach {name!r}")


NAMED = """() => {
  const at = document.activeElement;
  const text = at.labels?.length ? at.labels[0].innerText : at.innerText;
  return (text || "").replace(/\\s+/g, " ").trim();
}"""


def test_a_patient_reports_a_dose_and_the_clinician_sees_it(
    opened: Opened, clinic: Clinic
) -> None:
    clinician, patient = opened(clinic.clinician), opened(clinic.patient)
    clinician.goto(f"/patients/{clinic.patient_id}")
    until_live(clinician)

    patient.get_by_role("button", name="I took it now").first.click()

    expect(patient.get_by_role("status")).to_contain_text("Your dose is recorded.")
    expect(patient.locator("#doses")).to_contain_text("said so")
    expect(clinician.locator("#records")).to_contain_text("said so", timeout=2000)


def test_a_maker_ships_and_the_clinic_sees_it_and_confirms(
    opened: Opened, clinic: Clinic
) -> None:
    with transaction() as session:
        an_order(session, clinic)
    clinician, maker = opened(clinic.clinician), opened(clinic.maker)
    clinician.goto(f"/patients/{clinic.patient_id}")
    until_live(clinician)
    assert faults(maker) == ""

    maker.get_by_role("button", name="Shipped").click()
    confirm = clinician.get_by_role("button", name="Confirm delivery")
    confirm.wait_for(timeout=2000)
    until_live(maker)
    confirm.click()

    expect(clinician.get_by_role("status")).to_contain_text("moved on")
    expect(maker.locator("#order-list")).to_contain_text("No order here", timeout=2000)


@pytest.mark.parametrize(
    ("who", "paths"),
    [
        ("clinician", ["/patients", "/patients/{}", "/alerts", "/outbox"]),
        ("patient", ["/today", "/me"]),
        ("maker", ["/orders", "/feed"]),
        ("operator", ["/devices"]),
    ],
)
def test_the_real_pages_are_accessible_and_quiet(
    opened: Opened, clinic: Clinic, who: str, paths: list[str]
) -> None:
    with transaction() as session:
        an_open_alert(session, clinic)
        an_order(session, clinic)
    page = opened(getattr(clinic, who))
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    for path in paths:
        page.goto(path.format(clinic.patient_id))
        assert faults(page) == "", path
    assert said == []


def test_a_page_whose_session_ended_goes_to_the_sign_in(
    opened: Opened, clinic: Clinic
) -> None:
    page = opened(clinic.clinician)
    until_live(page)
    with transaction() as session:
        session.exec(delete(SignInSession))
    touched([clinic.world.clinic.clinic_id])
    page.wait_for_url(re.compile("/sign-in"), timeout=5000)


def test_the_web_process_stops_at_once_though_a_page_is_open(
    visits: Visits,
    site: httpx.Client,
    process: subprocess.Popen[bytes],
    clinic: Clinic,
) -> None:
    until_live(visits(site, clinic.clinician))
    process.send_signal(signal.SIGTERM)
    process.wait(5)
