"""What a device's silence means for a dose that nothing was recorded of.

*Late* when the device was heard after due + delay and reported nothing, *missed* only
when it was heard after the window closed, otherwise *unknown*. Unknown also where the
patient had no device for a part of the window, or the device's memory has a hole there.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.matching import verdict
from analytics.records import Period, Scheduled
from backend.database.sets import fetch
from backend.devices.holes import holes

LATE_AFTER = timedelta(minutes=30)
# How long a device that is in reach may take to report: before that has passed its
# silence is nothing to speak of.
PATIENCE = timedelta(minutes=15)
DAY_STARTS = time(3)
FOREVER = datetime.max.replace(tzinfo=UTC)

Whose = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Ear:
    """A device that served a regimen in a span, and how far it was heard.

    `holes` are spans of which nobody knows what it recorded.
    """

    span: Period
    heard_until: datetime | None
    holes: tuple[Period, ...] = ()

    def told_until(self) -> datetime | None:
        """Up to when it told all; for ever once it was heard after it was handed on."""
        until = self.span.until
        over = until is not None and self.heard_until and self.heard_until >= until
        return FOREVER if over else self.heard_until


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
        """Return up to when the silence about this dose means something.

        None when a device of its window was never heard, or when the window began
        without one: what was taken then, nobody could see.
        """
        start, until = dose["window_from"], dose["window_until"]
        ears = [ear for ear in self.ears if ear.span.overlaps(start, until)]
        told = [ear.told_until() for ear in ears]
        known = [at for at in told if at is not None]
        seen = _covered(start, [ear.span for ear in ears])
        if seen == start or len(known) < len(told):
            return None
        return min(until, seen, *known)

    def torn(self, dose: RowMapping) -> bool:
        """Return whether a dose may be in the window of which nobody can know."""
        window = dose["window_from"], dose["window_until"]
        return any(period.overlaps(*window) for period in self._periods(dose))

    def facts(self, dose: RowMapping) -> dict[str, object]:
        """Return what decided, as it is recorded."""
        heard = self.heard_until(dose)
        return {"heard_until": None if heard is None else heard.isoformat()}

    def _periods(self, dose: RowMapping) -> list[Period]:
        zone = ZoneInfo(dose["zone"])
        idle = [
            Period(_starts(first, zone), _starts(last + timedelta(days=1), zone))
            for first, last in self.unmonitored
        ]
        window = dose["window_from"], dose["window_until"]
        ears = (ear for ear in self.ears if ear.span.overlaps(*window))
        return idle + [hole for ear in ears for hole in ear.holes]


def silences(session: Session, whose: Collection[Whose]) -> Mapping[Whose, Silence]:
    """Return the silence of each (patient, regimen) asked for."""
    items = [{"patient_id": p, "regimen_id": r} for p, r in whose]
    ears: defaultdict[Whose, list[Ear]] = defaultdict(list)
    serving = fetch(
        session,
        """SELECT a.patient_id, a.regimen_id, a.device_id, a.since, a.until,
            c.heard_until
        FROM rows(patient_id uuid, regimen_id uuid)
        JOIN assignment a USING (patient_id, regimen_id)
        LEFT JOIN device_contact c ON c.device_id = a.device_id""",
        items,
    )
    torn: defaultdict[UUID, list[Period]] = defaultdict(list)
    for hole in holes(session, {row["device_id"] for row in serving}):
        torn[hole.device_id].append(Period(hole.start, hole.until))
    for row in serving:
        span = Period(row["since"], row["until"])
        ear = Ear(span, row["heard_until"], tuple(torn[row["device_id"]]))
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


def _covered(start: datetime, spans: Sequence[Period]) -> datetime:
    """Return up to when these spans cover all time from `start` on, else `start`."""
    reach = start
    for span in sorted(spans, key=lambda span: span.start):
        if span.start > reach:
            break
        reach = max(reach, span.until or FOREVER)
    return reach


def _starts(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, DAY_STARTS, zone).astimezone(UTC)
