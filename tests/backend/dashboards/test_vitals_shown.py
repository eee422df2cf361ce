"""Pages of patients of whom much has been measured."""

from datetime import timedelta

import httpx

from backend.vitals.codes import VITALS
from tests.backend.dashboards.clinic import Clinic, a_bridge_token, signed_in


def test_the_pages_show_a_patient_of_whom_every_vital_is_known(
    web: httpx.Client, clinic: Clinic
) -> None:
    token = a_bridge_token(clinic, web)
    at = (clinic.now - timedelta(minutes=30)).isoformat()
    samples = [
        {
            "id": f"{device}:{vital.code}",
            "device_id": str(clinic.world.device_id),
            "code": vital.code,
            "unit": vital.unit,
            "start": at,
            "values": [vital.high],
        }
        for device in ("cuff", "meter")
        for vital in VITALS.values()
    ]
    sent = web.post(
        "/v1/vitals",
        json={"segments": samples},
        headers={"Authorization": f"Bearer {token}"},
    )
    assert {one["verdict"] for one in sent.json()["segments"]} <= {"new", "known"}
    with signed_in(web, clinic.clinician) as browser:
        for path in ("/patients", f"/patients/{clinic.patient_id}"):
            assert browser.get(path).status_code == 200
    with signed_in(web, clinic.patient) as browser:
        assert browser.get("/today").status_code == 200
