"""Batteries that end before the next refill: a replacement is proposed in time.

A device is reached when its patient is: with the next refill. One whose battery may be
empty before that would go silent meanwhile, and its patient's doses become unknown.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID, uuid4

from sqlmodel import Session

from analytics.battery import Forecast, Reading, forecast, since_renewal
from backend.alerts.raise_ import Seen, retract, trigger
from backend.audit.record import decide, record
from backend.database import transaction
from backend.database.sets import execute, fetch
from backend.errors import Conflict, NotFound
from backend.people.hold import hold
from backend.people.readers import Reader, only
from backend.state.refresh import refresh

RULE, VERSION = "device-replacement", 1
ALERT = "device-battery"
TOLD_WITHIN = timedelta(days=2)  # whoever told nothing since has nothing new to judge
LOOK_BACK = timedelta(days=400)
USUAL_REFILL, SHORTEST_REFILL = timedelta(days=30), timedelta(days=14)
ON_ITS_WAY = timedelta(days=7)  # a device or a battery takes to arrive
AT_RISK = timedelta(
    days=7
)  # so soon it may be empty: somebody at the clinic should know
AT_ONCE = 200  # devices a transaction
ANSWERS = ("done", "declined")


class NothingProposed(Conflict):
    """Nothing is proposed for this device any more."""


@dataclass(frozen=True, slots=True)
class Served:
    """A device in use, whose it is, and when that patient's refill comes."""

    patient_id: UUID
    device_id: UUID
    refill_at: datetime


def propose_replacements(now: datetime) -> int:
    """Judge the batteries that told their level; return how much was proposed."""
    proposed, after = 0, UUID(int=0)
    while True:
        with transaction() as session:
            batch = _served(session, after, now=now)
            held = hold(session, {one.patient_id for one in batch})
            mine = [one for one in batch if one.patient_id in held]
            proposed += judge(session, mine, now=now)
        if len(batch) < AT_ONCE:
            return proposed
        after = batch[-1].device_id


def judge(session: Session, served: Sequence[Served], *, now: datetime) -> int:
    """Propose, or let lapse, what the levels of these devices say; the patients held.

    Returns how many were proposed. What a person declined is not proposed again before
    the battery was renewed.
    """
    levels = _levels(session, served, now=now)
    known = _known(session, served)
    proposed = 0
    for one in served:
        readings = since_renewal(levels.get(one.device_id, ()))
        found = forecast(readings)
        state, since = known.get(one.device_id, ("none", now))
        renewed = bool(readings) and readings[0].at > since
        if state == "proposed" and renewed:
            _lapse(session, one, now=now)
        elif found and found.earliest < one.refill_at and _free(state, renewed=renewed):
            _propose(session, one, found, now=now)
            proposed += 1
    _alarm(session, served, levels, now=now)
    return proposed


def _alarm(
    session: Session,
    served: Sequence[Served],
    levels: Mapping[UUID, Sequence[Reading]],
    *,
    now: datetime,
) -> None:
    """Tell the clinic whose device may go silent, and take it back when it will not."""
    found = {one: forecast(levels.get(one.device_id, ())) for one in served}
    soon = {
        one: ends
        for one, ends in found.items()
        if ends and ends.earliest < now + AT_RISK
    }
    over = [
        (one.patient_id, f"{ALERT}:{one.device_id}")
        for one in served
        if one not in soon
    ]
    changed = retract(session, over, because="a new battery was told of", now=now)
    untold = _untold(session, soon)
    changed |= trigger(session, [_at_risk(one, soon[one]) for one in untold], now=now)
    refresh(session, changed, now=now)


def _untold(session: Session, soon: Mapping[Served, Forecast]) -> list[Served]:
    """Return of whom no alert tells since their battery was put in, open or closed."""
    rows = fetch(
        session,
        """SELECT r.i FROM rows(i int, patient_id uuid, rule text, since timestamptz)
        WHERE EXISTS (SELECT FROM alert a WHERE a.patient_id = r.patient_id
            AND a.rule = r.rule AND a.triggered_at >= r.since)""",
        [
            {
                "i": i,
                "patient_id": one.patient_id,
                "rule": f"{ALERT}:{one.device_id}",
                "since": ends.since,
            }
            for i, (one, ends) in enumerate(soon.items())
        ],
    )
    told = {row["i"] for row in rows}
    return [one for i, one in enumerate(soon) if i not in told]


def answer(
    session: Session, reader: Reader, device_id: UUID, state: str, *, now: datetime
) -> None:
    """Say that a device was replaced, or that it need not be; undoes the decision.

    For technicians and operators of the device's clinic. Raises NotFound, or
    NothingProposed when somebody was first.
    """
    only(reader, "technician", "operator")
    if state not in ANSWERS:
        raise NotFound("There is no such answer.")
    rows = fetch(
        session,
        """UPDATE device_replacement r SET state = :state, changed_at = :now
        FROM device d WHERE d.device_id = r.device_id AND d.device_id = :device
            AND d.clinic_id = :clinic AND r.state = 'proposed'
        RETURNING r.patient_id, r.decision_id""",
        state=state,
        now=now,
        device=device_id,
        clinic=reader.clinic_id,
    )
    if not rows:
        raise NothingProposed("Nothing is proposed for this device any more.")
    for row in rows:
        if state == "declined":
            _undo(session, row["patient_id"], row["decision_id"], reader, now=now)
        record(
            session,
            reader.actor(),
            "device_replacement_answered",
            patients=[row["patient_id"]],
            detail={"device_id": str(device_id), "state": state},
        )


def _undo(
    session: Session, patient_id: UUID, decision_id: UUID, by: Reader, *, now: datetime
) -> None:
    execute(
        session,
        """UPDATE decision SET undone_at = :now, undone_by = :by,
            undo_reason = 'declined'
        WHERE patient_id = :patient AND decision_id = :decision""",
        now=now,
        by=by.account_id,
        patient=patient_id,
        decision=decision_id,
    )


def _served(session: Session, after: UUID, *, now: datetime) -> list[Served]:
    """Return devices in use whose battery told its level lately, by id.

    The refill comes when the patient's first medicine runs out, as far as it is known.
    """
    rows = fetch(
        session,
        """SELECT DISTINCT ON (a.device_id) a.device_id, a.patient_id, (
            SELECT min(s.run_out_on) FROM stock s
            WHERE s.patient_id = a.patient_id AND s.run_out_on >= :today) AS refill_on
        FROM assignment a JOIN device d USING (device_id)
        JOIN device_contact c USING (device_id)
        WHERE a.until IS NULL AND a.since <= :now AND d.retired_at IS NULL
            AND c.battery_at > CAST(:now AS timestamptz) - CAST(:within AS interval)
            AND a.device_id > :after
        ORDER BY a.device_id, a.since LIMIT :most""",
        today=now.date(),
        now=now,
        within=TOLD_WITHIN,
        after=after,
        most=AT_ONCE,
    )
    return [
        Served(row["patient_id"], row["device_id"], _refill(row["refill_on"], now))
        for row in rows
    ]


def _refill(on: date | None, now: datetime) -> datetime:
    if on is None:
        return now + USUAL_REFILL
    return max(now + SHORTEST_REFILL, datetime.combine(on, time(tzinfo=UTC)))


def _levels(
    session: Session, served: Sequence[Served], *, now: datetime
) -> Mapping[UUID, Sequence[Reading]]:
    rows = fetch(
        session,
        """SELECT device_id, occurred_at, detail->'percent' AS percent
        FROM device_event WHERE device_id = ANY(:ids) AND kind = 'battery'
            AND occurred_at BETWEEN :since AND :now
            AND jsonb_typeof(detail->'percent') = 'number'""",
        ids=[one.device_id for one in served],
        since=now - LOOK_BACK,
        now=now,
    )
    found: dict[UUID, list[Reading]] = defaultdict(list)
    for row in rows:
        found[row["device_id"]].append(
            Reading(row["occurred_at"], float(row["percent"]))
        )
    return found


def _known(
    session: Session, served: Sequence[Served]
) -> Mapping[UUID, tuple[str, datetime]]:
    """Return of each device what was proposed last: its state, and since when."""
    rows = fetch(
        session,
        """SELECT DISTINCT ON (device_id) device_id, state, changed_at
        FROM device_replacement WHERE device_id = ANY(:ids)
        ORDER BY device_id, changed_at DESC""",
        ids=[one.device_id for one in served],
    )
    return {row["device_id"]: (row["state"], row["changed_at"]) for row in rows}


def _free(state: str, *, renewed: bool) -> bool:
    return state in ("none", "lapsed") or (state != "proposed" and renewed)


def _propose(session: Session, one: Served, found: Forecast, *, now: datetime) -> None:
    act_by = max(now, found.earliest - ON_ITS_WAY)
    replacement_id = uuid4()
    decision_id = decide(
        session,
        patient_id=one.patient_id,
        rule=RULE,
        version=VERSION,
        inputs=_inputs(one, found),
        outcome={"replacement_id": str(replacement_id), "act_by": act_by.isoformat()},
        at=now,
    )
    execute(
        session,
        """INSERT INTO device_replacement (patient_id, replacement_id, device_id,
            decision_id, state, proposed_at, act_by, empty_early, empty_expected,
            empty_late, changed_at)
        VALUES (:patient, :id, :device, :decision, 'proposed', :now, :act_by, :early,
            :expected, :late, :now)""",
        patient=one.patient_id,
        id=replacement_id,
        device=one.device_id,
        decision=decision_id,
        now=now,
        act_by=act_by,
        early=found.earliest,
        expected=found.expected,
        late=found.latest,
    )


def _inputs(one: Served, found: Forecast) -> dict[str, object]:
    """Return all that decided, so that it can be decided again."""
    return {
        "device_id": str(one.device_id),
        "refill_at": one.refill_at.isoformat(),
        "empty_early": found.earliest.isoformat(),
        "empty_expected": found.expected.isoformat(),
        "empty_late": found.latest.isoformat() if found.latest else None,
        "percent": round(found.percent, 1),
        "percent_per_day": round(found.per_day, 4),
        "readings": found.readings,
        "since": found.since.isoformat(),
        "until": found.until.isoformat(),
    }


def _lapse(session: Session, one: Served, *, now: datetime) -> None:
    """Take a proposal back: the device has told of a new battery."""
    execute(
        session,
        """UPDATE device_replacement SET state = 'lapsed', changed_at = :now
        WHERE patient_id = :patient AND device_id = :device AND state = 'proposed'""",
        now=now,
        patient=one.patient_id,
        device=one.device_id,
    )


def _at_risk(one: Served, found: Forecast) -> Seen:
    return Seen(
        one.patient_id,
        f"{ALERT}:{one.device_id}",
        VERSION,
        "low",
        "The device's battery may be empty within a week: doses would be unknown",
        {
            "code": ALERT,
            "subject": str(one.device_id),
            "since": found.since.isoformat(),
            "at": found.until.isoformat(),
            "numbers": {
                "empty_early": found.earliest.isoformat(),
                "empty_expected": found.expected.isoformat(),
                "percent": round(found.percent),
                "readings": found.readings,
            },
            "parameters": {"at_risk_days": AT_RISK / timedelta(days=1)},
        },
    )
