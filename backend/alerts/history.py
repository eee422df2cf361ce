"""What detectors read about patients, fetched for many at once."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from analytics.findings import HEART_RATE, Contact, DoseOutcome, History, Outcome
from analytics.records import Period
from backend.alerts.tables import Alert
from backend.database.sets import fetch
from backend.vitals.read import read

LOOK_BACK = timedelta(days=30)
HEART_LOOK_BACK = timedelta(days=33)
NOON = time(12)
A_DAY_OF_MINUTES = 1440
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


def histories(
    session: Session, patient_ids: Collection[UUID], *, now: datetime
) -> Mapping[UUID, Seen]:
    """Return what the detectors need of each patient; they must be held."""
    ids = sorted(patient_ids)
    zones = _zones(session, ids, now)
    doses = _doses(session, ids, now)
    contacts = _contacts(session, ids, now)
    idle = _non_monitored(session, ids, zones, now)
    critical = _critical(session, ids)
    woken = _new_nights(session, ids, zones, now)
    heart = read(
        session,
        woken,
        HEART_RATE,
        first=now - HEART_LOOK_BACK,
        until=now,
        reader=None,
        now=now,
    )
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
    """The devices that record doses; a wearable left in a drawer is no emergency."""
    rows = fetch(
        session,
        """SELECT a.patient_id, a.device_id,
            max(GREATEST(a.since, d.registered_at)) AS since,
            max(c.heard_until) AS heard_until
        FROM assignment a JOIN device d USING (device_id)
        LEFT JOIN device_contact c USING (device_id)
        WHERE a.patient_id = ANY(:ids) AND a.regimen_id IS NOT NULL
          AND a.since <= :now AND (a.until IS NULL OR a.until > :now)
        GROUP BY a.patient_id, a.device_id""",
        ids=ids,
        now=now,
    )
    contacts: defaultdict[UUID, list[Contact]] = defaultdict(list)
    for row in rows:
        contact = Contact(str(row["device_id"]), row["since"], row["heard_until"])
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


def _new_nights(
    session: Session, ids: list[UUID], zones: Mapping[UUID, ZoneInfo], now: datetime
) -> list[UUID]:
    """The patients whose heart rate is worth reading again, marked as read.

    A month of minutes is much to read: only when a night has ended since the last
    look, or a day's worth of samples came in.
    """
    nights = [
        {"patient_id": p, "night": (now.astimezone(zone) - timedelta(hours=12)).date()}
        for p, zone in zones.items()
        if p in ids
    ]
    rows = fetch(
        session,
        """INSERT INTO screen_mark AS m (patient_id, night, samples)
        SELECT r.patient_id, r.night, v.samples FROM rows(patient_id uuid, night date)
        JOIN (SELECT patient_id, CAST(sum(samples) AS bigint) AS samples
            FROM vital_series WHERE code = :code AND patient_id = ANY(:ids)
            GROUP BY patient_id) v USING (patient_id)
        ORDER BY r.patient_id
        ON CONFLICT (patient_id) DO UPDATE
        SET night = excluded.night, samples = excluded.samples
        WHERE m.night < excluded.night OR m.samples + :day <= excluded.samples
        RETURNING patient_id""",
        nights,
        code=HEART_RATE,
        ids=ids,
        day=A_DAY_OF_MINUTES,
    )
    return [row["patient_id"] for row in rows]
