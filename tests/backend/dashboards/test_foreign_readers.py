"""Who has no business with a patient learns not even that there is one."""

from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import select

from backend.alerts.tables import Alert
from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.doses.tables import DoseEvent, Void
from backend.people.consent import withdraw
from backend.supply.tables import Reorder
from tests import builders
from tests.backend.dashboards.clinic import (
    Browser,
    Clinic,
    an_open_alert,
    an_order,
    signed_in,
)

FOREIGN = ("stranger", "colleague", "other_patient", "other_maker", "operator")


@dataclass(frozen=True, slots=True)
class Things:
    """What there is to get at."""

    alert_id: UUID
    order_id: UUID
    event_id: UUID


@pytest.fixture
def things(clinic: Clinic) -> Things:
    with transaction() as session:
        event = builders.written(
            session,
            DoseEvent(
                patient_id=clinic.patient_id,
                regimen_id=clinic.world.regimen.regimen_id,
                evidence="container_opened",
                occurred_at=clinic.now,
                recorded_at=clinic.now,
            ),
        )
        return Things(
            an_open_alert(session, clinic),
            an_order(session, clinic, "shipped"),
            event.dose_event_id,
        )


def pages(clinic: Clinic, things: Things) -> Iterator[str]:
    yield f"/patients/{clinic.patient_id}"
    yield f"/alerts/{clinic.patient_id}/{things.alert_id}"


def forms(clinic: Clinic, things: Things) -> Iterator[tuple[str, dict[str, object]]]:
    alert = f"/alerts/{clinic.patient_id}/{things.alert_id}"
    yield f"{alert}/acknowledge", {}
    yield f"{alert}/snooze", {"hours": 4, "reason": "later"}
    yield f"{alert}/close", {"outcome": "resolved"}
    void = f"/patients/{clinic.patient_id}/doses/{things.event_id}/void"
    yield void, {"reason": "mine"}
    yield f"/orders/{things.order_id}/move", {"state": "delivered"}
    regimen = clinic.world.regimen.regimen_id
    yield "/today/report", {"regimen": regimen, "occurrence": "2026-03-04T08:00"}
    yield "/today/as-needed", {"regimen": regimen, "key": regimen}


def token(browser: Browser) -> str:
    return browser.get("/").text.partition('name="csrf" value="')[2].partition('"')[0]


def refused(answer: httpx.Response) -> bool:
    return answer.status_code in (403, 404) and "Keller" not in answer.text


def unchanged() -> bool:
    with transaction() as session:
        return (
            session.exec(select(Alert.state)).all() == ["triggered"]
            and session.exec(select(Reorder.state)).all() == ["shipped"]
            and not session.exec(select(Void)).all()
            and len(session.exec(select(DoseEvent)).all()) == 1
        )


@pytest.mark.parametrize("who", FOREIGN)
def test_a_foreign_reader_sees_and_changes_nothing(
    web: httpx.Client, clinic: Clinic, things: Things, who: str
) -> None:
    with signed_in(web, getattr(clinic, who)) as browser:
        csrf = token(browser)
        for path in pages(clinic, things):
            assert refused(browser.get(path)), path
        for path, fields in forms(clinic, things):
            assert refused(browser.post(path, csrf=csrf, **fields)), path
        for path in ("/patients", "/alerts", "/outbox", "/orders", "/feed", "/me"):
            answer = browser.get(path)
            assert "Keller" not in answer.text
            assert "Three missed" not in answer.text
            assert str(things.order_id) not in answer.text
        live = f"/live?patient={clinic.patient_id}"
        if who != "other_patient":  # whose own stream it is, whatever they ask for
            assert browser.get(live).status_code == 404
    assert unchanged()


def test_what_is_foreign_cannot_be_told_from_what_there_is_not(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.stranger) as browser:
        there = browser.get(f"/patients/{clinic.patient_id}")
        not_there = browser.get(f"/patients/{uuid4()}")
    assert there.status_code == not_there.status_code == 404


@pytest.mark.parametrize("who", ["clinician", "maker"])
def test_what_a_patient_withdraws_closes_at_once(
    web: httpx.Client, clinic: Clinic, things: Things, who: str
) -> None:
    with signed_in(web, getattr(clinic, who)) as browser:
        page = "/orders" if who == "maker" else f"/patients/{clinic.patient_id}"
        assert str(things.order_id)[:8].upper() in browser.get(page).text.upper()
        csrf = token(browser)
        with transaction() as session:
            for purpose, recipient in (
                ("care", clinic.world.clinic.clinic_id),
                ("supply", clinic.world.manufacturer.organization_id),
            ):
                withdraw(
                    session,
                    clinic.patient_id,
                    purpose,
                    recipient,
                    actor=SYSTEM,
                    now=clinic.now,
                )
        after = browser.get(page)
        assert "Keller" not in after.text
        assert str(things.order_id)[:8].upper() not in after.text.upper()
        move = f"/orders/{things.order_id}/move"
        assert refused(browser.post(move, csrf=csrf, state="cancelled"))
    assert unchanged()
