"""Signing in and pairing over HTTP, as a browser and a bridge do it."""

from collections.abc import Generator
from datetime import timedelta

import httpx
import pytest
from sqlmodel import Session, col, select

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import real_now
from backend.database import transaction
from backend.devices.tables import DeviceRecord
from backend.doses.tables import DoseEvent
from backend.people import passwords
from backend.people.bridges import new_code
from backend.people.erase import erase
from backend.people.origin import local
from backend.people.sessions import find_session
from backend.people.tables import Clinic
from backend.settings import settings
from tests.builders import (
    a_clinic,
    a_clinician,
    a_device,
    a_patient,
    an_account,
    an_assignment,
)
from tests.serving import serving

PASSWORD = "correct horse battery"
LOGIN = "ada@seefeld"


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        clinic = a_clinic(session)
        an_account(
            session,
            a_clinician(session, clinic),
            login=LOGIN,
            password_hash=passwords.hashed(PASSWORD),
        )
        return clinic


@pytest.fixture
def web(clinic: Clinic) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        yield client


def enter(web: httpx.Client, **changes: str) -> httpx.Response:
    form = {"login": LOGIN, "password": PASSWORD, **changes}
    return web.post("/sign-in", data=form)


def csrf_of(web: httpx.Client) -> str:
    with transaction() as session:
        found = find_session(session, web.cookies["doseloop"], real=real_now())
    assert found is not None
    return found[1]


def test_the_right_password_sets_a_cookie_scripts_and_other_sites_do_not_get(
    web: httpx.Client,
) -> None:
    answer = enter(web, next="/patients")
    assert (answer.status_code, answer.headers["location"]) == (303, "/patients")
    crumbs = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")}
    assert {"httponly", "samesite=lax", "path=/"} <= crumbs
    assert "secure" not in crumbs


def test_where_people_come_by_https_the_cookie_is_bound_to_the_host(
    db: object, monkeypatch: pytest.MonkeyPatch, clinic: Clinic
) -> None:
    monkeypatch.setenv("DOSELOOP_PUBLIC_URL", "https://care.example")
    settings.cache_clear()
    with serving(create_app()) as web:
        answer = enter(web)
    assert answer.headers["set-cookie"].startswith("__Host-doseloop=")
    assert "secure" in answer.headers["set-cookie"].lower()


def test_a_wrong_password_leads_back_to_the_form_without_the_name(
    web: httpx.Client,
) -> None:
    for login in (LOGIN, "nobody@seefeld"):
        answer = enter(web, login=login, password="wrong", next="/patients")
        assert answer.status_code == 303
        assert answer.headers["location"] == "/sign-in?reason=wrong&next=%2Fpatients"
        assert "set-cookie" not in answer.headers


def test_too_many_wrong_ones_lead_back_with_how_long_to_wait(web: httpx.Client) -> None:
    for _ in range(5):
        enter(web, password="wrong")
    assert enter(web).headers["location"] in {
        f"/sign-in?reason=locked&wait={seconds}" for seconds in (1, 2, 3)
    }


@pytest.mark.parametrize(
    ("asked", "led_to"),
    [
        (None, "/"),
        ("", "/"),
        ("/alerts?open=1", "/alerts?open=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("/a\r\nSet-Cookie: x=y", "/"),
        ("javascript:alert(1)", "/"),
    ],
)
def test_signing_in_leads_to_pages_of_ours_only(asked: str | None, led_to: str) -> None:
    assert local(asked, otherwise="/") == led_to


def test_another_site_cannot_sign_somebody_in(web: httpx.Client) -> None:
    for sent in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        web.headers.update(sent)
        assert enter(web).status_code == 403
        for name in sent:
            del web.headers[name]
    own = f"{web.base_url}".rstrip("/")
    assert (
        web.post(
            "/sign-in",
            data={"login": LOGIN, "password": PASSWORD},
            headers={"Origin": own, "Sec-Fetch-Site": "same-origin"},
        ).headers["location"]
        == "/"
    )


def test_a_form_without_the_sessions_token_changes_nothing(web: httpx.Client) -> None:
    enter(web)
    csrf = csrf_of(web)
    assert web.post("/sign-out").status_code == 403
    assert web.post("/sign-out", data={"csrf": "x" + csrf[1:]}).status_code == 403
    foreign = {"Origin": "https://evil.example"}
    refused = web.post("/sign-out", data={"csrf": csrf}, headers=foreign)
    assert refused.status_code == 403
    left = web.post("/sign-out", data={"csrf": csrf})
    assert (left.status_code, left.headers["location"]) == (303, "/sign-in")


def test_signing_out_ends_the_session_for_good(web: httpx.Client) -> None:
    enter(web)
    cookie = web.cookies["doseloop"]
    web.post("/sign-out", headers={"X-CSRF-Token": csrf_of(web)})
    again = httpx.Cookies({"doseloop": cookie})
    web.cookies = again
    assert web.get("/v1/feeds/orders").status_code == 401


def test_a_person_without_a_session_is_led_to_the_sign_in_page_and_back(
    web: httpx.Client,
) -> None:
    page = web.get("/v1/feeds/orders", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (
        303,
        "/sign-in?next=%2Fv1%2Ffeeds%2Forders",
    )
    assert web.get("/v1/feeds/orders").status_code == 401


# Bridges


def code(clinic: Clinic) -> str:
    with transaction() as session:
        return new_code(
            session, clinic.clinic_id, kind="gateway", actor=SYSTEM, real=real_now()
        )


def paired(web: httpx.Client, clinic: Clinic) -> dict[str, str]:
    made = web.post("/v1/bridges/pair", json={"code": code(clinic), "name": "ward 3"})
    assert made.status_code == 201
    assert set(made.json()) == {"bridge_id", "token", "expires_at"}
    return {"Authorization": f"Bearer {made.json()['token']}"}


def test_a_bridge_is_paired_and_changes_its_token(
    web: httpx.Client, clinic: Clinic
) -> None:
    old = paired(web, clinic)
    made = web.post("/v1/bridges/rotate", headers=old)
    assert set(made.json()) == {"token", "expires_at"}
    new = {"Authorization": f"Bearer {made.json()['token']}"}
    for token in (old, new):
        assert web.get("/v1/bridges/devices", headers=token).json() == []


def test_codes_cannot_be_guessed_for_long(web: httpx.Client, clinic: Clinic) -> None:
    spoken = code(clinic)

    def guess(code: str) -> httpx.Response:
        return web.post("/v1/bridges/pair", json={"code": code, "name": "x"})

    assert [guess("0000-0000").status_code for _ in range(10)] == [401] * 10
    waiting = guess(spoken)
    assert waiting.status_code == 429
    assert int(waiting.headers["retry-after"]) > 0


@pytest.mark.parametrize(
    "authorization", [None, "Basic eDp5", "Bearer", "Bearer \xff" * 9]
)
def test_who_brings_no_token_of_ours_is_told_to(
    web: httpx.Client, authorization: str | None
) -> None:
    given = b"" if authorization is None else authorization.encode("latin-1")
    headers = {b"Authorization": given} if given else {}
    answer = web.get("/v1/bridges/devices", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_a_bridges_token_opens_no_page_and_a_session_sends_no_doses(
    web: httpx.Client, clinic: Clinic
) -> None:
    token = paired(web, clinic)
    assert web.get("/v1/feeds/orders", headers=token).status_code == 401
    enter(web)
    assert web.get("/v1/bridges/devices").status_code == 401


def test_a_dose_that_comes_after_the_erasure_belongs_to_nobody(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        patient, device = a_patient(session, clinic), a_device(session, clinic)
        an_assignment(session, device, patient)

    def sent(sequence: int) -> str:
        item = {
            "device_id": str(device.device_id),
            "epoch": 0,
            "sequence": sequence,
            "payload_hash": f"{sequence:064x}",
            "occurred_at": (real_now() - timedelta(hours=1)).isoformat(),
            "uncertainty_s": 1.0,
            "device_time": None,
            "offset_s": None,
            "evidence": "container_opened",
            "label": None,
            "compartment": 0,
            "amount": None,
            "unit": None,
            "claimed_live": False,
        }
        answer = web.post(
            "/v1/dose-events", json={"items": [item]}, headers=paired(web, clinic)
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["verdicts"][0]["verdict"]

    assert sent(1) == "new"
    with transaction() as session:
        erase(session, patient.patient_id, actor=SYSTEM, now=real_now())
    assert sent(1) == "known"  # the bridge had not heard the answer
    assert sent(2) == "new"  # committed, so that the box can forget it
    with transaction() as session:
        assert stored(session) == [(1, "erased"), (2, "unassigned")]
        assert session.exec(select(DoseEvent)).all() == []


def stored(session: Session) -> list[tuple[int, str]]:
    rows = session.exec(select(DeviceRecord).order_by(col(DeviceRecord.sequence)))
    return [(row.sequence, row.status) for row in rows]
