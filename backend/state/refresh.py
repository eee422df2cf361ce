"""Keep the one row a patient current, inside the transaction that changed the facts."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.doses.days import TAKEN
from backend.live import touch
from backend.state.adherence import LOOK_BACK, Dosed, figures
from backend.state.need import Facts, needs

STRIP_DAYS = 14
DAY_STARTS = timedelta(hours=3)

Doses = Mapping[UUID, Sequence[RowMapping]]
Extras = Mapping[UUID, Mapping[UUID, Sequence[datetime]]]


def refresh(session: Session, patient_ids: Collection[UUID], *, now: datetime) -> None:
    """Recompute the state rows of these patients; the patients must be held.

    Vitals and the resting heart rate are written where vitals arrive and left alone.
    """
    ids = sorted(set(patient_ids))
    if not ids:
        return
    doses, extras = _doses(session, ids, now), _extras(session, ids, now)
    facts = _facts(session, ids, now)
    items = [_item(row, doses, extras, now) for row in facts]
    execute(
        session,
        """INSERT INTO patient_state AS s (patient_id, clinic_id, need, needs, strip,
            counts, adherence, last_dose_at, heard_until, next_due_at, run_out_on,
            open_reorders, open_alerts, worst_alert, vitals, changed_at, version)
        SELECT patient_id, clinic_id, need, needs, strip, counts, adherence,
            last_dose_at, heard_until, next_due_at, run_out_on, open_reorders,
            open_alerts, worst_alert, '{}', :now, 1
        FROM rows(patient_id uuid, clinic_id uuid, need int, needs jsonb, strip jsonb,
            counts jsonb, adherence jsonb, last_dose_at timestamptz,
            heard_until timestamptz, next_due_at timestamptz, run_out_on date,
            open_reorders int, open_alerts int, worst_alert text)
        ON CONFLICT (patient_id) DO UPDATE SET need = excluded.need,
            needs = excluded.needs, strip = excluded.strip, counts = excluded.counts,
            adherence = excluded.adherence, last_dose_at = excluded.last_dose_at,
            heard_until = excluded.heard_until, next_due_at = excluded.next_due_at,
            run_out_on = excluded.run_out_on,
            open_reorders = excluded.open_reorders, open_alerts = excluded.open_alerts,
            worst_alert = excluded.worst_alert, changed_at = excluded.changed_at,
            version = s.version + 1""",
        items,
        now=now,
    )
    changed: defaultdict[UUID, list[UUID]] = defaultdict(list)
    for row in facts:
        changed[row["clinic_id"]].append(row["patient_id"])
    touch(session, changed)  # open pages look again after the commit


def heard(session: Session, patient_ids: Collection[UUID], *, now: datetime) -> None:
    """Bring only `heard_until` up to date: devices report often, and seldom news."""
    execute(
        session,
        """UPDATE patient_state s SET heard_until = t.heard_until, version = version + 1
        FROM (SELECT g.patient_id, CASE WHEN count(*) = count(k.heard_until)
                THEN min(k.heard_until) END AS heard_until
            FROM assignment g LEFT JOIN device_contact k USING (device_id)
            WHERE g.patient_id = ANY(:ids) AND g.regimen_id IS NOT NULL
              AND g.since <= :now AND (g.until IS NULL OR g.until > :now)
            GROUP BY g.patient_id) t
        WHERE s.patient_id = t.patient_id""",
        ids=sorted(set(patient_ids)),
        now=now,
    )


def today(now: datetime, zone: str) -> date:
    """Return the dose-day it is in a zone: one begins at three in the morning."""
    return (now.astimezone(ZoneInfo(zone)) - DAY_STARTS).date()


def _facts(session: Session, ids: list[UUID], now: datetime) -> Sequence[RowMapping]:
    return fetch(
        session,
        """SELECT p.patient_id, p.clinic_id, COALESCE(z.zone, c.zone) AS zone,
            d.last_dose_at, e.devices, e.heard, e.heard_until, s.run_out_on,
            o.open_reorders, a.alerts
        FROM patient p
        JOIN clinic c USING (clinic_id)
        LEFT JOIN LATERAL (SELECT zone FROM patient_zone z
            WHERE z.patient_id = p.patient_id AND z.effective_from <= :now
            ORDER BY z.effective_from DESC LIMIT 1) z ON true
        LEFT JOIN LATERAL (SELECT max(occurred_at) AS last_dose_at FROM dose_event d
            WHERE d.patient_id = p.patient_id AND d.voided_at IS NULL
              AND d.label <> 'prime') d ON true
        LEFT JOIN LATERAL (SELECT count(*) AS devices, count(k.heard_until) AS heard,
                min(k.heard_until) AS heard_until
            FROM assignment g LEFT JOIN device_contact k USING (device_id)
            WHERE g.patient_id = p.patient_id AND g.regimen_id IS NOT NULL
              AND g.since <= :now AND (g.until IS NULL OR g.until > :now)) e ON true
        LEFT JOIN LATERAL (SELECT min(run_out_on) AS run_out_on FROM stock s
            WHERE s.patient_id = p.patient_id AND EXISTS (SELECT FROM regimen g
                CROSS JOIN LATERAL (SELECT until FROM regimen_version v
                    WHERE v.patient_id = g.patient_id AND v.regimen_id = g.regimen_id
                      AND v.effective_from <= :now
                    ORDER BY v.effective_from DESC, v.version DESC LIMIT 1) v
                WHERE g.patient_id = s.patient_id AND g.gtin = s.gtin
                  AND (v.until IS NULL OR v.until > :now))) s ON true
        LEFT JOIN LATERAL (SELECT count(*) AS open_reorders FROM reorder o
            WHERE o.patient_id = p.patient_id
              AND o.state NOT IN ('delivered', 'cancelled')) o ON true
        LEFT JOIN LATERAL (
            SELECT COALESCE(jsonb_object_agg(severity, n), '{}') AS alerts FROM (
                SELECT severity, count(*) AS n FROM alert a
                WHERE a.patient_id = p.patient_id
                  AND a.state NOT IN ('closed', 'snoozed')
                GROUP BY severity) t) a ON true
        WHERE p.patient_id = ANY(:ids) AND p.erased_at IS NULL
        ORDER BY p.patient_id""",
        ids=ids,
        now=now,
    )


def _doses(session: Session, ids: list[UUID], now: datetime) -> Doses:
    rows = fetch(
        session,
        """SELECT patient_id, regimen_id, dose_day, zone, label, due_at, window_until
        FROM scheduled_dose
        WHERE patient_id = ANY(:ids) AND dose_day >= :first
        ORDER BY patient_id, dose_day, due_at, occurrence""",
        ids=ids,
        first=now.date() - timedelta(days=LOOK_BACK + 1),
    )
    grouped: defaultdict[UUID, list[RowMapping]] = defaultdict(list)
    for row in rows:
        grouped[row["patient_id"]].append(row)
    return grouped


def _extras(session: Session, ids: list[UUID], now: datetime) -> Extras:
    """Return when doses were taken that nobody had scheduled, by patient, regimen."""
    rows = fetch(
        session,
        """SELECT e.patient_id, e.regimen_id, e.occurred_at FROM regimen g
        JOIN dose_event e USING (patient_id, regimen_id)
        WHERE g.patient_id = ANY(:ids) AND e.occurred_at >= :first
          AND e.label = 'extra' AND e.voided_at IS NULL""",
        ids=ids,
        first=now - timedelta(days=LOOK_BACK + 2),
    )
    found: defaultdict[UUID, defaultdict[UUID, list[datetime]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        found[row["patient_id"]][row["regimen_id"]].append(row["occurred_at"])
    return found


def _item(
    row: RowMapping, doses: Doses, extras: Extras, now: datetime
) -> dict[str, object]:
    mine = doses.get(row["patient_id"], ())
    dose_day = today(now, row["zone"])
    days = _days(mine, dose_day)
    heard_until = row["heard_until"] if row["heard"] == row["devices"] else None
    facts = Facts(
        days,
        row["alerts"],
        row["devices"] > 0,
        heard_until,
        row["run_out_on"],
        dose_day,
    )
    reasons = needs(facts, now=now)
    severities = [s for s in ("high", "medium", "low") if s in row["alerts"]]
    return {
        "patient_id": row["patient_id"],
        "clinic_id": row["clinic_id"],
        "need": sum(int(str(reason["points"])) for reason in reasons),
        "needs": reasons,
        "strip": [{"day": day.isoformat(), "labels": labels} for day, labels in days],
        "counts": _counts(days),
        "adherence": figures(
            (
                Dosed(one["regimen_id"], one["dose_day"], one["zone"], one["label"])
                for one in mine
            ),
            extras.get(row["patient_id"], {}),
            today=dose_day,
            ever=row["last_dose_at"] is not None,
        ),
        "last_dose_at": row["last_dose_at"],
        "heard_until": heard_until,
        "next_due_at": _next_due(mine, now),
        "run_out_on": row["run_out_on"],
        "open_reorders": row["open_reorders"],
        "open_alerts": sum(row["alerts"].values()),
        "worst_alert": severities[0] if severities else None,
    }


def _days(doses: Sequence[RowMapping], today: date) -> list[tuple[date, list[str]]]:
    """The labels of the last dose-days, today's last, an empty list where none is."""
    labels: defaultdict[date, list[str]] = defaultdict(list)
    for dose in doses:
        labels[dose["dose_day"]].append(dose["label"])
    wanted = (today - timedelta(days=back) for back in reversed(range(STRIP_DAYS)))
    return [(day, labels[day]) for day in wanted]


def _counts(days: Sequence[tuple[date, Sequence[str]]]) -> dict[str, int]:
    seen = Counter(label for _, labels in days for label in labels)
    taken = sum(seen[label] for label in TAKEN)
    return {
        "expected": sum(seen.values()),
        "taken": taken,
        **{label: seen[label] for label in ("missed", "late", "unknown", "pending")},
    }


def _next_due(doses: Sequence[RowMapping], now: datetime) -> datetime | None:
    ahead = [
        dose["due_at"] or dose["window_until"]
        for dose in doses
        if dose["label"] == "pending"
    ]
    return min((at for at in ahead if at > now), default=None)
