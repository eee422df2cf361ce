"""The page of a patient's reminders: what went, and how that is changed."""

import csv
from datetime import timedelta
from io import StringIO

import httpx
import pytest
from sqlmodel import select

from backend.audit.tables import AuditRow
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.outbox.deliver import deliver
from backend.outbox.receipts import receive
from backend.outbox.tables import OutboxMessage
from backend.reminders.plan import replan
from backend.reminders.tables import RegimenLadder, ReminderPause, ReminderPreference
from backend.reminders.word import word
from tests.backend.dashboards.clinic import Browser, Clinic, signed_in
from tests.backend.outbox.phone import Phone

MINUTE = timedelta(minutes=1)


@pytest.fixture
def sent(clinic: Clinic) -> OutboxMessage:
    """One reminder of yesterday's dose that went and was delivered, as it is kept."""
    before = clinic.now - timedelta(hours=27)
    with transaction() as session:
        execute(session, "UPDATE scheduled_dose SET local_time = '2026-03-04T08:00:00'")
        replan(session, [clinic.patient_id], now=before)
        at = min(it.due_at for it in session.exec(select(OutboxMessage)))
    deliver({"sms": Phone()}, now=at, real=lambda: at, word=word)
    with transaction() as session:
        first = session.exec(
            select(OutboxMessage).order_by(OutboxMessage.due_at)  # pyright: ignore[reportArgumentType]
        ).first()
        assert first is not None
        receive(
            session,
            message_id=first.message_id,
            provider_id="SM1",
            status="delivered",
            code=None,
            now=at + MINUTE,
            real=at + MINUTE,
        )
    return first


def path(clinic: Clinic) -> str:
    return f"/patients/{clinic.patient_id}/reminders"


def audited(action: str) -> int:
    with transaction() as session:
        rows = session.exec(select(AuditRow).where(AuditRow.action == action))
        return len(rows.all())


def test_the_ledger_says_why_when_to_whom_what_and_what_became_of_it(
    web: httpx.Client, clinic: Clinic, sent: OutboxMessage
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(path(clinic)).text

    assert "Question about a dose: the patient" in page
    assert "If you have not taken it, ask your clinic" in page
    assert "late, of the ladder standard/1" in page
    assert "accepted by the provider" in page
    assert "delivered" in page
    assert "+41 ••• ••• 01" in page
    assert sent.address not in page
    assert audited("reminders_seen") == 1


def test_the_ledger_is_exported_masked_and_each_export_is_audited(
    web: httpx.Client, clinic: Clinic, sent: OutboxMessage
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        answer = browser.get(f"{path(clinic)}.csv")
        browser.get(f"{path(clinic)}.csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(StringIO(answer.text)))
    row = rows[-1]
    assert (row["kind"], row["state"], row["rung"]) == ("ask", "delivered", "late")
    assert row["recipient"] == "patient"
    assert row["address"] == "'+41 ••• ••• 01"
    assert row["body"].startswith("We have no record")
    assert sent.address not in answer.text
    assert audited("reminders_exported") == 2


def test_a_patient_reads_their_own_ledger(
    web: httpx.Client, clinic: Clinic, sent: OutboxMessage
) -> None:
    with signed_in(web, clinic.patient) as browser:
        page = browser.get("/reminders").text
        table = browser.get("/reminders.csv").text

    assert "My reminders" in page
    assert str(sent.body) in page
    assert "delivered" in table
    assert "Use the default" not in page


def change(browser: Browser, clinic: Clinic, **fields: object) -> httpx.Response:
    given = {
        "regimen": clinic.world.regimen.regimen_id,
        "replaces": 0,
        "reason": "asked for a call",
        "minutes": "60",
        "whom": "voice patient",
        **fields,
    }
    return browser.submit(path(clinic), f"{path(clinic)}/ladder", **given)


def test_a_clinician_changes_a_ladder_with_a_reason_and_sees_who_did(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        page = change(browser, clinic).text
        stale = change(browser, clinic, reason="again")
        default = change(browser, clinic, what="default", replaces=1).text

    assert "60 min after: call to the patient" in page
    assert "Dr. Ada Meier: asked for a call" in page
    assert stale.status_code == 409
    assert "30 min after: text to the patient" in default
    with transaction() as session:
        steps = [row.steps for row in session.exec(select(RegimenLadder))]
    assert [len(one) for one in steps] == [1, 0]


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"minutes": "soon"}, "Minutes are whole numbers"),
        ({"whom": "sms neighbour"}, "A step is for one of"),
        ({"minutes": ""}, "at least one step"),
    ],
)
def test_what_is_no_ladder_is_refused_in_words(
    web: httpx.Client, clinic: Clinic, fields: dict[str, object], why: str
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        answer = change(browser, clinic, **fields)

    assert answer.status_code == 422
    assert why in answer.text


def test_a_patient_chooses_quiet_hours_and_allows_reminders_to_follow_habit(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.patient) as browser:
        wishes = {"quiet_since": "22:00", "quiet_until": "07:00", "adaptive": "yes"}
        page = browser.submit("/reminders", "/reminders/wishes", **wishes).text
        bad = browser.submit("/reminders", "/reminders/wishes", quiet_since="22:00")

    assert 'value="22:00"' in page
    assert bad.status_code == 422
    with transaction() as session:
        wish = session.exec(select(ReminderPreference)).one()
    assert (wish.quiet_since, wish.quiet_until, wish.adaptive) == (
        "22:00",
        "07:00",
        True,
    )


def test_a_patient_pauses_for_a_vacation_and_comes_back(
    web: httpx.Client, clinic: Clinic
) -> None:
    today = clinic.now.date()
    with signed_in(web, clinic.patient) as browser:
        fields = {"kind": "vacation", "first": today, "last": today + timedelta(7)}
        page = browser.submit("/reminders", "/reminders/pause", **fields).text
        again = browser.submit("/reminders", "/reminders/pause", **fields)
        hospital = {"kind": "hospital", "first": today}
        refused = browser.submit("/reminders", "/reminders/pause", **hospital)
        with transaction() as session:
            pause = session.exec(select(ReminderPause)).one()
        ended = browser.submit("/reminders", f"/reminders/pause/{pause.pause_id}/end")

    assert "On vacation" in page
    assert "End now" in page
    assert (again.status_code, refused.status_code) == (409, 422)
    assert "The pause has ended" in ended.text
    assert "End now" not in ended.text


def test_a_stay_in_hospital_makes_its_doses_unknown_until_it_is_corrected(
    web: httpx.Client, clinic: Clinic
) -> None:
    def labels() -> set[str]:
        with transaction() as session:
            statement = "SELECT DISTINCT label FROM scheduled_dose WHERE due_at < :now"
            return {row["label"] for row in fetch(session, statement, now=clinic.now)}

    yesterday = clinic.now.date() - timedelta(days=2)
    with signed_in(web, clinic.clinician) as browser:
        stay = {"kind": "hospital", "first": yesterday, "reason": "appendix"}
        page = browser.submit(path(clinic), f"{path(clinic)}/pause", **stay).text
        with transaction() as session:
            pause = session.exec(select(ReminderPause)).one()
        assert "until further notice" in page
        assert labels() == {"unknown"}
        with signed_in(web, clinic.patient) as own:
            theirs = own.submit("/reminders", f"/reminders/pause/{pause.pause_id}/end")
        assert theirs.status_code == 404
        browser.submit(path(clinic), f"{path(clinic)}/pause/{pause.pause_id}/end")
    with transaction() as session:
        spans = fetch(session, "SELECT voided_at FROM non_monitored_span")
    assert sorted(span["voided_at"] is None for span in spans) == [False, True]


@pytest.mark.parametrize(
    "who", ["stranger", "colleague", "other_patient", "other_maker", "operator"]
)
def test_nobody_else_sees_or_changes_reminders(
    web: httpx.Client, clinic: Clinic, sent: OutboxMessage, who: str
) -> None:
    with signed_in(web, getattr(clinic, who)) as browser:
        home = browser.get("/").text
        csrf = home.partition('name="csrf" value="')[2].partition('"')[0]
        page = path(clinic)
        answers = [browser.get(page), browser.get(f"{page}.csv")]
        for form, fields in (
            ("wishes", {}),
            ("pause", {"kind": "vacation", "first": clinic.now.date()}),
            (
                "ladder",
                {
                    "regimen": clinic.world.regimen.regimen_id,
                    "replaces": 0,
                    "reason": "mine",
                    "minutes": "5",
                    "whom": "sms patient",
                },
            ),
        ):
            answers.append(browser.post(f"{page}/{form}", csrf=csrf, **fields))

    assert {answer.status_code for answer in answers} <= {403, 404}
    assert all(str(sent.body) not in answer.text for answer in answers)
    with transaction() as session:
        assert not session.exec(select(RegimenLadder)).all()
        assert not session.exec(select(ReminderPause)).all()
