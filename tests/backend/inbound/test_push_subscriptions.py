"""Which browsers a patient is reached by."""

from collections.abc import Generator
from dataclasses import dataclass

import httpx
import pytest
from sqlmodel import Session, col, select

from backend.app import create_app
from backend.clock import real_now
from backend.database import transaction
from backend.people.origin import cookie_name
from backend.people.sessions import find_session, open_session
from backend.people.tables import Clinician, ContactPoint, Patient
from backend.settings import settings
from tests.builders import a_clinic, a_clinician, a_patient, an_account
from tests.notifications.test_push import a_key
from tests.serving import serving

PATH = "/v1/push-subscriptions"
BROWSER = {
    "endpoint": "https://updates.push.services.mozilla.com/wpush/v2/abc",
    "expirationTime": None,
    "keys": {"p256dh": "B" * 87, "auth": "a" * 22},
}


@dataclass(frozen=True)
class Web:
    """The application, and the headers of those who are signed in."""

    client: httpx.Client
    rosa: dict[str, str]
    hugo: dict[str, str]
    anna: dict[str, str]


def browser_of(session: Session, whose: Patient | Clinician) -> dict[str, str]:
    cookie = open_session(session, an_account(session, whose), real=real_now())
    session.flush()
    found = find_session(session, cookie, real=real_now())
    assert found is not None
    return {"Cookie": f"{cookie_name()}={cookie}", "X-CSRF-Token": found[1]}


@pytest.fixture
def web(db: object, monkeypatch: pytest.MonkeyPatch) -> Generator[Web]:
    monkeypatch.setenv("DOSELOOP_PUSH_KEY", a_key())
    settings.cache_clear()
    with transaction() as session:
        clinic = a_clinic(session)
        people = (
            a_patient(session, clinic),
            a_patient(session, clinic, given_name="Hugo"),
            a_clinician(session, clinic),
        )
        rosa, hugo, anna = (browser_of(session, one) for one in people)
    with serving(create_app()) as client:
        yield Web(client, rosa, hugo, anna)
    settings.cache_clear()


def subscribed() -> list[ContactPoint]:
    with transaction() as session:
        open_ = select(ContactPoint).where(
            col(ContactPoint.channel) == "push", col(ContactPoint.until).is_(None)
        )
        return list(session.exec(open_))


def test_a_browser_subscribes_once_and_comes_after_the_telephone(web: Web) -> None:
    for _ in range(2):
        answered = web.client.post(PATH, json=BROWSER, headers=web.rosa)
        assert answered.status_code == 204, answered.text

    [contact] = subscribed()
    assert contact.rank == 2
    assert "expirationTime" not in contact.address


def test_a_browser_is_the_last_ones_who_subscribed_with_it(web: Web) -> None:
    web.client.post(PATH, json=BROWSER, headers=web.rosa)
    [before] = subscribed()

    web.client.post(PATH, json=BROWSER, headers=web.hugo)

    [after] = subscribed()
    assert after.patient_id != before.patient_id


def test_a_browser_ends_its_subscription(web: Web) -> None:
    web.client.post(PATH, json=BROWSER, headers=web.rosa)

    ended = web.client.request("DELETE", PATH, json=BROWSER, headers=web.rosa)

    assert (ended.status_code, subscribed()) == (204, [])


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/fcm/send/abc",
        "https://127.0.0.1/send",
        "https://evil.example/fcm.googleapis.com",
        "https://notfcm.googleapis.com.evil.example/x",
        "https://xfcm.googleapis.com/x",
        "https://user@fcm.googleapis.com/x",
        "https://fcm.googleapis.com:22/x",
        "gopher://fcm.googleapis.com",
        "",
    ],
)
def test_we_call_no_address_that_is_no_browsers_server(web: Web, endpoint: str) -> None:
    odd = {**BROWSER, "endpoint": endpoint}

    assert web.client.post(PATH, json=odd, headers=web.rosa).status_code == 422
    assert subscribed() == []


def test_nobody_but_a_patient_subscribes(web: Web) -> None:
    assert web.client.post(PATH, json=BROWSER).status_code == 401
    assert web.client.post(PATH, json=BROWSER, headers=web.anna).status_code == 403


def test_a_browser_is_given_the_public_half_of_the_key(web: Web) -> None:
    key = web.client.get("/v1/push-key", headers=web.rosa).json()["key"]

    assert key.startswith("B")  # an uncompressed point begins with 04
    assert len(key) == 87
