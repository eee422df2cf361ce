"""The sources of a clinic by name, made when they are first heard of."""

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session

from backend.database import run
from backend.vitals.rows import text_array
from backend.vitals.tables import VitalSource

DEVICE = "device:"
KNOWN = """
SELECT name, source_id FROM vital_source
WHERE clinic_id = %s AND name = ANY(%s::text[])
"""


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
    asked = (clinic_id, text_array(names))
    found = run(session, KNOWN, asked)
    return {row[0]: row[1] for row in found}


def _row(clinic_id: UUID, name: str) -> dict[str, object]:
    of_device = name.startswith(DEVICE)
    device_id = UUID(name.removeprefix(DEVICE)) if of_device else None
    return {"clinic_id": clinic_id, "name": name, "device_id": device_id}
