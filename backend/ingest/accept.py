"""All that happens when device data arrives, in one transaction, top to bottom.

The caller opens the transaction and answers after its commit. Only rows that were new
have consequences, so that whatever is sent again changes nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

from sqlmodel import Session

from backend.alerts.reconsider import reconsider
from backend.audit.record import record as audit
from backend.devices.arrive import Mark, store
from backend.devices.assign import lock
from backend.devices.contact import Happening, note
from backend.doses.changes import Changes
from backend.doses.record import record
from backend.doses.rematch import Stretch, around, rematch
from backend.feeds.orders import publish
from backend.ingest.items import DoseItem, Read, Verdict
from backend.ingest.sort import Incoming, device_ids, new_doses, sort, verdicts
from backend.people.readers import Sender
from backend.reminders.plan import cancel_for
from backend.state.refresh import TAKEN, refresh
from backend.supply.reorder import review
from backend.supply.use import settle


def accept_doses(
    session: Session,
    reads: Sequence[Read[DoseItem]],
    *,
    by: Sender,
    now: datetime,
    real: datetime,
) -> list[Verdict]:
    """Store a batch of dose records with all that follows; one verdict an item."""
    mine = lock(session, device_ids(reads), clinic_id=by.clinic_id)
    incoming = sort(session, reads, mine, now)
    marks = store(
        session,
        [one.arrival for one in incoming.values()],
        bridge_id=by.bridge_id,
        real=real,
    )
    doses = new_doses(incoming.values(), marks[0], now)
    fresh = record(session, doses, now=now)
    follow(
        session,
        around(
            (d.patient_id, d.regimen_id, d.occurred_at) for d in doses if d.regimen_id
        ),
        patients={dose.patient_id for dose in doses},
        events={
            (d.patient_id, d.dose_event_id) for d in doses if d.dose_event_id in fresh
        },
        now=now,
        cause="dose_recorded",
    )
    _note_conflicts(session, incoming.values(), marks[1], by, now)
    answer = verdicts(reads, incoming, *marks)
    counts = Counter(verdict.verdict for verdict in answer)
    if marks[0] or marks[1]:
        audit(
            session,
            by.actor(),
            "dose_events_received",
            patients={dose.patient_id for dose in doses},
            detail=dict(counts),
        )
    return answer


def follow(
    session: Session,
    stretches: Sequence[Stretch],
    *,
    patients: Collection[UUID],
    events: Collection[tuple[UUID, UUID]] = (),
    now: datetime,
    cause: str,
) -> Changes:
    """Do all that follows from new facts about these patients, who must be held.

    Match again; cancel the reminders of doses that were taken; take from stock; open
    the reorder and show it to the manufacturer; take back what is disproved; bring
    the state rows up to date. `events` are dose events that stock must look at even
    where their label stays.
    """
    if not patients:
        return Changes()
    changes = rematch(session, stretches, now=now, cause=cause)
    taken = [
        (change.patient_id, change.regimen_id, change.occurrence)
        for change in changes.doses
        if change.after in TAKEN
    ]
    cancel_for(session, taken, because=cause, now=now)
    touched = {(e.patient_id, e.dose_event_id) for e in changes.events}
    stock = settle(session, touched.union(events), now=now)
    for order in review(session, stock.changed, now=now):
        publish(session, order, now=now)
    reconsider(session, patients, stock.inconvertible, now=now)
    refresh(session, patients, now=now)
    return changes


def _note_conflicts(
    session: Session,
    incoming: Iterable[Incoming],
    clashing: Collection[Mark],
    by: Sender,
    now: datetime,
) -> None:
    note(
        session,
        [
            Happening(
                one.arrival.device_id,
                f"conflict:{one.arrival.epoch}:{one.arrival.sequence}",
                "conflict",
                None,
                one.arrival.epoch,
                one.arrival.sequence,
                {"payload_hash": one.arrival.payload_hash.hex()},
            )
            for one in incoming
            if one.arrival.mark in clashing
        ],
        bridge_id=by.bridge_id,
        now=now,
    )
