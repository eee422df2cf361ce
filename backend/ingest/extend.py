"""Write the doses ahead, and what belongs to them: reminders, and the state row."""

from collections.abc import Collection, Iterable
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.next_dose import answered
from backend.database import transaction
from backend.regimens.chain import number_of
from backend.regimens.schedule import Made, materialise, to_extend
from backend.reminders.plan import cancel_for, plan
from backend.state.refresh import refresh

AT_ONCE = 200  # patients a transaction


def extend(now: datetime) -> int:
    """Give every patient the doses of the coming days; return how many were new."""
    written = 0
    after: UUID | None = None
    while True:
        with transaction() as session:
            ids = to_extend(session, now=now, after=after, most=AT_ONCE)
            if not ids:
                return written
            written += len(schedule(session, ids, now=now).new)
            after = ids[-1]


def schedule(session: Session, patient_ids: Iterable[UUID], *, now: datetime) -> Made:
    """Bring these patients' doses ahead up to date, and their reminders with them.

    For a job, and for whoever just changed a regimen or a zone.
    """
    ids = set(patient_ids)
    made = materialise(session, ids, now=now)
    announce(session, ids, made, now=now)
    return made


def announce(
    session: Session, patient_ids: Collection[UUID], made: Made, *, now: datetime
) -> None:
    """Do what follows from doses that were made, moved or taken away.

    Their reminders come, move and go with them, who was asked what comes next has the
    answer, and the state rows are brought up to date.
    """
    moved = [(d.patient_id, d.regimen_id, d.occurrence) for d in made.changed]
    cancel_for(session, [*made.removed, *moved], because="rescheduled", now=now)
    plan(session, [*made.new, *made.changed], now=now)
    known = {
        (dose.patient_id, dose.regimen_id)
        for dose in made.new
        if number_of(dose.occurrence) is not None and dose.window_until > now
    }
    answered(session, known, now=now)
    refresh(session, patient_ids, now=now)
