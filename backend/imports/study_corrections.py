"""Openings that people added or took off, and days on which a monitor says nothing.

A row of the file is the same as a stored one when monitor and day agree and so does the
number or the comment. What then differs is a correction: the stored row is declared
void and a new one written. Stored rows that the file does not name stay.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from backend.doses.tables import DoseCorrection, NonMonitoredSpan
from backend.imports.study_follow import Touched
from backend.imports.study_known import Study
from backend.imports.study_plan import Pair

Place = tuple[UUID, UUID | None, date]  # patient, device, (first) day
Stored = TypeVar("Stored", DoseCorrection, NonMonitoredSpan)


def write_added(
    session: Session, study: Study, pairs: Sequence[Pair], now: datetime
) -> int:
    """Write the added openings of these monitors; return how many rows were new."""
    said = (
        DoseCorrection(
            patient_id=pair.patient_id,
            correction_id=uuid4(),
            device_id=pair.device_id,
            dose_day=row.day,
            count=row.count,
            reason=row.reason,
            actor_id=study.id,
            source=study.system,
            recorded_at=now,
        )
        for pair in pairs
        for row in pair.added
    )
    stored = session.exec(
        select(DoseCorrection).where(
            col(DoseCorrection.patient_id).in_({pair.patient_id for pair in pairs}),
            DoseCorrection.source == study.system,
            col(DoseCorrection.voided_at).is_(None),
        )
    )
    new, wrong = _compare(
        said,
        stored,
        place=lambda row: (row.patient_id, row.device_id, row.dose_day),
        says=lambda row: (row.count, row.reason),
    )
    return _write(session, new, wrong, now)


def write_unseen(
    session: Session,
    study: Study,
    pairs: Sequence[Pair],
    touched: Touched,
    now: datetime,
) -> int:
    """Write when these monitors were not in use; return how many rows were new."""
    said = (
        NonMonitoredSpan(
            patient_id=pair.patient_id,
            span_id=uuid4(),
            device_id=pair.device_id,
            first_day=row.first,
            last_day=row.last,
            reason=row.reason,
            source=study.system,
            recorded_at=now,
        )
        for pair in pairs
        for row in {
            (row.first, row.last, row.reason): row for row in pair.unseen
        }.values()
    )
    stored = session.exec(
        select(NonMonitoredSpan).where(
            col(NonMonitoredSpan.patient_id).in_({pair.patient_id for pair in pairs}),
            NonMonitoredSpan.source == study.system,
            col(NonMonitoredSpan.voided_at).is_(None),
        )
    )
    new, wrong = _compare(
        said,
        stored,
        place=lambda row: (row.patient_id, row.device_id, row.first_day),
        says=lambda row: (row.last_day, row.reason),
    )
    regimens = {(pair.patient_id, pair.device_id): pair.regimen_id for pair in pairs}
    for row in (*new, *wrong):
        if row.device_id is not None:
            regimen_id = regimens[row.patient_id, row.device_id]
            touched.see((row.patient_id, regimen_id), row.first_day, row.last_day)
    return _write(session, new, wrong, now)


def _compare(
    said: Iterable[Stored],
    stored: Iterable[Stored],
    *,
    place: Callable[[Stored], Place],
    says: Callable[[Stored], tuple[object, str]],
) -> tuple[list[Stored], list[Stored]]:
    """Return the rows to write and the stored ones that they correct."""
    there: defaultdict[Place, list[Stored]] = defaultdict(list)
    for row in stored:
        there[place(row)].append(row)
    other: list[Stored] = []
    for row in said:
        same = _taken(there[place(row)], lambda one, row=row: says(one) == says(row))
        if same is None:
            other.append(row)
    wrong = [
        _taken(
            there[place(row)],
            lambda one, row=row: any(
                a == b for a, b in zip(says(one), says(row), strict=True)
            ),
        )
        for row in other
    ]
    return other, [row for row in wrong if row is not None]


def _taken(rows: list[Stored], fits: Callable[[Stored], bool]) -> Stored | None:
    """Take the first row that fits off the list."""
    for at, row in enumerate(rows):
        if fits(row):
            return rows.pop(at)
    return None


def _write(
    session: Session, new: Sequence[Stored], wrong: Sequence[Stored], now: datetime
) -> int:
    for row in wrong:
        row.voided_at = now
    session.add_all(new)
    session.flush()
    return len(new)
