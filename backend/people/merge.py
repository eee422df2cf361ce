"""Two files of one person: merged by their identifiers, and parted again.

A patient's id never changes and no row moves: the identifiers of the one name the
other from then on, so that what arrives afterwards lands in one file.
"""

from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, update
from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.errors import Conflict, NotFound
from backend.people.hold import hold
from backend.people.identifiers import Identifier, identify
from backend.people.tables import (
    IdentifierLookup,
    Patient,
    PatientIdentifier,
    PatientMerge,
)


class CannotMerge(Conflict):
    """The two are no two present files of one clinic."""


class AlreadyUndone(Conflict):
    """This merge was undone before."""


def merge(
    session: Session,
    patient_id: UUID,
    merged_id: UUID,
    *,
    by: UUID,
    reason: str,
    actor: Actor,
    now: datetime,
) -> UUID:
    """Let every identifier of `merged_id` name `patient_id`; return the merge's id.

    Raises CannotMerge when either is erased, of another clinic or merged away already.
    """
    survivor = _pair(session, patient_id, merged_id)
    merge_id = uuid4()
    moved = _open_identifiers(session, merged_id)
    session.add(
        PatientMerge(
            patient_id=patient_id,
            merge_id=merge_id,
            merged_id=merged_id,
            by=by,
            reason=reason,
            at=now,
        )
    )
    session.flush()
    for row in moved:
        _hand_over(session, row, survivor, now)
    record(
        session,
        actor,
        "patients_merged",
        patients=[patient_id, merged_id],
        detail={"merge_id": merge_id, "identifiers": len(moved)},
    )
    return merge_id


def unmerge(
    session: Session,
    patient_id: UUID,
    merge_id: UUID,
    *,
    by: UUID,
    actor: Actor,
    now: datetime,
) -> None:
    """Give the identifiers that a merge moved back; raises NotFound, AlreadyUndone.

    Which ones those are the history tells: they end in one file at the instant at
    which they begin in the other.
    """
    done = session.get(PatientMerge, (patient_id, merge_id))
    if done is None:
        raise NotFound("No such merge.")
    hold(session, [patient_id, done.merged_id])
    session.refresh(done, with_for_update=True)
    if done.undone_at is not None:
        raise AlreadyUndone("This merge was undone before.")
    former = session.get_one(Patient, done.merged_id)
    given = set(
        session.exec(
            select(PatientIdentifier.system, PatientIdentifier.value).where(
                col(PatientIdentifier.patient_id) == former.patient_id,
                col(PatientIdentifier.until) == done.at,
            )
        )
    )
    taken = [
        row
        for row in _open_identifiers(session, patient_id)
        if row.since == done.at and (row.system, row.value) in given
    ]
    for row in taken:
        _hand_over(session, row, former, now)
    done.undone_at, done.undone_by = now, by
    record(
        session,
        actor,
        "patients_unmerged",
        patients=[patient_id, former.patient_id],
        detail={"merge_id": merge_id, "identifiers": len(taken)},
    )


def same_person(session: Session, patient_id: UUID) -> set[UUID]:
    """Return the ids of all files that standing merges say are of this person."""
    known, fresh = {patient_id}, {patient_id}
    while fresh:
        merges = session.exec(
            select(PatientMerge.patient_id, PatientMerge.merged_id).where(
                _standing(),
                col(PatientMerge.patient_id).in_(fresh)
                | col(PatientMerge.merged_id).in_(fresh),
            )
        )
        fresh = {one for pair in merges for one in pair} - known
        known |= fresh
    return known


def _pair(session: Session, patient_id: UUID, merged_id: UUID) -> Patient:
    """Lock both and return the survivor."""
    alive = hold(session, [patient_id, merged_id])
    if len(alive) != 2:
        raise CannotMerge("Two different patients, neither erased, can be merged.")
    survivor, other = (session.get_one(Patient, one) for one in (patient_id, merged_id))
    gone = session.exec(
        select(PatientMerge).where(
            _standing(), col(PatientMerge.merged_id).in_([patient_id, merged_id])
        )
    ).first()
    if survivor.clinic_id != other.clinic_id or gone is not None:
        raise CannotMerge("They are of two clinics, or one was merged away before.")
    return survivor


def _open_identifiers(session: Session, patient_id: UUID) -> list[PatientIdentifier]:
    return list(
        session.exec(
            select(PatientIdentifier).where(
                col(PatientIdentifier.patient_id) == patient_id,
                col(PatientIdentifier.until).is_(None),
            )
        )
    )


def _hand_over(
    session: Session, row: PatientIdentifier, to: Patient, now: datetime
) -> None:
    session.exec(
        update(IdentifierLookup)
        .where(
            col(IdentifierLookup.clinic_id) == to.clinic_id,
            col(IdentifierLookup.system) == row.system,
            col(IdentifierLookup.value) == row.value,
        )
        .values(patient_id=to.patient_id)
    )
    row.until = now
    session.flush()
    identify(session, to, Identifier(row.system, row.value), since=now)


def _standing() -> ColumnElement[bool]:
    return col(PatientMerge.undone_at).is_(None)
