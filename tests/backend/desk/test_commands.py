"""`people` as an operator types it, with all that follows, and wrongly."""

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import RowMapping

from backend.__main__ import main
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.feeds.orders import publish
from backend.people.identifiers import Identifier, identify
from backend.supply.reorder import review
from backend.supply.use import dispense
from tests import builders
from tests.backend.dashboards.clinic import Clinic, a_clinic_at_work

HOUR = timedelta(hours=1)


@pytest.fixture
def clinic(db: object) -> Clinic:
    with transaction() as session:
        return a_clinic_at_work(session)


def typed(clinic: Clinic, *words: str, by: str | None = None) -> int:
    """Type a form of the command about the patient, whose place is `_`."""
    own = [str(clinic.patient_id) if word == "_" else word for word in words]
    return main(["people", *own, "--by", by or clinic.operator])


def rows(statement: str) -> Sequence[RowMapping]:
    with transaction() as session:
        return fetch(session, statement)


def audited(clinic: Clinic, action: str) -> bool:
    """Tell whether the operator did this to the patient, once, by name."""
    found = rows(
        f"""SELECT r.patients, a.login, r.clinic_id FROM audit_row r
        LEFT JOIN account a ON a.account_id = r.actor_id WHERE action = '{action}'"""
    )
    home = clinic.world.clinic.clinic_id
    return [tuple(row.values()) for row in found] == [
        ([clinic.patient_id], clinic.operator, home)
    ]


def reminders() -> list[tuple[str, str]]:
    found = rows("SELECT address, state FROM outbox_message ORDER BY due_at")
    return [(row["address"], row["state"]) for row in found]


def without(purpose: str) -> None:
    with transaction() as session:
        gone = "DELETE FROM consent WHERE purpose = :purpose"
        execute(session, gone, purpose=purpose)


def test_who_allows_reminders_by_phone_gets_those_of_the_doses_ahead(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    without("reminders")

    assert typed(clinic, "consent", "grant", "_", "reminders", "--version", "2") == 0

    assert capsys.readouterr().out == "granted\n"
    assert audited(clinic, "consent_granted")
    assert ("+41790000001", "pending") in reminders()
    kept = rows("SELECT version, wording FROM consent WHERE purpose = 'reminders'")
    assert [tuple(row.values()) for row in kept] == [(2, "consent-2")]


def test_who_withdraws_supply_by_phone_gets_nothing_sent_any_more(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    with transaction() as session:
        holding = clinic.patient_id, clinic.world.product.gtin
        now = clinic.now
        dispense(session, *holding, Decimal(2), cause="start", at=now, now=now)
        publish(session, review(session, [holding], now=now)[0], now=now)
    words = "consent", "withdraw", "_", "supply", "--to", "acme pharma"

    assert [typed(clinic, *words) for _ in range(2)] == [0, 0]

    told = capsys.readouterr().out.splitlines()
    assert told == ["withdrawn", "nothing to withdraw: no such consent stands"]
    assert audited(clinic, "consent_withdrawn")
    assert [row["state"] for row in rows("SELECT state FROM reorder")] == ["cancelled"]
    feed = rows("SELECT body ->> 'state' AS state FROM feed_row ORDER BY cursor")
    assert [row["state"] for row in feed] == ["placed", "cancelled"]


def test_a_number_given_later_is_reminded_and_one_that_ended_is_not_used(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = "+41790000001", "+41790000002"
    assert typed(clinic, "contact", "end", "_", "sms", old) == 0
    assert audited(clinic, "contact_ended")

    words = "contact", "add", "_", "sms", new
    assert [typed(clinic, *words) for _ in range(2)] == [0, 0]
    typed(clinic, "contact", "end", "_", "sms", old)

    assert capsys.readouterr().out.splitlines() == [
        "ended",
        "added",
        "known already",
        "nothing to end: no such address",
    ]
    assert audited(clinic, "contact_added")
    assert {address for address, _ in reminders()} == {new}
    assert new not in str(rows("SELECT detail FROM audit_row"))


def test_doses_and_reminders_of_who_moves_follow_the_zone(clinic: Clinic) -> None:
    typed(clinic, "zone", "_", "Europe/Zurich")

    assert typed(clinic, "zone", "_", "Asia/Tokyo") == 0

    assert rows("SELECT FROM scheduled_dose WHERE zone = 'Asia/Tokyo'")
    assert rows("SELECT FROM outbox_message WHERE state = 'pending'")
    at = "SELECT zone FROM patient_zone ORDER BY effective_from DESC LIMIT 1"
    assert rows(at)[0]["zone"] == "Asia/Tokyo"
    moved = "SELECT actor_id FROM audit_row WHERE action = 'patient_moved_zone'"
    assert all(row["actor_id"] for row in rows(moved))


def test_another_language_is_spoken_from_now_on(clinic: Clinic) -> None:
    assert typed(clinic, "language", "_", "de") == 0

    at = "SELECT language FROM patient_language ORDER BY effective_from DESC LIMIT 1"
    assert rows(at)[0]["language"] == "de"
    assert audited(clinic, "language_changed")


def test_a_colleague_joins_the_care_team_and_leaves_it(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    for what in ("join", "leave", "leave"):
        assert typed(clinic, "care-team", what, "_", clinic.colleague) == 0

    told = capsys.readouterr().out.splitlines()
    assert told == ["joined", "left", "nothing to leave: not on the care team"]
    assert audited(clinic, "care_team_joined")
    assert audited(clinic, "care_team_left")


def test_a_patient_is_found_by_the_number_the_clinic_knows(clinic: Clinic) -> None:
    with transaction() as session:
        number = Identifier("hospital", "4711")
        identify(session, clinic.world.patient, number, since=clinic.now)

    assert typed(clinic, "language", "hospital=4711", "de") == 0
    assert audited(clinic, "language_changed")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("consent", "grant", "_", "marketing"), "A purpose is one of care, "),
        (
            ("consent", "grant", "_", "supply"),
            "Name the manufacturer of supply with --to",
        ),
        (("consent", "grant", "_", "supply", "--to", "?"), "No manufacturer is called"),
        (("contact", "add", "_", "fax", "+41790000002"), "A channel is one of sms, "),
        (("contact", "add", "_", "sms", "0790000002"), "That is no address for sms"),
        (("contact", "add", "_", "email", "rosa"), "That is no address for email"),
        (("zone", "_", "Europe/Zuerich"), "No time zone is called so"),
        (("language", "_", "tlh"), "There are no sentences in tlh"),
        (("care-team", "join", "_", "olaf"), "No clinician of this clinic is olaf"),
        (("care-team", "join", "_", "ops@seefeld.example"), "No clinician of this"),
        (("zone", "rosa", "Europe/Zurich"), "No patient of this clinic is rosa"),
        (("zone", str(uuid4()), "Europe/Zurich"), "No patient of this clinic is"),
    ],
)
def test_what_is_typed_wrongly_is_told_in_a_line_and_changes_nothing(
    clinic: Clinic,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    why: str,
) -> None:
    before = rows("SELECT count(*) AS n FROM audit_row")

    assert typed(clinic, *words) == 2

    told = capsys.readouterr().err
    assert told.startswith(f"people: {why}")
    assert told.count("\n") == 1
    assert rows("SELECT count(*) AS n FROM audit_row") == before


def test_only_an_operator_of_the_patients_clinic_can(
    clinic: Clinic, capsys: pytest.CaptureFixture[str]
) -> None:
    with transaction() as session:
        elsewhere = builders.a_clinic(session, name="Elsewhere 2")
        other = builders.a_clinician(session, elsewhere, role="operator")
        builders.an_account(session, other, login="ops@elsewhere")

    for login in (clinic.clinician, "nobody", "ops@elsewhere"):
        assert typed(clinic, "language", "_", "de", by=login) == 2

    assert capsys.readouterr().err.splitlines() == [
        f"people: No operator signs in as {clinic.clinician}.",
        "people: No operator signs in as nobody.",
        f"people: No patient of this clinic is {clinic.patient_id}.",
    ]
