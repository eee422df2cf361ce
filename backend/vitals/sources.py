"""The sources of a clinic by name, made when they are first heard of."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.vitals.tables import VitalSource

DEVICE = "device:"


def device_source(device_id: UUID) -> str:
    """Return the name under which a device's samples are stored."""
    return f"{DEVICE}{device_id}"


def source_ids(
    session: Session, clinic_id: UUID, names: Iterable[str]
) -> dict[str, int]:
    """Return the id of each source of a clinic; unknown names are written down.

    A name that `device_source` made carries its device.
    """
    wanted = set(names)
    found = _known(session, clinic_id, wanted)
    missing = sorted(wanted - found.keys())
    if missing:
        session.connection().execute(
            insert(VitalSource)
            .values([_row(clinic_id, name) for name in missing])
            .on_conflict_do_nothing()
        )
        found |= _known(session, clinic_id, set(missing))
    return found


def _known(session: Session, clinic_id: UUID, names: set[str]) -> dict[str, int]:
    if not names:
        return {}
    statement = select(VitalSource.name, VitalSource.source_id).where(
        col(VitalSource.clinic_id) == clinic_id, col(VitalSource.name).in_(names)
    )
    return {name: number for name, number in session.exec(statement) if number}


def _row(clinic_id: UUID, name: str) -> dict[str, object]:
    of_device = name.startswith(DEVICE)
    device_id = UUID(name.removeprefix(DEVICE)) if of_device else None
    return {"clinic_id": clinic_id, "name": name, "device_id": device_id}
