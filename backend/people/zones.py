"""Which time zone a patient lives by, and since when."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from uuid import UUID
from zoneinfo import available_timezones

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import Session, col, select

from backend.audit.record import Actor, record
from backend.errors import NotFound, Unprocessable
from backend.people.hold import hold
from backend.people.tables import PatientZone


class UnknownZone(Unprocessable):
    """No IANA time zone has this name."""


@dataclass(frozen=True, slots=True)
class ZoneSpan:
    """The zone in force from `effective_from` until the next span begins."""

    effective_from: datetime
    zone: str


def zone_history(
    session: Session, patient_ids: Iterable[UUID]
) -> dict[UUID, list[ZoneSpan]]:
    """Return every patient's zones, oldest first; one statement for all of them."""
    wanted = sorted(set(patient_ids))
    rows = session.exec(
        select(PatientZone)
        .where(col(PatientZone.patient_id).in_(wanted))
        .order_by(col(PatientZone.patient_id), col(PatientZone.effective_from))
    )
    spans: dict[UUID, list[ZoneSpan]] = {patient_id: [] for patient_id in wanted}
    for row in rows:
        spans[row.patient_id].append(ZoneSpan(row.effective_from, row.zone))
    return spans


def zone_at(spans: Sequence[ZoneSpan], at: datetime) -> str:
    """Return the zone in force at an instant; the first one also before it began.

    Imported doses may be older than the registration, and some zone must hold then.
    """
    if not spans:
        raise NotFound("No zone is known for this patient.")
    later = bisect_right(spans, at, key=lambda span: span.effective_from)
    return spans[max(later - 1, 0)].zone


def move(
    session: Session,
    patient_id: UUID,
    zone: str,
    *,
    effective_from: datetime,
    actor: Actor,
    now: datetime,
) -> None:
    """Let the patient live by another zone from an instant on.

    Who calls this materialises the scheduled doses after `effective_from` anew. A
    second move at the same instant replaces the first. Raises UnknownZone, NotFound.
    """
    checked(zone)
    if not hold(session, [patient_id]):
        raise NotFound("No such patient.")
    statement = insert(PatientZone).values(
        patient_id=patient_id,
        effective_from=effective_from,
        zone=zone,
        recorded_at=now,
    )
    session.connection().execute(
        statement.on_conflict_do_update(
            index_elements=["patient_id", "effective_from"],
            set_={"zone": zone, "recorded_at": now},
        )
    )
    record(
        session,
        actor,
        "patient_moved_zone",
        patients=[patient_id],
        detail={"effective_from": effective_from},
    )


def checked(zone: str) -> str:
    """Return the zone's name; raises UnknownZone when no zone is spelled so."""
    if zone not in _zones():
        raise UnknownZone(f"No time zone is called so: want a name like {EXAMPLE}.")
    return zone


EXAMPLE = "Europe/Paris"


@cache
def _zones() -> frozenset[str]:
    return frozenset(available_timezones())
