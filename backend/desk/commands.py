"""What an operator types about a patient: `python -m backend erase`."""

from datetime import datetime

from backend.audit.record import SYSTEM
from backend.database import transaction
from backend.desk.leave import erase_person
from backend.errors import Refused
from backend.people.commands import id_of


class NotConfirmed(Refused):
    """What cannot be undone wants --yes."""


def erase_patient(patient_id: str, *, sure: bool, now: datetime) -> list[str]:
    """Erase a patient and return a line a table; raises NotConfirmed unless `sure`."""
    if not sure:
        raise NotConfirmed("This cannot be undone: add --yes.")
    with transaction() as session:
        erased = erase_person(session, id_of(patient_id), actor=SYSTEM, now=now)
    return [f"{count:8} {table}" for table, count in sorted(erased.rows.items())]
