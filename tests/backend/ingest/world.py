"""A patient with a box and doses at eight, and the items a bridge would send."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from typing import Any
from uuid import UUID, uuid4

from sqlmodel import Session

from backend.database.sets import fetch
from backend.ingest.accept import accept_doses
from backend.ingest.accept_events import accept_events
from backend.ingest.items import DoseItem, EventItem, Verdict, read
from backend.people.readers import Sender
from backend.people.tables import Clinic, Clinician, Organization, Patient
from backend.regimens.tables import Regimen, ScheduledDose
from backend.supply.tables import Product
from tests import builders

DAY = timedelta(days=1)
MONDAY = date(2026, 3, 2)
TIMING: dict[str, object] = {"kind": "clock_times", "times": ["08:00"]}


@dataclass(frozen=True, slots=True)
class World:
    clinic: Clinic
    clinician: Clinician
    manufacturer: Organization
    product: Product
    patient: Patient
    regimen: Regimen
    device_id: UUID
    sender: Sender

    @property
    def patient_id(self) -> UUID:
        return self.patient.patient_id


def a_world(session: Session) -> World:
    clinic = builders.a_clinic(session)
    clinician = builders.a_clinician(session, clinic)
    manufacturer = builders.a_manufacturer(session)
    product = builders.a_product(session, manufacturer)
    patient = builders.a_patient(session, clinic, team=(clinician,))
    builders.a_consent(session, patient, "supply", manufacturer.organization_id)
    regimen = builders.a_regimen(session, patient, timing=TIMING, product=product)
    device = builders.a_device(session, clinic)
    builders.an_assignment(session, device, patient, regimen=regimen)
    bridge = builders.a_bridge(session, clinic)
    sender = Sender(bridge.bridge_id, clinic.clinic_id, "gateway")
    return World(
        clinic,
        clinician,
        manufacturer,
        product,
        patient,
        regimen,
        device.device_id,
        sender,
    )


def another(session: Session, world: World) -> World:
    """Another patient of the same clinic and bridge, with a box and product alike."""
    patient = builders.a_patient(session, world.clinic, team=(world.clinician,))
    maker = world.manufacturer.organization_id
    builders.a_consent(session, patient, "supply", maker)
    regimen = builders.a_regimen(session, patient, timing=TIMING, product=world.product)
    device = builders.a_device(session, world.clinic)
    builders.an_assignment(session, device, patient, regimen=regimen)
    return replace(world, patient=patient, regimen=regimen, device_id=device.device_id)


def eight(day: date = MONDAY) -> datetime:
    return datetime(day.year, day.month, day.day, 8, tzinfo=UTC)


def doses_at_eight(
    session: Session, world: World, *, first: date = MONDAY, days: int = 1
) -> None:
    """Expect a dose at 08:00 UTC on each of these days, window four hours about it."""
    for day in (first + n * DAY for n in range(days)):
        at = eight(day)
        session.add(
            ScheduledDose(
                patient_id=world.patient_id,
                regimen_id=world.regimen.regimen_id,
                occurrence=f"{day}T08:00",
                version=1,
                dose_day=day,
                due_at=at,
                local_time="08:00",
                zone="UTC",
                tzdb="2026a",
                window_from=at - timedelta(hours=4),
                window_until=at + timedelta(hours=4),
                amount=Decimal(1),
                unit="1",
                check_at=at + timedelta(minutes=30),
            )
        )
    session.flush()


def opening(
    world: World, sequence: int, at: datetime | None, **changes: object
) -> dict[str, Any]:
    """A box opening as the bridge sends it."""
    item: dict[str, Any] = {
        "device_id": str(world.device_id),
        "epoch": 1,
        "sequence": sequence,
        "payload_hash": sha256(f"{sequence}/{at}".encode()).hexdigest(),
        "occurred_at": at and at.isoformat(),
        "evidence": "container_opened",
        "claimed_live": True,
    }
    return item | changes


def heard(world: World, sequence: int, at: datetime) -> dict[str, Any]:
    return {
        "device_id": str(world.device_id),
        "kind": "heard",
        "heard_until": {"epoch": 1, "sequence": sequence, "at": at.isoformat()},
    }


def send(
    session: Session,
    world: World,
    items: Sequence[Any],
    *,
    now: datetime,
    by: Sender | None = None,
) -> list[Verdict]:
    reads = read(items, DoseItem)
    return accept_doses(session, reads, by=by or world.sender, now=now, real=now)


def tell(
    session: Session, world: World, items: Sequence[Any], *, now: datetime
) -> list[Verdict]:
    reads = read(items, EventItem)
    return accept_events(session, reads, by=world.sender, now=now, real=now)


def labels(session: Session, world: World) -> dict[str, str]:
    rows = fetch(
        session,
        "SELECT occurrence, label FROM scheduled_dose WHERE patient_id = :id",
        id=world.patient_id,
    )
    return {row["occurrence"]: row["label"] for row in rows}


def count(session: Session, table: str) -> int:
    return int(fetch(session, f"SELECT count(*) AS n FROM {table}")[0]["n"])


def an_id() -> str:
    return str(uuid4())
