"""Rows of a patient who takes something, as tests of regimens want them."""

from datetime import datetime, time, timedelta

from sqlmodel import Session, col, select

from backend.people.tables import Patient
from backend.regimens.tables import Regimen, ScheduledDose
from backend.regimens.timing import ClockTimes, Timing
from backend.regimens.timing_json import to_json
from tests.builders import NOW, a_clinic, a_patient, a_regimen

TWICE = ClockTimes((time(8), time(20)))
DAY = timedelta(days=1)


def doses(session: Session) -> list[ScheduledDose]:
    session.flush()
    session.expire_all()
    rows = select(ScheduledDose).order_by(
        col(ScheduledDose.due_at), col(ScheduledDose.occurrence)
    )
    return list(session.exec(rows))


def keys(session: Session) -> list[str]:
    return [row.occurrence[5:] for row in doses(session)]


def somebody(
    session: Session, timing: Timing = TWICE, *, since: datetime = NOW - 30 * DAY
) -> tuple[Patient, Regimen]:
    patient = a_patient(session, a_clinic(session))
    stored = to_json(timing)
    return patient, a_regimen(session, patient, timing=stored, effective_from=since)
