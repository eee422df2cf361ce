"""The EMERGE report and a page of adherence: of whom, for whom, in what form."""

from collections.abc import Generator
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest
from sqlmodel import col, select, update

from backend import live
from backend.__main__ import main
from backend.app import create_app
from backend.database import transaction
from backend.doses.tables import DoseEvent, EventOverride
from backend.people.tables import PatientIdentifier
from backend.regimens.tables import ScheduledDose
from tests import builders
from tests.backend.dashboards.clinic import (
    Clinic,
    a_clinic_at_work,
    audited,
    signed_in,
)
from tests.backend.ingest.world import doses_at_eight, eight
from tests.serving import serving

DAY = timedelta(days=1)
LABELS = ("on_time", "on_time", "missed", "unknown", "on_time", "taken_late")
FOREIGN = ("stranger", "colleague", "other_patient", "other_maker", "operator")


@pytest.fixture
def clinic(db: object) -> Clinic:
    """A patient of a study whose last days were labelled, two of them with a record."""
    with transaction() as session:
        clinic = a_clinic_at_work(session)
        first = clinic.now.date() - len(LABELS) * DAY
        session.exec(update(ScheduledDose).values(dose_day=clinic.now.date()))
        doses_at_eight(session, clinic.world, first=first, days=len(LABELS))
        for n, label in enumerate(LABELS):
            builders.written(session, a_record(clinic, n, label))
            session.exec(
                update(ScheduledDose)
                .where(col(ScheduledDose.dose_day) == first + n * DAY)
                .values(label=label)
            )
        builders.written(
            session,
            PatientIdentifier(
                patient_id=clinic.patient_id,
                system="study:PILOT",
                value="001",
                since=clinic.now,
            ),
        )
        return clinic


def a_record(clinic: Clinic, n: int, label: str) -> DoseEvent:
    at = eight(clinic.now.date() - (len(LABELS) - n) * DAY)
    taken = label in ("on_time", "taken_late")
    return DoseEvent(
        patient_id=clinic.patient_id,
        regimen_id=clinic.world.regimen.regimen_id,
        evidence="container_opened",
        label="therapeutic" if taken else "curiosity",
        occurred_at=at,
        recorded_at=at,
    )


@pytest.fixture
def web(clinic: Clinic) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        yield client
    live.stop()


def test_a_clinician_gets_the_report_as_json_page_and_document(
    web: httpx.Client, clinic: Clinic
) -> None:
    with signed_in(web, clinic.clinician) as browser:
        got = browser.get("/v1/adherence/report?study=PILOT").json()
        page = browser.get("/adherence?study=PILOT").text
        document = browser.get("/adherence.pdf?study=PILOT")
        nobody = browser.get("/v1/adherence/report?study=OTHER")
        empty = browser.get("/adherence?drug=nothing")

    assert (got["people"], got["initiated"], got["discontinued"]) == (1, 1, 0)
    # of five known days four have their dose
    assert got["implementation"]["taking adherence, capped"]["mean"] == 0.8
    assert (got["doses"], got["monitored_days"], got["unknown_days"]) == (4, 5, 1)
    assert len(got["criteria"]) == 4
    assert len(got["items"]) == 17
    assert got["curves"]["persistence"]["value"][0] == 1.0
    assert "Minimum criteria" in page
    assert "4 doses in 5 known days" in page
    assert document.headers["content-type"] == "application/pdf"
    assert document.content.startswith(b"%PDF")
    assert b"StructTreeRoot" in document.content  # tagged: headings, tables, pictures
    assert nobody.status_code == 404
    assert "Nobody whom you care for fits" in empty.text
    seen = audited(clinic.clinician, "emerge_report_seen")
    assert [row.patients for row in seen] == [[clinic.patient_id]] * 3


def test_a_patients_page_has_figures_charts_and_one_page_to_print(
    web: httpx.Client, clinic: Clinic
) -> None:
    path = f"/patients/{clinic.patient_id}/adherence"
    with signed_in(web, clinic.clinician) as browser:
        page = browser.get(path).text
        document = browser.get(f"{path}.pdf")
    with signed_in(web, clinic.patient) as browser:
        own = browser.get("/me/adherence").text
        own_document = browser.get("/me/adherence.pdf")

    assert "80.0\u00a0%" in page
    for title in ("Openings by day and time of day", "Doses by day", "Times between"):
        assert title in page
        assert title in own
    assert "It was something else" in page
    assert "It was something else" not in own
    assert document.content.startswith(b"%PDF")
    assert own_document.content.startswith(b"%PDF")
    assert audited(clinic.clinician, "patient_adherence_seen")
    assert audited(clinic.clinician, "adherence_document_made")


def test_what_a_clinician_says_of_a_record_is_shown_with_name_and_reason(
    web: httpx.Client, clinic: Clinic
) -> None:
    path = f"/patients/{clinic.patient_id}"
    with transaction() as session:
        event = session.exec(
            select(DoseEvent.dose_event_id).order_by(col(DoseEvent.occurred_at).desc())
        ).first()
    with signed_in(web, clinic.clinician) as browser:
        answer = browser.submit(
            f"{path}/adherence",
            f"{path}/records/{event}/label",
            label="curiosity",
            reason="she only looked",
        )

    assert answer.status_code == 200
    assert "Your word is kept beside the record" in answer.text
    assert "A look inside, no dose (she only looked)" in answer.text
    assert clinic.world.clinician.name in answer.text
    with transaction() as session:
        [kept] = session.exec(select(EventOverride)).all()
    assert (kept.label, kept.actor_id) == (
        "curiosity",
        clinic.world.clinician.clinician_id,
    )


@pytest.mark.parametrize("who", FOREIGN)
def test_nobody_else_gets_anything(web: httpx.Client, clinic: Clinic, who: str) -> None:
    path = f"/patients/{clinic.patient_id}"
    with signed_in(web, getattr(clinic, who)) as browser:
        for each in (f"{path}/adherence", f"{path}/adherence.pdf", "/adherence.pdf"):
            assert browser.get(each).status_code in (403, 404)
        assert browser.get("/v1/adherence/report").status_code in (403, 404)
        assert "Rosa" not in browser.get("/adherence").text
        said = browser.post(
            f"{path}/records/{uuid4()}/label", label="prime", reason="x"
        )
        assert said.status_code in (403, 404)
    with transaction() as session:
        assert not session.exec(select(EventOverride)).all()


def test_the_command_writes_the_report_that_its_clinician_may_read(
    clinic: Clinic, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    out = f"{tmp_path}/report.pdf"

    assert main(["report", "emerge", "--by", clinic.clinician, "-o", out]) == 0
    with open(out, "rb") as file:  # noqa: PTH123
        assert file.read(4) == b"%PDF"
    asked = ["report", "emerge", "--by", clinic.clinician, "--format", "json"]
    assert main(asked) == 0
    assert '"people": 1' in capsys.readouterr().out
    assert main(["report", "emerge", "--by", clinic.stranger]) == 2
    assert main(["report", "emerge", "--by", clinic.patient]) == 2
    assert "No clinician signs in" in capsys.readouterr().err
