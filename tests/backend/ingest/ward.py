"""A clinic with a patient who wears a device, and those who send for them."""

from datetime import timedelta

from sqlmodel import Session

from backend.people.readers import Sender
from backend.people.tables import Clinic, Patient
from tests.builders import NOW, a_bridge, a_clinic, a_device, a_patient, an_assignment

HEART = "8867-4"


class Ward:
    """A clinic with a patient who wears a device, a gateway and a cloud."""

    def __init__(self, session: Session) -> None:
        self.clinic: Clinic = a_clinic(session)
        self.rosa: Patient = a_patient(session, self.clinic)
        self.watch = a_device(session, self.clinic, kind="wearable")
        self.worn = an_assignment(session, self.watch, self.rosa)
        self.gateway = self.sender(session, "gateway")
        self.cloud = self.sender(session, "cloud")

    def sender(self, session: Session, kind: str) -> Sender:
        bridge = a_bridge(session, self.clinic, kind=kind, name=kind)
        return Sender(bridge.bridge_id, bridge.clinic_id, kind)

    def segment(self, **other: object) -> dict[str, object]:
        return {
            "id": "w:1:7",
            "device_id": str(self.watch.device_id),
            "code": HEART,
            "unit": "/min",
            "start": (NOW - timedelta(minutes=2)).isoformat(),
            "step": 1,
            "values": [60, 61, 62],
            "claimed_live": True,
        } | other

    def sample(self, **other: object) -> dict[str, object]:
        return {
            "patient_id": str(self.rosa.patient_id),
            "source": "acme",
            "code": "59408-5",
            "unit": "%",
            "at": (NOW - timedelta(days=1)).isoformat(),
            "value": 97.5,
        } | other
