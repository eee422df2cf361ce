"""What follows for the doses that come so long after the last taken one."""

from datetime import datetime

from sqlmodel import Session

from backend.alerts.next_dose import ask_what_next
from backend.doses.changes import Changes, Fact
from backend.ingest.extend import schedule
from backend.regimens.chain import number_of
from backend.state.refresh import TAKEN


def go_on(session: Session, changes: Changes, *, now: datetime) -> set[Fact]:
    """Plan anew what follows doses that were taken, or were not after all.

    What is open moves with its reminders; a dose that ended untaken is asked of a
    person. Returns the facts to match again: late evidence may belong to a dose that
    was not yet written.
    """
    chained = [one for one in changes.doses if number_of(one.occurrence) is not None]
    if not chained:
        return set()
    moved = {
        one.patient_id for one in chained if one.before in TAKEN or one.after in TAKEN
    }
    fresh = schedule(session, moved, now=now).new if moved else []
    over = {
        (one.patient_id, one.regimen_id)
        for one in chained
        if one.after in ("missed", "unknown")
    }
    ask_what_next(session, over, now=now)
    return {
        (dose.patient_id, dose.regimen_id, dose.dose_day)
        for dose in fresh
        if number_of(dose.occurrence) is not None and dose.window_from <= now
    }
