"""The lock under which everything that happens to one patient happens."""

from collections.abc import Iterable
from uuid import UUID

from sqlmodel import Session, col, select

from backend.people.tables import Patient


def hold(session: Session, patient_ids: Iterable[UUID]) -> set[UUID]:
    """Lock these patients until the transaction ends; return those not erased.

    Call it before changing doses, stock, alerts, messages or state, once, with all
    patients of the batch: the rows are locked in order of id, so two batches cannot
    block each other. Patients missing from the answer must get no new rows: they were
    erased, perhaps while this waited.
    """
    wanted = sorted(set(patient_ids))
    if not wanted:
        return set()
    # A key share (a foreign key's check) stays possible: NO KEY UPDATE.
    locked = (
        select(Patient.patient_id)
        .where(col(Patient.patient_id).in_(wanted), col(Patient.erased_at).is_(None))
        .order_by(col(Patient.patient_id))
        .with_for_update(key_share=True)
    )
    return set(session.exec(locked))
