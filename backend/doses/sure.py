"""How sure the labels of dose events are, reckoned when somebody asks.

A confidence rests on all that competes with an event, so an event that arrives later
may move it; it is kept nowhere.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import RowMapping, select
from sqlmodel import Session, col

from analytics.confidence import confidences
from analytics.labels import EventLabel
from analytics.matching import Matching
from analytics.records import Dose, Evidence, Scheduled
from backend.doses.chains import competing
from backend.doses.tables import DoseEvent, EventOverride
from backend.people.readers import Reader, may_see
from backend.regimens.tables import ScheduledDose

NEAR = timedelta(days=2)


def sure(
    session: Session,
    reader: Reader,
    patient_id: UUID,
    asked: Sequence[RowMapping],
    *,
    now: datetime,
) -> Mapping[UUID, float]:
    """Return the confidence in the label of each of a patient's events, from 0 to 1.

    Rows have `dose_event_id`, `regimen_id`, `occurred_at` and `voided_at`. An event
    that was matched to no regimen, or is void, has none.
    """
    counted = [row for row in asked if row["regimen_id"] and row["voided_at"] is None]
    found: dict[UUID, float] = {}
    for regimen_id in {row["regimen_id"] for row in counted}:
        times = {
            row["dose_event_id"]: row["occurred_at"]
            for row in counted
            if row["regimen_id"] == regimen_id
        }
        read = _Reads(session, reader, patient_id, regimen_id, now)
        found |= _confidences(read, times)
    return found


class _Reads:
    """Reads what a regimen expects and what was recorded, for whoever may see it."""

    def __init__(
        self,
        session: Session,
        reader: Reader,
        patient_id: UUID,
        regimen_id: UUID,
        now: datetime,
    ) -> None:
        self._session = session
        self._reader = reader
        self._whose = patient_id, regimen_id
        self._now = now

    def doses(self, start: datetime, until: datetime) -> Sequence[RowMapping]:
        """Return the doses whose windows reach into the span."""
        patient_id, regimen_id = self._whose
        dose = ScheduledDose
        statement = select(
            col(dose.occurrence),
            col(dose.due_at),
            col(dose.window_from),
            col(dose.window_until),
        ).where(
            col(dose.patient_id) == patient_id,
            col(dose.regimen_id) == regimen_id,
            col(dose.window_until) > start,
            col(dose.window_from) < until,
            may_see(self._reader, col(dose.patient_id), now=self._now),
        )
        return self._session.connection().execute(statement).mappings().all()

    def events(self, start: datetime, until: datetime) -> Sequence[RowMapping]:
        """Return the events of the span that count, each with what holds of it."""
        patient_id, regimen_id = self._whose
        event, word = DoseEvent, EventOverride
        ruled = (
            select(col(word.label))
            .where(
                col(word.patient_id) == event.patient_id,
                col(word.dose_event_id) == event.dose_event_id,
            )
            .order_by(col(word.recorded_at).desc(), col(word.override_id).desc())
            .limit(1)
            .scalar_subquery()
            .label("ruled")
        )
        statement = select(
            col(event.dose_event_id),
            col(event.occurred_at),
            col(event.evidence),
            col(event.amount),
            col(event.unit),
            col(event.compartment),
            col(event.said),
            col(event.label),
            ruled,
        ).where(
            col(event.patient_id) == patient_id,
            col(event.regimen_id) == regimen_id,
            col(event.voided_at).is_(None),
            col(event.occurred_at) >= start,
            col(event.occurred_at) < until,
            may_see(self._reader, col(event.patient_id), now=self._now),
        )
        return self._session.connection().execute(statement).mappings().all()


def _confidences(read: _Reads, times: Mapping[UUID, datetime]) -> Mapping[UUID, float]:
    """Return the confidence in each of these events, by all that competes with them."""
    first, last, near = min(times.values()), max(times.values()), NEAR
    while True:
        start, until = first - near, last + near
        doses, events = read.doses(start, until), read.events(start, until)
        rivals = [row for some, _ in competing(doses, events, times) for row in some]
        if all(
            start <= row["window_from"] and row["window_until"] <= until
            for row in rivals
        ):
            break
        near *= 4
    labels = {row["dose_event_id"]: EventLabel(row["label"]) for row in events}
    stored: Matching[UUID, str] = Matching((), labels, {})
    everything = confidences(
        [_dose(row) for row in events], [_scheduled(row) for row in doses], stored
    )
    return {event: everything[event] for event in times if event in everything}


def _dose(row: RowMapping) -> Dose[UUID]:
    return Dose(
        row["dose_event_id"],
        row["occurred_at"],
        Evidence(row["evidence"]),
        row["amount"],
        row["unit"],
        row["compartment"],
        row["ruled"] or row["said"],
    )


def _scheduled(row: RowMapping) -> Scheduled[str]:
    return Scheduled(
        row["occurrence"], row["due_at"], row["window_from"], row["window_until"]
    )
