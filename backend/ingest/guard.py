"""Doses as needed are held to their limits in the transaction that records them.

A dose beyond a limit warns the patient before the next one and tells the clinician.
Only what was recorded live warns: history never rings. What turns out not to have been
beyond a limit is taken back.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from sqlalchemy import RowMapping
from sqlmodel import Session

from backend.alerts.raise_ import Seen, retract, trigger
from backend.database.sets import fetch
from backend.outbox.enqueue import Draft, cancel, enqueue
from backend.regimens.guard import ROLLING, Limit, Taken, beyond, free_at, in_24_hours
from backend.regimens.timing import AsNeeded
from backend.regimens.timing_json import from_json
from backend.reminders.plan import PRIORITY

RULE = "as-needed-limit"
KIND = "limit"
# What an event may be called and still have been a dose.
NO_DOSE = ("prime", "refill", "curiosity", "duplicate")
Whose = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Watched:
    """A dose event of a regimen as needed, and the guard in force when it was taken."""

    row: RowMapping
    guard: AsNeeded
    taken: Sequence[Taken]

    @property
    def whose(self) -> Whose:
        return self.row["patient_id"], self.row["regimen_id"]

    @property
    def at(self) -> datetime:
        return self.row["occurred_at"]

    @property
    def is_a_dose(self) -> bool:
        return self.row["voided_at"] is None and self.row["label"] not in NO_DOSE

    def limits(self) -> tuple[Limit, ...]:
        """Return the limits that this dose went beyond, none when it was no dose."""
        return beyond(self.guard, self.taken, self.at) if self.is_a_dose else ()


def watch(
    session: Session, events: Collection[tuple[UUID, UUID]], *, now: datetime
) -> None:
    """Hold these (patient, dose event) to the limits of their regimens.

    Events of other regimens are passed over. The patients must be held.
    """
    if not events:
        return
    found = watched(session, _items(events))
    if not found:
        return
    _take_back(session, {one.whose for one in found}, now=now)
    for one in found:
        limits = one.limits() if one.row["live"] else ()
        if limits:
            _warn(session, one, limits, now=now)


def watched(session: Session, items: Sequence[Mapping[str, object]]) -> list[Watched]:
    """Return the dose events among these that are of a regimen as needed."""
    rows = fetch(session, AS_NEEDED, items)
    guards = [(row, from_json(row["timing"])) for row in rows]
    taken = _taken(session, rows, guards)
    return [
        Watched(row, guard, taken[row["patient_id"], row["regimen_id"]])
        for row, guard in guards
        if isinstance(guard, AsNeeded)
    ]


def _taken(
    session: Session,
    rows: Iterable[RowMapping],
    guards: Iterable[tuple[RowMapping, object]],
) -> Mapping[Whose, Sequence[Taken]]:
    """Return the doses near these events, ascending, by regimen."""
    back = max(
        (
            guard.least_interval
            for _, guard in guards
            if isinstance(guard, AsNeeded) and guard.least_interval
        ),
        default=ROLLING,
    )
    found: defaultdict[Whose, list[Taken]] = defaultdict(list)
    items = [
        {
            "patient_id": row["patient_id"],
            "regimen_id": row["regimen_id"],
            "amount": row["amount"],
            "unit": row["unit"],
            "occurred_at": row["occurred_at"],
        }
        for row in {(r["patient_id"], r["regimen_id"]): r for r in rows}.values()
    ]
    near = fetch(session, NEAR, items, back=max(back, ROLLING), no_dose=list(NO_DOSE))
    for row in near:
        found[row["patient_id"], row["regimen_id"]].append(
            Taken(row["occurred_at"], doses_in(row, row["of_one"], row["of_unit"]))
        )
    return found


def doses_in(event: RowMapping, amount: Decimal | None, unit: str | None) -> Fraction:
    """Return how many prescribed doses an event is: what was measured, or one."""
    measured = event["amount"]
    if measured is None or not amount or event["unit"] != unit:
        return Fraction(1)
    return Fraction(measured) / Fraction(amount)


def _warn(
    session: Session, one: Watched, limits: Sequence[Limit], *, now: datetime
) -> None:
    row, guard = one.row, one.guard
    free = free_at(guard, one.taken, now)
    least = guard.least_interval
    finding = {
        "code": RULE,
        "subject": str(row["regimen_id"]),
        "at": one.at.isoformat(),
        "limits": ", ".join(limits),
        "doses_in_24_hours": float(in_24_hours(one.taken, one.at)),
        "most_in_24_hours": guard.most_in_24_hours,
        "least_hours": None if least is None else least / timedelta(hours=1),
        "free_at": free.isoformat(),
        "dose_event_id": str(row["dose_event_id"]),
    }
    trigger(
        session,
        [
            Seen(
                row["patient_id"],
                f"{RULE}:{row['regimen_id']}",
                1,
                "high" if row["criticality"] == "critical" else "medium",
                "Taken as needed beyond what was prescribed",
                finding,
            )
        ],
        now=now,
    )
    if free > now:
        enqueue(session, _drafts(session, one, finding, free, now), now=now)


def _drafts(
    session: Session,
    one: Watched,
    finding: Mapping[str, object],
    free: datetime,
    now: datetime,
) -> list[Draft]:
    row = one.row
    reached = fetch(session, REACHED, [dict(row)], now=now)
    return [
        Draft(
            patient_id=row["patient_id"],
            clinic_id=row["clinic_id"],
            dedup_key=_key(row["regimen_id"], row["dose_event_id"]),
            kind=KIND,
            recipient_id=row["patient_id"],
            channel=by["channel"],
            address=by["address"],
            due_at=now,
            valid_until=free,
            priority=PRIORITY.get(row["criticality"], PRIORITY["standard"]),
            params={
                "regimen_id": str(row["regimen_id"]),
                "dose_event_id": str(row["dose_event_id"]),
            },
            why={"rung": KIND, **finding},
        )
        for by in reached
    ]


def _take_back(session: Session, whose: Collection[Whose], *, now: datetime) -> None:
    """Close the alerts of doses that turn out to have been within limits."""
    alerts = fetch(session, ALERTS, _pairs(whose), rule=RULE)
    if not alerts:
        return
    still = {
        (one.row["patient_id"], one.row["dose_event_id"]): one.limits()
        for one in watched(session, [dict(alert) for alert in alerts])
    }
    disproved = [
        alert
        for alert in alerts
        if not still.get((alert["patient_id"], alert["dose_event_id"]))
    ]
    retract(
        session,
        {(alert["patient_id"], alert["rule"]) for alert in disproved},
        because="disproved by newer facts",
        now=now,
    )
    cancel(
        session,
        {
            (alert["patient_id"], _key(alert["regimen_id"], alert["dose_event_id"]))
            for alert in disproved
        },
        because="the dose was within limits",
        now=now,
    )


def _key(regimen_id: UUID, dose_event_id: UUID) -> str:
    return f"{KIND}/{regimen_id}/{dose_event_id}"


def _items(events: Collection[tuple[UUID, UUID]]) -> list[dict[str, object]]:
    return [{"patient_id": one, "dose_event_id": other} for one, other in events]


def _pairs(whose: Collection[Whose]) -> list[dict[str, object]]:
    return [{"patient_id": one, "regimen_id": other} for one, other in whose]


AS_NEEDED = """
SELECT e.patient_id, e.dose_event_id, e.regimen_id, e.occurred_at, e.live, e.label,
    e.voided_at, v.timing, v.amount, v.unit, g.criticality, g.clinic_id
FROM rows(patient_id uuid, dose_event_id uuid)
JOIN dose_event e USING (patient_id, dose_event_id)
JOIN regimen g ON g.patient_id = e.patient_id AND g.regimen_id = e.regimen_id
JOIN LATERAL (SELECT timing, amount, unit FROM regimen_version v
    WHERE v.patient_id = e.patient_id AND v.regimen_id = e.regimen_id
      AND v.effective_from <= e.occurred_at
    ORDER BY v.version DESC LIMIT 1) v ON v.timing ->> 'kind' = 'as_needed'
ORDER BY e.occurred_at
"""

NEAR = """
SELECT e.patient_id, e.regimen_id, e.occurred_at, e.amount, e.unit,
    r.amount AS of_one, r.unit AS of_unit
FROM rows(patient_id uuid, regimen_id uuid, amount numeric, unit text,
    occurred_at timestamptz)
JOIN dose_event e USING (patient_id, regimen_id)
WHERE e.voided_at IS NULL AND e.label <> ALL(:no_dose)
  AND e.occurred_at >= r.occurred_at - CAST(:back AS interval) * 2
ORDER BY e.occurred_at
"""

REACHED = """
SELECT contact.channel, contact.address
FROM rows(patient_id uuid, clinic_id uuid)
JOIN LATERAL (SELECT channel, address FROM contact_point c
    WHERE c.patient_id = r.patient_id AND c.channel = 'sms' AND c.since <= :now
      AND (c.until IS NULL OR c.until > :now)
    ORDER BY c.rank, c.since DESC LIMIT 1) contact ON true
WHERE EXISTS (SELECT FROM consent s
    WHERE s.patient_id = r.patient_id AND s.purpose = 'reminders'
      AND s.recipient_id = r.clinic_id AND s.since <= :now
      AND (s.until IS NULL OR s.until > :now))
"""

ALERTS = """
SELECT a.patient_id, a.rule, r.regimen_id,
    CAST(a.finding ->> 'dose_event_id' AS uuid) AS dose_event_id
FROM rows(patient_id uuid, regimen_id uuid)
JOIN alert a ON a.patient_id = r.patient_id AND a.state <> 'closed'
    AND a.rule = CAST(:rule AS text) || ':' || r.regimen_id
"""
