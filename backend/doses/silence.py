"""What a device's silence means for a dose that nothing was recorded of.

*Late* when the device was heard after due + delay and reported nothing, *missed* only
when it was heard after the window closed, otherwise *unknown*.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.matching import verdict
from analytics.records import Period, Scheduled
from backend.database.sets import fetch

LATE_AFTER = timedelta(minutes=30)
# How long a device that is in reach may take to report: before that has passed its
# silence is nothing to speak of.
PATIENCE = timedelta(minutes=15)
DAY_STARTS = time(3)

Whose = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Ear:
    """A device that served a regimen in a span, and how far it was heard."""

    span: Period
    heard_until: datetime | None


@dataclass(frozen=True, slots=True)
class Silence:
    """The devices of one regimen and the spans in which they say nothing."""

    ears: tuple[Ear, ...] = ()
    unmonitored: tuple[tuple[date, date], ...] = ()

    def label(self, dose: RowMapping, *, now: datetime) -> str:
        """Return pending, late, missed or unknown for a dose without an event."""
        said = str(
            verdict(
                _scheduled(dose),
                heard_until=self.heard_until(dose),
                delay=delay_of(dose["remind_after_s"]),
                now=now,
                non_monitored=self._periods(dose),
                patience=PATIENCE,
            )
        )
        # A window that closed a moment ago: the device may be about to report.
        closed = dose["window_until"]
        waiting = closed <= now < closed + PATIENCE
        if said == "unknown" and waiting and dose["label"] in {"pending", "late"}:
            return str(dose["label"])
        return said

    def next_check(
        self, dose: RowMapping, label: str, *, now: datetime
    ) -> datetime | None:
        """Return when the passing of time alone may next change the label."""
        if label not in {"pending", "late", "unknown"}:
            return None
        moments = [dose["window_until"] + PATIENCE]
        if dose["due_at"] is not None:
            late_at = dose["due_at"] + delay_of(dose["remind_after_s"])
            moments += [late_at, late_at + PATIENCE]
        return min((moment for moment in moments if moment > now), default=None)

    def heard_until(self, dose: RowMapping) -> datetime | None:
        """Return the instant up to which every device of the dose's window was heard.

        None when there is no such device, or one that was never heard.
        """
        until = [
            ear.heard_until
            for ear in self.ears
            if ear.span.overlaps(dose["window_from"], dose["window_until"])
        ]
        known = [at for at in until if at is not None]
        return min(known) if known and len(known) == len(until) else None

    def facts(self, dose: RowMapping) -> dict[str, object]:
        """Return what decided, as it is recorded."""
        heard = self.heard_until(dose)
        return {"heard_until": None if heard is None else heard.isoformat()}

    def _periods(self, dose: RowMapping) -> list[Period]:
        zone = ZoneInfo(dose["zone"])
        return [
            Period(_starts(first, zone), _starts(last + timedelta(days=1), zone))
            for first, last in self.unmonitored
        ]


def silences(session: Session, whose: Collection[Whose]) -> Mapping[Whose, Silence]:
    """Return the silence of each (patient, regimen) asked for."""
    items = [{"patient_id": p, "regimen_id": r} for p, r in whose]
    ears: defaultdict[Whose, list[Ear]] = defaultdict(list)
    for row in fetch(
        session,
        """SELECT a.patient_id, a.regimen_id, a.since, a.until, c.heard_until
        FROM rows(patient_id uuid, regimen_id uuid)
        JOIN assignment a USING (patient_id, regimen_id)
        LEFT JOIN device_contact c ON c.device_id = a.device_id""",
        items,
    ):
        ear = Ear(Period(row["since"], row["until"]), row["heard_until"])
        ears[row["patient_id"], row["regimen_id"]].append(ear)
    spans: defaultdict[Whose, list[tuple[date, date]]] = defaultdict(list)
    for row in fetch(
        session,
        """SELECT r.patient_id, r.regimen_id, n.first_day, n.last_day
        FROM rows(patient_id uuid, regimen_id uuid)
        JOIN non_monitored_span n ON n.patient_id = r.patient_id
            AND n.voided_at IS NULL
        WHERE n.device_id IS NULL OR EXISTS (SELECT FROM assignment a
            WHERE a.patient_id = r.patient_id AND a.regimen_id = r.regimen_id
              AND a.device_id = n.device_id)""",
        items,
    ):
        key = row["patient_id"], row["regimen_id"]
        spans[key].append((row["first_day"], row["last_day"]))
    return {key: Silence(tuple(ears[key]), tuple(spans[key])) for key in whose}


def delay_of(remind_after_s: int | None) -> timedelta:
    """Return how long after its due instant a dose of this regimen is late."""
    return LATE_AFTER if remind_after_s is None else timedelta(seconds=remind_after_s)


def _scheduled(dose: RowMapping) -> Scheduled[str]:
    return Scheduled(
        dose["occurrence"], dose["due_at"], dose["window_from"], dose["window_until"]
    )


def _starts(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, DAY_STARTS, zone).astimezone(UTC)
