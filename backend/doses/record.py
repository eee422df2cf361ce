"""Dose events as they are stored: inserted once, never edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import fetch


@dataclass(frozen=True, slots=True)
class NewDose:
    """A dose event of one patient, before it has been matched.

    `said` is the label the device or a person gave it (prime, no_measurement), if any.
    """

    patient_id: UUID
    dose_event_id: UUID
    regimen_id: UUID | None
    evidence: str
    occurred_at: datetime
    uncertainty_s: float = 0.0
    amount: Decimal | None = None
    unit: str | None = None
    live: bool = False
    said: str | None = None
    device_id: UUID | None = None
    compartment: int | None = None
    epoch: int | None = None
    sequence: int | None = None


def record(session: Session, doses: Sequence[NewDose], *, now: datetime) -> set[UUID]:
    """Insert what is new and return the ids of those rows; known events are skipped."""
    if not doses:
        return set()
    rows = fetch(
        session,
        """INSERT INTO dose_event (patient_id, dose_event_id, regimen_id, device_id,
            compartment, epoch, sequence, evidence, said, label, occurred_at,
            uncertainty_s, amount, unit, live, recorded_at)
        SELECT patient_id, dose_event_id, regimen_id, device_id, compartment, epoch,
            sequence, evidence, said, COALESCE(said, 'unmatched'), occurred_at,
            uncertainty_s, amount, unit, live, :now
        FROM rows(patient_id uuid, dose_event_id uuid, regimen_id uuid, device_id uuid,
                  compartment int, epoch int, sequence bigint, evidence text, said text,
                  occurred_at timestamptz, uncertainty_s float8, amount numeric,
                  unit text, live bool)
        ON CONFLICT DO NOTHING
        RETURNING dose_event_id""",
        [
            {
                "patient_id": d.patient_id,
                "dose_event_id": d.dose_event_id,
                "regimen_id": d.regimen_id,
                "device_id": d.device_id,
                "compartment": d.compartment,
                "epoch": d.epoch,
                "sequence": d.sequence,
                "evidence": d.evidence,
                "said": d.said,
                "occurred_at": d.occurred_at,
                "uncertainty_s": d.uncertainty_s,
                "amount": d.amount,
                "unit": d.unit,
                "live": d.live,
            }
            for d in doses
        ],
        now=now,
    )
    return {row["dose_event_id"] for row in rows}
