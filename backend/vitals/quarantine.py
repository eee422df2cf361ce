"""Keeping what was sent, authorised and cannot be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute


@dataclass(frozen=True, slots=True)
class Held:
    """Something unusable: why, its JSON as it was sent, and whose it may be."""

    reason: str
    item: str
    patient_id: UUID | None = None
    device_id: UUID | None = None


def keep(
    session: Session,
    held: Sequence[Held],
    *,
    clinic_id: UUID,
    bridge_id: UUID | None,
    recorded_at: datetime,
) -> int:
    """Write down what was not there yet and return how many that were."""
    if not held:
        return 0
    return execute(
        session,
        """INSERT INTO vital_quarantine (clinic_id, digest, patient_id, device_id,
            bridge_id, reason, item, recorded_at)
        SELECT :clinic, decode(digest, 'hex'), patient_id, device_id, :bridge, reason,
            item, :at
        FROM rows(digest text, patient_id uuid, device_id uuid, reason text, item text)
        ON CONFLICT DO NOTHING""",
        [
            {
                "digest": sha256(f"{one.reason} {one.item}".encode()).hexdigest(),
                "patient_id": one.patient_id,
                "device_id": one.device_id,
                "reason": one.reason,
                "item": one.item,
            }
            for one in held
        ],
        clinic=clinic_id,
        bridge=bridge_id,
        at=recorded_at,
    )
