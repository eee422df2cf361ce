"""What detectors read about patients, fetched for many at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.findings import HEART_RATE, Contact, DoseOutcome, History, Outcome
from analytics.records import Period
from backend.alerts.nights import mark_read, medians, worth_reading
from backend.alerts.tables import Alert
from backend.database.sets import fetch

LOOK_BACK = timedelta(days=30)
# Why a record is in quarantine whose device's clock cannot be believed.
UNDATED = ("no_time", "future_time", "time_uncertain", "impossible_time")
OUTCOMES = {
    "on_time": Outcome.TAKEN,
    "early": Outcome.TAKEN,
    "taken_late": Outcome.TAKEN,
    "taken": Outcome.TAKEN,
    "missed": Outcome.MISSED,
    "unknown": Outcome.UNKNOWN,
    "pending": Outcome.PENDING,
    "late": Outcome.PENDING,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A patient's history; `heart` tells whether heart rate was looked at anew."""

    history: History
    heart: bool
    critical: frozenset[str]  # regimens of drugs whose omission is dangerous


def together(
    session: Session, patient_ids: Sequence[UUID], *, now: datetime
) -> Sequence[UUID]:
    """Return those of these patients, the first among them, to be screened in one go.

    Whose month of heart rate is to be read is screened alone, for nothing can happen to
    a patient meanwhile, and a month of seconds takes half of one.
    """
    costly = worth_reading(session, _zones(session, list(patient_ids), now), now=now)
    if costly.intersection(patient_ids[:1]):
        return patient_ids[:1]
    return [one for one in patient_ids if one not in costly]


def histories(
    session: Session, patient_ids: Collection[UUID], *, now: datetime
) -> Mapping[UUID, Seen]:
    """Return what the detectors need of each patient; they must be held.

    Heart rate comes as medians of five minutes, and only where it is worth reading:
    it is then marked as read.
    """
    ids = sorted(patient_ids)
    zones = _zones(session, ids, now)
    doses = _doses(session, ids, now)
    contacts = _contacts(session, ids, now)
    idle = _non_monitored(session, ids, zones, now)
    critical = _critical(session, ids)
    heart = {
        patient_id: medians(session, patient_id, now=now)
        for patient_id in mark_read(session, zones, now=now)
    }
    return {
        patient_id: Seen(
            History(
                {HEART_RATE: heart[patient_id]} if patient_id in heart else {},
                doses[patient_id],
                contacts[patient_id],
                idle[patient_id],
                zones[patient_id],
            ),
            patient_id in heart,
            frozenset(critical[patient_id]),
        )
        for patient_id in zones
    }


def doses_behind(
    session: Session, alerts: Collection[Alert]
) -> Mapping[UUID, list[DoseOutcome]]:
    """Return what is now known of the doses that each of these alerts is about.

    Of its `subject`, from `since` to `at`, however long ago that is.
    """
    rows = fetch(
        session,
        """SELECT r.alert_id, d.regimen_id, d.label,
            COALESCE(d.due_at, d.window_until) AS at
        FROM rows(patient_id uuid, alert_id uuid, regimen_id uuid, since timestamptz,
                  at timestamptz)
        JOIN scheduled_dose d USING (patient_id, regimen_id)
        WHERE COALESCE(d.due_at, d.window_until) BETWEEN r.since AND r.at""",
        [
            {
                "patient_id": alert.patient_id,
                "alert_id": alert.alert_id,
                "regimen_id": alert.finding["subject"],
                "since": alert.finding["since"],
                "at": alert.finding["at"],
            }
            for alert in alerts
        ],
    )
    doses: defaultdict[UUID, list[DoseOutcome]] = defaultdict(list)
    for row in rows:
        doses[row["alert_id"]].append(_outcome(row))
    return doses


def _zones(session: Session, ids: list[UUID], now: datetime) -> dict[UUID, ZoneInfo]:
    rows = fetch(
        session,
        """SELECT p.patient_id, COALESCE(z.zone, c.zone) AS zone
        FROM patient p JOIN clinic c USING (clinic_id)
        LEFT JOIN LATERAL (SELECT zone FROM patient_zone z
            WHERE z.patient_id = p.patient_id AND z.effective_from <= :now
            ORDER BY z.effective_from DESC LIMIT 1) z ON true
        WHERE p.patient_id = ANY(:ids) AND p.erased_at IS NULL""",
        ids=ids,
        now=now,
    )
    return {row["patient_id"]: ZoneInfo(row["zone"]) for row in rows}


def _doses(
    session: Session, ids: list[UUID], now: datetime
) -> Mapping[UUID, list[DoseOutcome]]:
    rows = fetch(
        session,
        """SELECT patient_id, regimen_id, COALESCE(due_at, window_until) AS at, label
        FROM scheduled_dose WHERE patient_id = ANY(:ids) AND dose_day >= :first""",
        ids=ids,
        first=(now - LOOK_BACK).date(),
    )
    doses: defaultdict[UUID, list[DoseOutcome]] = defaultdict(list)
    for row in rows:
        doses[row["patient_id"]].append(_outcome(row))
    return doses


def _outcome(row: RowMapping) -> DoseOutcome:
    return DoseOutcome(str(row["regimen_id"]), row["at"], OUTCOMES[row["label"]])


def _contacts(
    session: Session, ids: list[UUID], now: datetime
) -> Mapping[UUID, list[Contact]]:
    """The devices that record doses; a wearable left in a drawer is no emergency.

    With the records without a time that came behind the last that has one.
    """
    rows = fetch(
        session,
        """SELECT a.patient_id, a.device_id,
            max(GREATEST(a.since, d.registered_at)) AS since,
            max(c.heard_until) AS heard_until, max(u.undated) AS undated,
            min(u.since) AS undated_since
        FROM assignment a JOIN device d USING (device_id)
        LEFT JOIN device_contact c USING (device_id)
        LEFT JOIN LATERAL (SELECT epoch, sequence FROM device_record r
            WHERE r.device_id = a.device_id AND r.status <> 'quarantined'
              AND r.item ->> 'occurred_at' IS NOT NULL
            ORDER BY epoch DESC, sequence DESC LIMIT 1) l ON true
        LEFT JOIN LATERAL (SELECT count(*) AS undated, min(e.recorded_at) AS since
            FROM device_event e
            WHERE e.device_id = a.device_id AND e.kind = 'quarantine'
              AND e.detail ->> 'reason' = ANY(:undated) AND e.recorded_at >= a.since
              AND (e.epoch, e.sequence) > (COALESCE(l.epoch, -1),
                COALESCE(l.sequence, -1))) u ON true
        WHERE a.patient_id = ANY(:ids) AND a.regimen_id IS NOT NULL
          AND a.since <= :now AND (a.until IS NULL OR a.until > :now)
        GROUP BY a.patient_id, a.device_id""",
        ids=ids,
        now=now,
        undated=list(UNDATED),
    )
    contacts: defaultdict[UUID, list[Contact]] = defaultdict(list)
    for row in rows:
        contact = Contact(
            str(row["device_id"]),
            row["since"],
            row["heard_until"],
            undated=row["undated"],
            undated_since=row["undated_since"],
        )
        contacts[row["patient_id"]].append(contact)
    return contacts


def _non_monitored(
    session: Session, ids: list[UUID], zones: Mapping[UUID, ZoneInfo], now: datetime
) -> Mapping[UUID, list[Period]]:
    rows = fetch(
        session,
        """SELECT patient_id, first_day, last_day FROM non_monitored_span
        WHERE patient_id = ANY(:ids) AND voided_at IS NULL AND last_day >= :first""",
        ids=ids,
        first=(now - LOOK_BACK).date(),
    )
    spans: defaultdict[UUID, list[Period]] = defaultdict(list)
    for row in rows:
        zone = zones[row["patient_id"]]
        start = datetime.combine(row["first_day"], time(), zone)
        until = datetime.combine(row["last_day"] + timedelta(days=1), time(), zone)
        spans[row["patient_id"]].append(
            Period(start.astimezone(UTC), until.astimezone(UTC))
        )
    return spans


def _critical(session: Session, ids: list[UUID]) -> Mapping[UUID, set[str]]:
    rows = fetch(
        session,
        """SELECT patient_id, regimen_id FROM regimen
        WHERE patient_id = ANY(:ids) AND criticality = 'critical'""",
        ids=ids,
    )
    critical: defaultdict[UUID, set[str]] = defaultdict(set)
    for row in rows:
        critical[row["patient_id"]].add(str(row["regimen_id"]))
    return critical
