"""Which patient a compartment of a device serves, and when."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from backend.database.sets import fetch
from backend.devices.tables import Assignment, Device
from backend.errors import Conflict, NotFound, Unprocessable
from backend.people.hold import hold


class Retired(Conflict):
    """The device is out of service in a part of that time."""


class OtherClinic(Conflict):
    """The device is another clinic's than the patient."""


class AlreadyAssigned(Conflict):
    """The compartment serves somebody else in a part of that time."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a record belongs to: the patient and, where one is set, the regimen."""

    patient_id: UUID
    regimen_id: UUID | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where and when something was recorded."""

    device_id: UUID
    compartment: int
    at: datetime


def assign(
    session: Session,
    device_id: UUID,
    patient_id: UUID,
    *,
    regimen_id: UUID | None = None,
    compartment: int = 0,
    since: datetime,
    until: datetime | None = None,
) -> Assignment:
    """Return the new assignment of a compartment to a patient, from since to until.

    Raises NotFound for an unknown device, an erased patient or a regimen that is not
    the patient's, Unprocessable for an empty span, OtherClinic for a device of another
    clinic, Retired for one that is out of service then and AlreadyAssigned when the
    spans overlap.
    """
    if until is not None and until <= since:
        raise Unprocessable("An assignment ends after it begins.")
    if not lock(session, [device_id]):
        raise NotFound("There is no such device.", device_id=str(device_id))
    if not hold(session, [patient_id]):
        raise NotFound("There is no such patient.", patient_id=str(patient_id))
    _check_device(session, device_id, patient_id, until)
    if regimen_id is not None:
        _check_regimen(session, patient_id, regimen_id)
    others = session.exec(
        select(Assignment)
        .where(Assignment.device_id == device_id)
        .where(Assignment.compartment == compartment)
    )
    for other in others:
        if _overlap(other, since, until):
            raise AlreadyAssigned(
                f"Compartment {compartment} is assigned since {other.since:%Y-%m-%d}. "
                "End that assignment first.",
                assignment_id=str(other.assignment_id),
            )
    made = Assignment(
        patient_id=patient_id,
        device_id=device_id,
        compartment=compartment,
        regimen_id=regimen_id,
        since=since,
        until=until,
    )
    session.add(made)
    session.flush()
    return made


def end(session: Session, device_id: UUID, compartment: int, *, at: datetime) -> None:
    """End the running assignment of a compartment. Raises NotFound if none runs."""
    lock(session, [device_id])
    running = session.exec(
        select(Assignment)
        .where(Assignment.device_id == device_id)
        .where(Assignment.compartment == compartment)
        .where(col(Assignment.until).is_(None))
    ).first()
    if running is None:
        raise NotFound(
            "No assignment of that compartment runs.", compartment=compartment
        )
    running.until = max(at, running.since)
    session.flush()


def lock(
    session: Session, device_ids: Iterable[UUID], *, clinic_id: UUID | None = None
) -> set[UUID]:
    """Hold these devices until commit and return those that exist (at that clinic).

    In order of id, and always before any patient, so that nobody blocks each other.
    Also those out of service: a box must always be emptiable.
    """
    rows = fetch(
        session,
        "SELECT device_id FROM device WHERE device_id = ANY(:ids) "
        "AND (CAST(:clinic AS uuid) IS NULL OR clinic_id = :clinic) "
        "ORDER BY device_id FOR NO KEY UPDATE",
        ids=sorted(set(device_ids)),
        clinic=clinic_id,
    )
    return {row["device_id"] for row in rows}


def resolve(session: Session, places: Sequence[Place]) -> list[Bearer | None]:
    """Return for each place whom it belongs to, None outside any assignment."""
    found = fetch(
        session,
        """SELECT r.i, a.patient_id, a.regimen_id
        FROM rows(i int, device_id uuid, compartment int, at timestamptz)
        JOIN assignment a USING (device_id, compartment)
        WHERE a.since <= r.at AND (a.until IS NULL OR r.at < a.until)""",
        [
            {"i": i, "device_id": p.device_id, "compartment": p.compartment, "at": p.at}
            for i, p in enumerate(places)
        ],
    )
    bearers: list[Bearer | None] = [None] * len(places)
    for row in found:
        bearers[row["i"]] = Bearer(row["patient_id"], row["regimen_id"])
    return bearers


def bearers(session: Session, device_ids: Collection[UUID]) -> set[UUID]:
    """Return the patients whom these devices serve or ever served."""
    if not device_ids:
        return set()
    rows = fetch(
        session,
        "SELECT DISTINCT patient_id FROM assignment WHERE device_id = ANY(:ids)",
        ids=list(device_ids),
    )
    return {row["patient_id"] for row in rows}


def bearers_since(
    session: Session, device_ids: Iterable[UUID], *, since: datetime
) -> set[UUID]:
    """Return the patients whom these devices served at any time from `since` on."""
    rows = fetch(
        session,
        "SELECT DISTINCT patient_id FROM assignment WHERE device_id = ANY(:ids) "
        "AND (until IS NULL OR until > :since)",
        ids=list(set(device_ids)),
        since=since,
    )
    return {row["patient_id"] for row in rows}


def register(
    session: Session,
    *,
    clinic_id: UUID,
    kind: str,
    maker: str,
    model: str,
    serial: str,
    now: datetime,
) -> Device:
    """Return the new device.

    Raises Conflict when that maker's serial is registered already.
    """
    device = Device(
        clinic_id=clinic_id,
        kind=kind,
        maker=maker,
        model=model,
        serial=serial,
        registered_at=now,
    )
    known = session.exec(
        select(Device).where(Device.maker == maker).where(Device.serial == serial)
    ).first()
    if known is not None:
        raise Conflict(f"{maker} {serial} is registered already.")
    session.add(device)
    session.flush()
    return device


def _overlap(other: Assignment, since: datetime, until: datetime | None) -> bool:
    starts_before_end = until is None or other.since < until
    return starts_before_end and (other.until is None or since < other.until)


def _check_device(
    session: Session, device_id: UUID, patient_id: UUID, until: datetime | None
) -> None:
    found = fetch(
        session,
        """SELECT d.retired_at, d.clinic_id = p.clinic_id AS own
        FROM device d, patient p
        WHERE d.device_id = :device AND p.patient_id = :patient""",
        device=device_id,
        patient=patient_id,
    )[0]
    if not found["own"]:
        raise OtherClinic("The device is not of the patient's clinic.")
    retired = found["retired_at"]
    if retired is not None and (until is None or until > retired):
        raise Retired(f"The device is out of service since {retired:%Y-%m-%d}.")


def _check_regimen(session: Session, patient_id: UUID, regimen_id: UUID) -> None:
    known = fetch(
        session,
        "SELECT FROM regimen WHERE patient_id = :patient AND regimen_id = :regimen",
        patient=patient_id,
        regimen=regimen_id,
    )
    if not known:
        raise NotFound("The patient has no such regimen.", regimen_id=str(regimen_id))
