"""What a bridge tells of a dose is what a program reads of it, in the same terms."""

from collections.abc import Generator
from datetime import timedelta
from decimal import Decimal

import httpx
import pytest

from backend.app import create_app
from backend.audit.record import SYSTEM
from backend.clock import real_now
from backend.database import transaction
from backend.doses.routes import DoseEvents
from backend.people.bridges import new_code, pair
from device_bridge.events import DoseEvent, Evidence, Label, Record
from tests import builders
from tests.backend.programs import acts_for
from tests.serving import serving


@pytest.fixture
def http(db: object) -> Generator[httpx.Client]:
    with serving(create_app()) as client:
        yield client


def test_a_record_is_read_back_by_its_identity(http: httpx.Client) -> None:
    now = real_now()
    with transaction() as session:
        clinic = builders.a_clinic(session)
        patient = builders.a_patient(session, clinic)
        device = builders.a_device(session, clinic)
        builders.an_assignment(session, device, patient)
        id_ = clinic.clinic_id
        code = new_code(session, id_, kind="gateway", actor=SYSTEM, real=now)
        session.flush()
        token = pair(session, code, "ward 3", real=now).token
    dose = DoseEvent(Evidence.DOSE_DELIVERED, Label.PRIME, 0, Decimal("0.02"), "mL")
    at = now - timedelta(hours=1)
    sent = Record(
        str(device.device_id), 3, 2**40, b"raw", at, 0.1, bytes(9), 0.0, dose, True
    )

    http.headers["Authorization"] = f"Bearer {token}"
    answer = http.post("/v1/dose-events", json={"items": [sent.item()]})
    assert answer.status_code == 200, answer.text
    acts_for(http, patient)
    answer = http.get(f"/v1/patients/{patient.patient_id}/dose-events")

    [read] = DoseEvents.model_validate_json(answer.content).dose_events
    assert read.device is not None
    assert str(read.device.device_id) == sent.device_id
    assert (read.device.epoch, read.device.sequence) == (sent.epoch, sent.sequence)
    assert (read.occurred_at, read.uncertainty_s) == (at, sent.uncertainty_s)
    told = (read.evidence, read.said, read.device.compartment, read.amount, read.unit)
    assert told == (dose.evidence, dose.label, 0, dose.amount, dose.unit)
