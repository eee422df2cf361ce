"""What an operator types: `python -m backend bridge-code | bridge-revoke | audit`."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from backend.audit.record import SYSTEM
from backend.audit.seal import NO_CLINIC, verify
from backend.audit.tables import AuditSeal
from backend.database import transaction
from backend.errors import Refused
from backend.people.bridges import new_code, revoke
from backend.people.register import find_clinic
from backend.people.tables import Clinic


class NotAnId(Refused):
    """The text is no id."""


def pairing_code(clinic: str, *, kind: str, real: datetime) -> str:
    """Return a pairing code for a clinic, by its name or id."""
    with transaction() as session:
        found = find_clinic(session, clinic)
        return new_code(session, found.clinic_id, kind=kind, actor=SYSTEM, real=real)


def revoke_bridge(bridge_id: str, *, real: datetime) -> str:
    """Shut a bridge off and return its name."""
    with transaction() as session:
        return revoke(session, id_of(bridge_id), actor=SYSTEM, real=real).name


def verify_audit() -> list[tuple[str, int, int | None]]:
    """Return (clinic, rows sealed, first broken row or None) of every audit chain."""
    with transaction() as session:
        chains = session.exec(
            select(AuditSeal.clinic_id).order_by(col(AuditSeal.clinic_id))
        ).all()
        return [_verified(session, one) for one in chains]


def _verified(session: Session, clinic_id: UUID) -> tuple[str, int, int | None]:
    of_all = clinic_id == NO_CLINIC
    clinic = None if of_all else session.get(Clinic, clinic_id)
    found = verify(session, None if of_all else clinic_id)
    return clinic.name if clinic else str(clinic_id), found.n, found.broken


def id_of(text: str) -> UUID:
    """Return the id that is written so; raises NotAnId."""
    try:
        return UUID(text)
    except ValueError:
        raise NotAnId("An id is 32 hexadecimal digits.") from None
