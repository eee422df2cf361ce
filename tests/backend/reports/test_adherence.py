"""Adherence over HTTP: the figures, who sees them, and what is written down of it."""

from collections.abc import Generator
from datetime import date, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlmodel import col, select, update

from backend import live
from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.audit.tables import AuditRow
from backend.database import transaction
from backend.doses.figures import MEASURES
from backend.doses.tables import DoseEvent
from backend.people.consent import withdraw
from backend.regimens.tables import ScheduledDose
from tests import builders
from tests.backend.dashboards.clinic import (
    Browser,
    Clinic,
    a_clinic_at_work,
    signed_in,
)
from tests.backend.ingest.world import another, doses_at_eight, eight
from tests.serving import serving

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
FIRST = date(2026, 3, 2)
SPAN = f"from={FIRST}&to={FIRST + 9 * DAY}"
LABELS = (
    *("on_time", "on_time", "taken_late", "missed", "missed", "missed"),
    *("unknown", "on_time", "early", "pending"),
)


@pytest.fixture
def clinic(db: object) -> Clinic:
    """A patient with ten days of doses, one of them extra on the second."""
    with transaction() as session:
        clinic = a_clinic_at_work(session)
        doses_at_eight(session, clinic.world, first=FIRST, days=len(LABELS))
        for n, label in enumerate(LABELS):
            session.exec(
                update(ScheduledDose)
                .where(col(ScheduledDose.dose_day) == FIRST + n * DAY)
                .values(label=label)
            )
        for hours in (24 + 6, 2 * 24 + 18):  # 14:00, and 02:00 of the same dose-day
            builders.written(session, an_extra(clinic, eight(FIRST) + hours * HOUR))
        return clinic


@pytest.fixture
def web(clinic: Clinic) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        yield client
    live.stop()


def an_extra(clinic: Clinic, at: datetime) -> DoseEvent:
    return DoseEvent(
        patient_id=clinic.patient_id,
        regimen_id=clinic.world.regimen.regimen_id,
        evidence="container_opened",
        label="extra",
        occurred_at=at,
        recorded_at=at,
    )


def asked(browser: Browser, path: str) -> dict[str, Any]:
    answer = browser.get(path, Accept="application/json")
    assert answer.status_code == 200, answer.text
    return answer.json()


def of(clinic: Clinic, query: str = SPAN) -> str:
    return f"/v1/patients/{clinic.patient_id}/adherence?{query}"


def test_a_clinician_gets_every_measure_with_what_it_rests_on(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        got = asked(browser, of(clinic))

    [regimen] = got["regimens"]
    found = regimen["measures"]
    assert set(found) == set(MEASURES)
    # eight known days: the unknown one and the open one are no denominator
    assert found["taking"]["numerator"] == 5
    assert found["taking"]["denominator"] == 8
    assert found["taking-raw"]["value"] == 7 / 8
    assert found["correct-dosing-days"]["numerator"] == 3
    assert found["timing"]["value"] == 3 / 8
    assert found["timing"]["parameters"] == {"within_s": 3600.0}
    assert found["drug-holidays"]["value"] == 1
    counts = {"doses": 7, "monitored_days": 8, "unknown_days": 1}
    assert all(measure["counts"] == counts for measure in found.values())
    assert found["taking"]["interval"]["method"].startswith("Wilson")


def test_one_measure_of_some_days_may_be_asked_for(
    web: httpx.Client, clinic: Clinic
) -> None:
    query = f"measure=taking&measure=timing&from={FIRST}&to={FIRST + 2 * DAY}"

    with signed_in(web, clinic.patient) as browser:
        got = asked(browser, of(clinic, query))

    [regimen] = got["regimens"]
    assert list(regimen["measures"]) == ["taking", "timing"]
    assert regimen["measures"]["taking"]["value"] == 1
    assert (got["first"], got["last"]) == ("2026-03-02", "2026-03-04")


def test_a_look_at_figures_is_written_down_once_with_its_patients(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        asked(browser, of(clinic))
        asked(browser, f"/v1/adherence?{SPAN}")

    with transaction() as session:
        rows = session.exec(
            select(AuditRow).where(col(AuditRow.action).like("adherence%"))
        ).all()
    assert {row.action for row in rows} == {"adherence_seen", "adherence_list_seen"}
    assert len(rows) == 2


def test_a_cohort_is_read_by_pages_of_patients(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        for _ in range(2):
            doses_at_eight(session, another(session, clinic.world), first=FIRST, days=3)

    with signed_in(web, clinic.clinician) as browser:
        seen: list[str] = []
        after = ""
        while after is not None:
            page = f"/v1/adherence?{SPAN}&measure=taking&limit=2{after}"
            got = asked(browser, page)
            seen += [regimen["patient_id"] for regimen in got["regimens"]]
            after = f"&after={got['next']}" if got["next"] else None

    assert len(seen) == len(set(seen)) == 3
    assert seen == sorted(seen)


@pytest.mark.parametrize(
    "who", ["stranger", "colleague", "other_patient", "other_maker", "operator"]
)
def test_who_does_not_care_for_a_patient_learns_nothing(
    web: httpx.Client, clinic: Clinic, who: str
) -> None:
    with signed_in(web, getattr(clinic, who)) as browser:
        one = browser.get(of(clinic), Accept="application/json")
        all_ = browser.get(f"/v1/adherence?{SPAN}", Accept="application/json")

    assert one.status_code in (403, 404)
    assert all_.status_code == 403 or all_.json()["regimens"] == []
    assert str(clinic.patient_id) not in all_.text


def test_a_withdrawn_consent_ends_the_clinics_sight(
    web: httpx.Client, clinic: Clinic
) -> None:
    with transaction() as session:
        withdraw(
            session,
            clinic.patient_id,
            "care",
            clinic.world.clinic.clinic_id,
            actor=SYSTEM,
            now=clinic.now - HOUR,
        )

    with signed_in(web, clinic.clinician) as browser:
        answer = browser.get(of(clinic), Accept="application/json")

    assert answer.status_code == 404


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("measure=score", "There is no measure 'score', only taking"),
        ("from=2026-03-05&to=2026-03-04", "lies after"),
        ("from=2000-01-01&to=2026-03-04", "at most 3660 days"),
    ],
)
def test_what_cannot_be_answered_says_why(
    web: httpx.Client, clinic: Clinic, query: str, why: str
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        answer = browser.get(of(clinic, query), Accept="application/json")

    assert answer.status_code == 422
    assert why in answer.text
