"""Records that nobody had the device for, when an assignment turns up later."""

from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.database.sets import execute, fetch
from backend.devices.assign import Place, lock, resolve
from backend.doses.record import record
from backend.ingest.accept import follow
from backend.ingest.items import DoseItem
from backend.ingest.sort import new_dose
from backend.people.hold import hold


def adopt(session: Session, device_id: UUID, *, now: datetime) -> int:
    """Give a device's unassigned records to whoever had it then; return how many.

    Call it after an assignment was made that reaches into the past.
    """
    lock(session, [device_id])
    rows = fetch(
        session,
        "SELECT item FROM device_record "
        "WHERE device_id = :id AND status = 'unassigned'",
        id=device_id,
    )
    items = [DoseItem.model_validate(row["item"]) for row in rows]
    timed = [(item, item.occurred_at) for item in items if item.occurred_at is not None]
    places = [Place(i.device_id, i.compartment or 0, at) for i, at in timed]
    bearers = resolve(session, places)
    held = hold(session, {b.patient_id for b in bearers if b is not None})
    owned = [
        (item, bearer)
        for (item, _), bearer in zip(timed, bearers, strict=True)
        if bearer is not None and bearer.patient_id in held
    ]
    doses = [new_dose(item, bearer, now=now) for item, bearer in owned]
    record(session, doses, now=now)
    execute(
        session,
        """UPDATE device_record d SET status = 'used', reason = NULL
        FROM rows(epoch int, sequence bigint)
        WHERE d.device_id = :id AND d.epoch = r.epoch AND d.sequence = r.sequence""",
        [{"epoch": item.epoch, "sequence": item.sequence} for item, _ in owned],
        id=device_id,
    )
    follow(
        session,
        {
            (d.patient_id, d.regimen_id, d.occurred_at.date())
            for d in doses
            if d.regimen_id is not None
        },
        patients={dose.patient_id for dose in doses},
        events={(dose.patient_id, dose.dose_event_id) for dose in doses},
        now=now,
        cause="assigned",
    )
    return len(owned)
