"""Open an alert, repeat it, or take it back: one open alert a (patient, rule)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Session

from backend.audit.record import decide
from backend.database.sets import execute, fetch

SEVERITIES = ("low", "medium", "high")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a rule saw about a patient; `finding` holds the numbers that decided."""

    patient_id: UUID
    rule: str
    version: int
    severity: str
    title: str
    finding: Mapping[str, object]


def trigger(session: Session, seen: Sequence[Seen], *, now: datetime) -> set[UUID]:
    """Open an alert for each finding and return the patients who got a new one.

    Where the patient has an open alert of that rule its finding is brought up to date
    instead: a repeat is no second alert, wakes no snoozed one, but may raise the
    severity. The same finding again changes nothing. The patients must be held.
    """
    if not seen:
        return set()
    new = {uuid4(): one for one in seen}
    rows = fetch(
        session,
        """INSERT INTO alert AS a (patient_id, alert_id, clinic_id, rule, severity,
            state, title, finding, triggered_at, updated_at, repeats)
        SELECT r.patient_id, r.alert_id, p.clinic_id, r.rule, r.severity, 'triggered',
            r.title, r.finding, :now, :now, 0
        FROM rows(patient_id uuid, alert_id uuid, rule text, severity text, title text,
                  finding jsonb)
        JOIN patient p USING (patient_id)
        ON CONFLICT (patient_id, rule) WHERE state <> 'closed' DO UPDATE
        SET finding = excluded.finding, title = excluded.title,
            updated_at = excluded.updated_at, repeats = a.repeats + 1,
            severity = CASE WHEN array_position(:severities, excluded.severity)
                > array_position(:severities, a.severity)
                THEN excluded.severity ELSE a.severity END
        WHERE a.finding <> excluded.finding
        RETURNING a.patient_id, a.alert_id, a.rule""",
        [
            {
                "patient_id": one.patient_id,
                "alert_id": alert_id,
                "rule": one.rule,
                "severity": one.severity,
                "title": one.title,
                "finding": dict(one.finding),
            }
            for alert_id, one in new.items()
        ],
        now=now,
        severities=list(SEVERITIES),
    )
    opened = [row for row in rows if row["alert_id"] in new]
    for row in opened:
        one = new[row["alert_id"]]
        log_event(session, row["patient_id"], row["alert_id"], "triggered", now=now)
        decide(
            session,
            patient_id=one.patient_id,
            rule=f"alert/{one.rule}",
            version=one.version,
            inputs=one.finding,
            outcome={"alert_id": str(row["alert_id"]), "severity": one.severity},
            at=now,
        )
    return {row["patient_id"] for row in opened}


def retract(
    session: Session,
    whose: Collection[tuple[UUID, str]],
    *,
    because: str,
    now: datetime,
) -> set[UUID]:
    """Close the open alerts of these (patient, rule): what they said is disproved.

    Returns the patients whose alert was closed. The outcome is `retracted`, so that
    it never counts as a judgement of a clinician.
    """
    if not whose:
        return set()
    rows = fetch(
        session,
        """UPDATE alert a SET state = 'closed', outcome = 'retracted',
            note = :because, closed_at = :now, updated_at = :now
        FROM rows(patient_id uuid, rule text)
        WHERE a.patient_id = r.patient_id AND a.rule = r.rule AND a.state <> 'closed'
        RETURNING a.patient_id, a.alert_id""",
        [{"patient_id": patient_id, "rule": rule} for patient_id, rule in whose],
        because=because,
        now=now,
    )
    for row in rows:
        log_event(
            session,
            row["patient_id"],
            row["alert_id"],
            "retracted",
            now=now,
            detail={"because": because},
        )
    return {row["patient_id"] for row in rows}


def log_event(
    session: Session,
    patient_id: UUID,
    alert_id: UUID,
    what: str,
    *,
    now: datetime,
    actor_id: UUID | None = None,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Write one step in the life of an alert."""
    execute(
        session,
        """INSERT INTO alert_event (patient_id, event_id, alert_id, what, actor_id, at,
            recorded_at, detail)
        SELECT :patient, :event, :alert, :what, :actor, :now, clock_timestamp(), detail
        FROM rows(detail jsonb)""",
        [{"detail": dict(detail or {})}],
        patient=patient_id,
        event=uuid4(),
        alert=alert_id,
        what=what,
        actor=actor_id,
        now=now,
    )
