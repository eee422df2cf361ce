"""The pages over HTTP, as each reader gets them."""

import re
from datetime import timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from sqlmodel import select

from backend.alerts.tables import Alert
from backend.alerts.wake import ANSWER_WITHIN, wake
from backend.database import transaction
from backend.doses.tables import DoseEvent, Void
from backend.outbox.tables import OutboxMessage
from tests import builders
from tests.backend.dashboards.clinic import (
    Clinic,
    a_bridge_token,
    an_open_alert,
    audited,
    next_in,
    signed_in,
)
from tests.backend.ingest.world import opening

BY_ROLE = {
    "clinician": "/patients",
    "patient": "/today",
    "maker": "/orders",
    "operator": "/devices",
}


@pytest.mark.parametrize("role", BY_ROLE)
def test_each_reader_is_led_to_their_own_pages(
    web: httpx.Client, clinic: Clinic, role: str
) -> None:
    with signed_in(web, getattr(clinic, role)) as browser:
        assert browser.get("/").url.path == BY_ROLE[role]


def test_a_link_that_needs_signing_in_is_where_one_gets_afterwards(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.patient) as other:
        other.http.cookies.clear()
        asked = other.get("/alerts")
        assert asked.url.path == "/sign-in"
        assert 'name="next" value="/alerts"' in asked.text
        sent = other.post(
            "/sign-in",
            login=clinic.clinician,
            password="correct horse battery",
            next="/alerts",
        )
        assert sent.url.path == "/alerts"


def test_a_wrong_password_is_told_on_the_page_without_saying_which(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.patient) as browser:
        known = browser.sign_in(clinic.clinician, "wrong")
        unknown = browser.sign_in("nobody@nowhere.example", "wrong")
    assert "do not fit together" in known.text
    assert main_of(known) == main_of(unknown)


def main_of(page: httpx.Response) -> str:
    return page.text.partition("<main")[2].partition("</main>")[0]


def test_signing_out_ends_it(web: httpx.Client, clinic: Clinic) -> None:
    with signed_in(web, clinic.clinician) as browser:
        browser.submit("/patients", "/sign-out")
        assert browser.get("/patients").url.path == "/sign-in"


def test_a_form_without_its_token_does_nothing(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        alert_id = an_open_alert(session, clinic)
    path = f"/alerts/{clinic.patient_id}/{alert_id}"
    with signed_in(web, clinic.clinician) as browser:
        refused = browser.post(f"{path}/close", outcome="resolved")
    assert refused.status_code == 403
    assert "text/html" in refused.headers["content-type"]
    assert state_of(alert_id) == "triggered"


def state_of(alert_id: UUID) -> str:
    with transaction() as session:
        return session.exec(select(Alert.state).where(Alert.alert_id == alert_id)).one()


def test_an_alert_that_nobody_took_says_so_and_names_nobody_who_was_told(
    web: httpx.Client, clinic: Clinic
) -> None:
    late = clinic.now + ANSWER_WITHIN
    with transaction() as session:
        alert_id = an_open_alert(session, clinic)
        assert wake(session, [clinic.patient_id], now=late) == 1
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(f"/alerts/{clinic.patient_id}/{alert_id}").text
        listed = browser.get("/alerts").text
    assert "Nobody answered in time" in page
    assert "Unanswered" in page
    assert "Unanswered" in listed
    assert not {"Escalated", "Passed on"}.intersection(re.split("[<>]", page + listed))


# ------------------------------------------------------------------ the list


def several(clinic: Clinic, names: list[str]) -> None:
    """More patients of the same care team, alphabetically less and less in need."""
    from backend.people.identifiers import Identifier, identify
    from backend.state.tables import PatientState

    world = clinic.world
    with transaction() as session:
        for need, name in enumerate(reversed(names), start=1):
            given, family = name.split()
            patient = builders.a_patient(
                session,
                world.clinic,
                team=(world.clinician,),
                given_name=given,
                family_name=family,
            )
            identifier = Identifier("mrn", f"MRN{need:04}")
            identify(session, patient, identifier, since=builders.LONG_AGO)
            reason: dict[str, object] = {
                "code": "missed",
                "count": need,
                "points": need,
            }
            session.add(
                PatientState(
                    patient_id=patient.patient_id,
                    clinic_id=world.clinic.clinic_id,
                    need=1000 + need,
                    needs=[reason],
                    strip=[{"day": "2026-03-01", "labels": ["missed", "unknown"]}],
                    changed_at=clinic.now,
                )
            )


def test_the_list_goes_on_where_it_stopped_each_patient_once(
    web: httpx.Client, clinic: Clinic
) -> None:
    several(clinic, ["Ada A", "Bob B", "Cem C", "Dora D", "Eli E"])
    with signed_in(web, clinic.clinician) as browser:
        found: list[str] = []
        path: str | None = "/patients?limit=2"
        while path:
            page = browser.get(path).text
            found += names_in(page)
            path = next_in(page)
    assert found == ["Ada A", "Bob B", "Cem C", "Dora D", "Eli E", "Rosa Keller"]


def names_in(page: str) -> list[str]:
    return re.findall(r'<h2><a href="/patients/[^"]+">([^<]+)</a>', page)


def test_the_list_is_searched_by_name_and_identifier(
    web: httpx.Client, clinic: Clinic
) -> None:
    several(clinic, ["Ada A", "Bob Börne", "Cem 50%"])
    with signed_in(web, clinic.clinician) as browser:

        def found(search: str) -> list[str]:
            return names_in(
                browser.http.get("/patients", params={"search": search}).text
            )

        assert found("börne bob") == ["Bob Börne"]
        assert found("mrn0003") == ["Ada A"]
        assert found("50%") == ["Cem 50%"]
        assert found("%") == ["Cem 50%"]
        assert found("nobody") == []


def test_the_list_is_filtered_by_what_patients_need(
    web: httpx.Client, clinic: Clinic
) -> None:
    several(clinic, ["Ada A"])
    with transaction() as session:
        an_open_alert(session, clinic, "Four doses missed")
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get("/patients?show=alerts").text
    assert names_in(page) == ["Rosa Keller"]
    assert "Four doses missed" in page


def test_a_cursor_somebody_made_up_is_refused(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        for after in ("x", "1~2", "1~" + str(uuid4()) + "~3"):
            assert browser.get(f"/patients?after={after}").status_code == 422


def test_a_list_is_one_audit_row_with_everybody_on_it_and_a_refresh_none(
    web: httpx.Client, clinic: Clinic
) -> None:
    several(clinic, ["Ada A", "Bob B"])
    with signed_in(web, clinic.clinician) as browser:
        for path in "/patients", "/patients?limit=2":
            browser.get(path)
        sizes = [
            len(r.patients) for r in audited(clinic.clinician, "patient_list_seen")
        ]
        assert sizes == [3, 2]
        before = len(audited(clinic.clinician, "patient_list_seen"))
        browser.get("/patients?limit=2", **{"X-Doseloop-Live": "1"})
        assert len(audited(clinic.clinician, "patient_list_seen")) == before


def test_the_header_of_a_refresh_hides_no_first_look(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        browser.get(f"/patients/{clinic.patient_id}", **{"X-Doseloop-Live": "1"})
    assert len(audited(clinic.clinician, "patient_seen")) == 1


# ------------------------------------------------------------------ one patient


def test_a_dose_that_was_posted_stands_on_the_page_and_can_be_declared_void(
    web: httpx.Client, clinic: Clinic
) -> None:
    token = a_bridge_token(clinic, web)
    item = opening(clinic.world, 1, clinic.now - timedelta(hours=2))
    sent = web.post(
        "/v1/dose-events",
        json={"items": [item]},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert sent.json()["verdicts"][0]["verdict"] == "new"
    with transaction() as session:
        event_id = session.exec(select(DoseEvent.dose_event_id)).one()

    path = f"/patients/{clinic.patient_id}"
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(path).text
        assert "1 on time" in page
        assert "Exemplin 5 mg: 1 dose, mornings at 08:00" in page
        answer = browser.submit(
            path, f"{path}/doses/{event_id}/void", reason="Opened by the nurse"
        )
    assert "no longer counts" in answer.text
    assert "Opened by the nurse" in answer.text
    assert "1 on time" not in answer.text
    with transaction() as session:
        assert session.exec(select(Void.reason)).all() == ["Opened by the nurse"]


@pytest.mark.parametrize("days", [1, 7, 30, 90, 12])
def test_the_timeline_is_drawn_for_every_range(
    web: httpx.Client, clinic: Clinic, days: int
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(f"/patients/{clinic.patient_id}?days={days}")
    assert page.status_code == 200
    assert "Doses and heart rate" in page.text


def test_a_patients_page_names_the_alert_that_weighs_most_and_leads_to_it(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        alert_id = an_open_alert(session, clinic)
    path = f"/alerts/{clinic.patient_id}/{alert_id}"
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(f"/patients/{clinic.patient_id}").text
    standing = page.partition('id="standing"')[2].partition("</section>")[0]
    assert f'<a href="{path}">Three missed</a>' in standing
    assert "Alert open" not in standing


def test_a_page_says_who_looked_this_reader_included(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(f"/patients/{clinic.patient_id}").text
        assert 'Dr. Ada Meier <span class="meta">opened this page' in page
    with signed_in(web, clinic.patient) as browser:
        own = browser.get("/me").text
        assert 'Dr. Ada Meier <span class="meta">opened this page' in own
        assert "You <span" in own


# ------------------------------------------------------------------ alerts


def test_an_alert_is_acknowledged_snoozed_and_closed(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        alert_id = an_open_alert(session, clinic)
    path = f"/alerts/{clinic.patient_id}/{alert_id}"
    with signed_in(web, clinic.clinician) as browser:
        assert "Three missed" in browser.get("/alerts").text
        taken = browser.submit(path, f"{path}/acknowledge")
        assert "The alert is yours." in taken.text
        assert "taken on by Dr. Ada Meier" in browser.get("/alerts?state=mine").text
        browser.submit(path, f"{path}/snooze", hours=4, reason="Rings back at six")
        assert state_of(alert_id) == "snoozed"
        browser.submit(path, f"{path}/close", outcome="other_cause", note="Travelled")
        assert state_of(alert_id) == "closed"
        assert "Three missed" not in browser.get("/alerts").text
        assert "Three missed" in browser.get("/alerts?state=closed").text
        again = browser.post(
            f"{path}/close", outcome="resolved", csrf=token_of(browser.get("/alerts"))
        )
        assert again.status_code == 409
        assert "That has been done already" in again.text
        assert "Alert open" not in browser.get("/patients").text


def token_of(page: httpx.Response) -> str:
    return page.text.partition('name="csrf" value="')[2].partition('"')[0]


# ------------------------------------------------------------------ messages


def test_the_outbox_says_what_to_whom_and_why_and_hides_the_address(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        for n, state in enumerate(("sent", "pending", "cancelled")):
            builders.written(session, a_message(clinic, n, state))
    with signed_in(web, clinic.clinician) as browser:
        sent = browser.get("/outbox").text
        assert "Your 08:00 dose has not been recorded yet." in sent
        assert "Device heard until" in sent
        assert "+41 ••• ••• 01" in sent
        assert "+41790000001" not in sent
        assert "unless the dose is recorded" in browser.get("/outbox?show=waiting").text
        assert "Withdrawn: dose recorded" in browser.get("/outbox?show=withdrawn").text


def a_message(clinic: Clinic, n: int, state: str) -> OutboxMessage:
    heard: dict[str, object] = {"label": "late", "heard_until": clinic.now.isoformat()}
    why: dict[str, dict[str, object]] = {
        "sent": heard,
        "pending": {"delay_s": 1800},
        "cancelled": {"cancelled": "dose_recorded"},
    }
    body = "Your 08:00 dose has not been recorded yet." if state == "sent" else None
    return OutboxMessage(
        patient_id=clinic.patient_id,
        clinic_id=clinic.world.clinic.clinic_id,
        dedup_key=str(n),
        kind="late",
        recipient_id=clinic.patient_id,
        channel="sms",
        address="+41790000001",
        body=body,
        why=why[state],
        due_at=clinic.now,
        valid_until=clinic.now + timedelta(hours=1),
        state=state,
        reference="ABCDEF",
        created_at=clinic.now,
    )


# ------------------------------------------------------------------ refusals


def test_a_browser_gets_a_page_and_a_program_a_problem(
    web: httpx.Client, clinic: Clinic
) -> None:
    as_page = web.get("/nowhere", headers={"Accept": "text/html"})
    assert as_page.status_code == 404
    assert "There is no such page" in as_page.text
    assert "default-src 'none'" in as_page.headers["content-security-policy"]
    as_problem = web.get("/nowhere")
    assert as_problem.headers["content-type"] == "application/problem+json"
    under = web.get("/v1/nowhere", headers={"Accept": "text/html"})
    assert under.headers["content-type"] == "application/problem+json"
